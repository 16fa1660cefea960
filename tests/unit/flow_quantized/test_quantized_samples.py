"""Samples of several shapes, which a model built with dynamic_input takes and the quantised stage cannot mix."""

from __future__ import annotations

import numpy as np
import pytest

from rkparity.errors import UsageError
from rkparity.flow.quantized.samples import Sample, check_one_shape


def sample(*shapes: tuple[int, ...]) -> Sample:
    return Sample((), tuple(np.zeros(shape, np.float32) for shape in shapes))


def test_samples_of_one_shape_pass() -> None:
    check_one_shape([sample((1, 3, 9, 30), (1, 5))] * 2, [sample((1, 3, 9, 30), (1, 5))])
    check_one_shape([], [sample((1, 4))])


def test_samples_of_two_shapes_are_named() -> None:
    with pytest.raises(UsageError, match=r"have 1x3x9x30, 1x5; 1x3x27x60, 1x5$") as caught:
        check_one_shape([sample((1, 3, 27, 60), (1, 5))], [sample((1, 3, 9, 30), (1, 5))])
    assert "give [input] files of its shapes" in caught.value.hint
