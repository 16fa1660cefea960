"""Native layouts: known answers, and inputs decoded from what a library leaves in memory."""

from __future__ import annotations

import numpy as np
import pytest

from rkparity.emulator.npu.layout import codes, group_size, input_values, native_bytes
from rkparity.errors import DataError
from rkparity.model import ModelTensor, TensorKind


def tensor(
    shape: tuple[int, ...],
    native: tuple[int, ...],
    dtype: str = "int8",
    layout: str = "NC1HWC2",
    kind: TensorKind = TensorKind.ACTIVATION,
) -> ModelTensor:
    scale, zero_point = ((0.5,), (3,)) if dtype == "int8" else ((), ())
    return ModelTensor("t", dtype, layout, kind, native, shape, scale, zero_point, "layer", (), (), 0)


def test_codes_are_rounded_to_even_shifted_and_saturated() -> None:
    found = codes(tensor((1, 5), (1, 5)), np.array([0.25, 0.75, -1.0, 1000.0, -1000.0], np.float32))
    assert found.tolist() == [3, 5, 1, 127, -128]
    assert found.dtype == np.int8


def test_a_value_without_a_code_is_an_error() -> None:
    with pytest.raises(DataError, match="not finite"):
        codes(tensor((1, 1), (1, 1)), np.array([np.nan], np.float32))
    with pytest.raises(DataError, match="2 values"):
        codes(tensor((1, 1), (1, 1)), np.zeros(2, np.float32))


def test_float16_overflows_to_infinity_as_on_the_npu() -> None:
    assert codes(tensor((1, 1), (1, 1), "float16"), np.array([1e6], np.float32)).tolist() == [np.inf]


def test_surfaces_are_rounded_up_to_four_points_and_channels_padded_with_zeros() -> None:
    values = np.arange(1, 1 + 2 * 5, dtype=np.int8)  # 2 channels, 5 points
    laid = np.frombuffer(native_bytes(tensor((1, 2, 1, 5), (1, 1, 1, 5, 16)), values), np.int8).reshape(8, 16)
    assert laid[:5, 0].tolist() == [1, 2, 3, 4, 5]
    assert laid[:5, 1].tolist() == [6, 7, 8, 9, 10]
    assert not laid[:, 2:].any()
    assert not laid[5:].any()


def test_one_point_is_not_rounded_and_float16_has_eight_channels_a_group() -> None:
    values = np.arange(10, dtype=np.float16)
    item = tensor((1, 10, 1, 1), (1, 2, 1, 1, 8), "float16")
    laid = np.frombuffer(native_bytes(item, values), np.float16)
    assert group_size(item) == 8
    assert laid.tolist() == [*range(10), *[0] * 6]


def test_flat_tensors_stay_as_they_are() -> None:
    values = np.arange(12, dtype=np.int8)
    assert native_bytes(tensor((1, 3, 4), (1, 3, 4), layout="UNDEFINED"), values) == values.tobytes()


def test_rows_of_pixels_are_read_with_their_stride() -> None:
    item = tensor((1, 3, 2, 5), (1, 1, 2, 5, 3), kind=TensorKind.INPUT)
    memory = np.full((2, 16, 3), 99, np.uint8)
    memory[:, :5] = np.arange(30).reshape(2, 5, 3)
    found = input_values(item, memory.tobytes(), np.dtype(np.uint8)).reshape(3, 2, 5)
    assert found[1].tolist() == [[1, 4, 7, 10, 13], [16, 19, 22, 25, 28]]
    with pytest.raises(DataError, match="rows of 4 pixels"):
        input_values(item, memory.tobytes()[:24], np.dtype(np.uint8))


def test_many_channels_are_read_by_groups_whose_surface_the_size_tells() -> None:
    item = tensor((1, 20, 1, 3), (1, 2, 1, 3, 16), kind=TensorKind.INPUT)
    memory = np.zeros((2, 3, 16), np.int8)
    memory[0, :, 0] = [1, 2, 3]
    memory[1, :, 3] = [4, 5, 6]  # channel 19
    found = input_values(item, memory.tobytes(), np.dtype(np.int8)).reshape(20, 3)
    assert found[0].tolist() == [1, 2, 3]
    assert found[19].tolist() == [4, 5, 6]
    with pytest.raises(DataError, match="points"):
        input_values(item, memory.tobytes()[:64], np.dtype(np.int8))
