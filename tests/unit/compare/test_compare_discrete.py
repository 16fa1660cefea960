"""Integers are judged by what the board's own operator read; equal values may come in any order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.compare.discrete import follows

Values = NDArray[np.generic]


def scores(seed: int, shape: tuple[int, ...] = (1, 5, 16, 16)) -> NDArray[np.float32]:
    """Few distinct values, so that ties are common."""
    return (np.random.default_rng(seed).integers(-20, 20, shape) * 0.25).astype(np.float32)


def test_a_cast_is_its_own_inputs_whole_part() -> None:
    data = np.random.default_rng(1).normal(0, 9, (1, 4, 8)).astype(np.float32)
    given = data.astype(np.int32)
    assert follows("Cast", [data], given)
    wrong = given.copy()
    wrong[0, 1, 2] += 1
    assert not follows("Cast", [data], wrong)
    assert follows("Cast", [data], data != 0)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("op_type", ["ArgMax", "ArgMin"])
def test_an_index_may_point_at_any_of_equal_extremes(axis: int, kept: bool, op_type: str) -> None:
    for seed in range(5):
        data = scores(seed)
        find = np.argmax if op_type == "ArgMax" else np.argmin
        first = find(data, axis=axis, keepdims=kept)
        last = data.shape[axis] - 1 - find(np.flip(data, axis), axis=axis, keepdims=kept)
        assert (first != last).any()
        assert follows(op_type, [data], first)
        assert follows(op_type, [data], last)
        assert not follows(op_type, [data], (last + 1) % data.shape[axis])


def test_the_largest_values_may_come_in_another_order_and_only_they() -> None:
    for seed in range(5):
        data = scores(seed, (1, 1, 1, 500))
        order = np.argsort(-data, axis=-1, kind="stable")[..., :20]
        assert follows("TopK", [data], order.astype(np.int64))
        backwards = data.shape[-1] - 1 - np.argsort(-data[..., ::-1], axis=-1, kind="stable")[..., :20]
        assert (backwards != order).any()
        assert follows("TopK", [data], backwards.astype(np.int64))
        twice = order.copy()
        twice[..., 1] = twice[..., 0]
        assert not follows("TopK", [data], twice)
        lower = order.copy()
        lower[..., 0] = int(data.argmin())
        assert not follows("TopK", [data], lower)
        assert not follows("TopK", [data], np.full_like(order, 9999))


def test_copies_of_integers_keep_their_order() -> None:
    data = np.arange(20, dtype=np.int64).reshape(1, 1, 1, 20)
    assert follows("Reshape", [data], data.reshape(1, 20))
    assert follows("OutputOperator", [data], data)
    assert not follows("Reshape", [data], data[..., ::-1].reshape(1, 20))
    assert not follows("Transpose", [data], data.reshape(1, 20))
    assert not follows("Conv", [data], data)
