"""How tensors lie in the NPU's memory, and back.

NC1HWC2: channels in groups of C2, each group a surface of H x W points of C2 elements. What the NPU writes has
surfaces rounded up to a multiple of 4 points, 1 x 1 not rounded; channels are padded with zeros. Inputs of at most 4
channels are rows of pixels whose width is rounded up; others are NC1HWC2 with surfaces that the tensor's size tells.
Tensors of layout UNDEFINED lie flat. Found with librknnrt 1.5.2 on models of toolkit 2.5.0 (docs/npu.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rkparity.errors import DataError
from rkparity.model import ModelTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLAT = "UNDEFINED"
_ATOM_NBYTES = 16


def element_type(tensor: ModelTensor) -> np.dtype[Any]:
    """The NumPy type of what the NPU holds; a bool is a byte."""
    return np.dtype(np.uint8 if tensor.dtype == "bool" else tensor.dtype)


def codes(tensor: ModelTensor, values: NDArray[Any]) -> NDArray[Any]:
    """The simulator's values of a tensor as the NPU holds them, flat; DataError when the count differs.

    Quantised: rint(value / scale) + zero point, saturated. Values that are not finite have no code: DataError.
    """
    kind = element_type(tensor)
    if values.size != int(np.prod(tensor.shape, dtype=np.int64)):
        raise DataError(f"{tensor.name}: the simulator has {values.size} values for the shape {tensor.shape}")
    flat = values.reshape(-1)
    if tensor.is_quantized:
        info = np.iinfo(kind)
        exact = flat / np.float32(tensor.scale[0])
        np.rint(exact, out=exact)
        exact += np.float32(tensor.zero_point[0])
        if not np.isfinite([exact.min(), exact.max()]).all():
            raise DataError(f"{tensor.name}: the simulator gave values that are not finite for a {tensor.dtype} tensor")
        np.clip(exact, info.min, info.max, out=exact)
        quantized: NDArray[Any] = exact.astype(kind)
        return quantized
    with np.errstate(over="ignore"):
        return flat.astype(kind)


def _extents(tensor: ModelTensor) -> tuple[int, int, int]:
    """(samples, channels, points) of a tensor; dimensions beyond the second are points."""
    shape = (*tensor.shape, 1, 1)[: max(2, len(tensor.shape))]
    return shape[0], shape[1], int(np.prod(shape[2:], dtype=np.int64))


def group_size(tensor: ModelTensor) -> int:
    """C2: channels of one group."""
    if len(tensor.native_dims) == 5 and tensor.native_dims[-1] * element_type(tensor).itemsize in (8, _ATOM_NBYTES):
        return tensor.native_dims[-1]
    return _ATOM_NBYTES // element_type(tensor).itemsize


def native_bytes(tensor: ModelTensor, values: NDArray[Any]) -> bytes:
    """What the NPU writes for `values`, codes in logical order (NCHW)."""
    kind = element_type(tensor)
    if tensor.layout == _FLAT:
        return np.ascontiguousarray(values, kind).tobytes()
    samples, channels, points = _extents(tensor)
    group = group_size(tensor)
    groups = -(-channels // group)
    surface = points if points == 1 else -(-points // 4) * 4
    laid = np.zeros((samples, groups, surface, group), kind)
    padded = np.zeros((samples, groups * group, points), kind)
    padded[:, :channels] = values.reshape(samples, channels, points)
    laid[:, :, :points] = padded.reshape(samples, groups, group, points).transpose(0, 1, 3, 2)
    return laid.tobytes()


def input_values(tensor: ModelTensor, data: bytes, kind: np.dtype[Any]) -> NDArray[Any]:
    """A model input in logical order from the memory's bytes (`tensor.size` of them), elements of type `kind`.

    DataError when the size fits no layout known.
    """
    held = np.frombuffer(data, kind)
    count = int(np.prod(tensor.shape, dtype=np.int64))
    if tensor.layout == _FLAT or len(tensor.shape) != 4:
        if len(held) < count:
            raise DataError(f"input {tensor.name}: its memory has {len(held)} of {count} elements")
        return held[:count]
    samples, channels, height, width = tensor.shape
    if len(tensor.native_dims) == 5 and tensor.native_dims[-1] == channels and tensor.native_dims[1] <= 1:
        stride = len(held) // (samples * height * channels)
        if stride < width:
            raise DataError(f"input {tensor.name}: its memory has rows of {stride} pixels, {width} are needed")
        rows = held[: samples * height * stride * channels].reshape(samples, height, stride, channels)
        return np.ascontiguousarray(rows[:, :, :width].transpose(0, 3, 1, 2)).reshape(-1)
    group = group_size(tensor)
    groups = -(-channels // group)
    surface = len(held) // (samples * groups * group)
    if surface < height * width:
        raise DataError(f"input {tensor.name}: its memory has {surface} of {height * width} points")
    laid = held[: samples * groups * surface * group].reshape(samples, groups, surface, group)
    points = laid[:, :, : height * width].transpose(0, 1, 3, 2).reshape(samples, groups * group, height * width)
    return np.ascontiguousarray(points[:, :channels]).reshape(-1)
