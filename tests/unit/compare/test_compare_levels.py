"""A part of an output that one common scale has emptied is found, and what has levels of its own is not accused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.compare.levels import erased_group

Values = NDArray[np.float32]


def rounded(values: Values, scale: float) -> Values:
    return (np.rint(values / np.float32(scale)) * np.float32(scale)).astype(np.float32)


def detector(boxes: int, scores: int, size: float, seed: int = 0) -> Values:
    """(1, boxes + scores, 500): pixels up to `size`, then scores in 0..1."""
    random = np.random.default_rng(seed)
    parts = [random.uniform(0, size, (boxes, 500)), random.beta(0.5, 3, (scores, 500))]
    return np.concatenate(parts).astype(np.float32)[None]


@pytest.mark.parametrize("size", [64.0, 160.0, 320.0, 640.0])
@pytest.mark.parametrize("scores", [1, 2, 80])
@pytest.mark.parametrize("turned", [False, True])
def test_boxes_and_scores_in_one_tensor(size: float, scores: int, turned: bool) -> None:
    golden = detector(4, scores, size)
    scale = size / 255
    if turned:
        golden = np.ascontiguousarray(golden.transpose(0, 2, 1))
    group = erased_group(golden, rounded(golden, scale), scale)
    if scale < 0.4:
        # The scores keep a few levels.
        assert group is None
        return
    assert group is not None
    assert (group.first, group.last, group.channels) == (4, 3 + scores, 4 + scores)
    assert group.levels <= 3
    assert f"rows {4} to {3 + scores}" in group.text


def test_scores_with_a_scale_of_their_own_may_be_small_in_a_picture() -> None:
    golden = np.random.default_rng(1).beta(1, 900, (1, 80, 300)).astype(np.float32)
    golden[0, :20] = np.random.default_rng(2).random((20, 300))
    assert erased_group(golden, rounded(golden, 1 / 255), 1 / 255) is None


def test_what_varies_nowhere_in_float_is_not_lost() -> None:
    golden = detector(4, 3, 640.0)
    golden[0, 4:] = 0.25
    assert erased_group(golden, rounded(golden, 2.5), 2.5) is None


def test_a_whole_output_on_a_coarse_grid_is_no_group() -> None:
    golden = np.random.default_rng(3).uniform(0, 640, (1, 8, 100)).astype(np.float32)
    assert erased_group(golden, rounded(golden, 2.5), 2.5) is None
    assert erased_group(golden, golden[:, :4], 2.5) is None
