"""What an NPU does to a tensor: the rounding noise of a healthy one, and faults of many shapes and sizes."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

Array = Any
FEW_CHANNELS = 2
FLOAT16_LARGEST = 65504.0


class Grid:
    """A quantised tensor's codes: value = (q - zero_point) * scale; `scale` 0 stands for float16."""

    def __init__(self, scale: float, zero_point: int) -> None:
        self.scale, self.zero_point = scale, zero_point

    def codes(self, values: Array) -> Array:
        """The nearest codes, within int8."""
        return np.clip(np.rint(values / np.float32(self.scale)) + self.zero_point, -128, 127)

    def put(self, values: Array) -> Array:
        """The values as the board can hold them."""
        if not self.scale:
            return np.clip(values, -FLOAT16_LARGEST, FLOAT16_LARGEST).astype(np.float16).astype(np.float32)
        return ((self.codes(values) - self.zero_point) * np.float32(self.scale)).astype(np.float32)


def noisy(values: Array, grid: Grid, noise: Mapping[str, float], random: Any) -> Array:
    """The tensor with a healthy NPU's rounding.

    Quantised: a share `one` of the elements is off by one code, `two` by two. float16: every element by up to `ulps`
    of its own steps.
    """
    if not values.size or not np.isfinite(values).all():
        return values
    if grid.scale:
        draw = random.random(values.shape)
        size = np.where(draw < noise["two"], 2, np.where(draw < noise["two"] + noise["one"], 1, 0))
        sign = np.where(random.random(values.shape) < 0.5, -1, 1)
        codes = np.clip(grid.codes(values) + size * sign, -128, 127)
        return ((codes - grid.zero_point) * np.float32(grid.scale)).astype(np.float32)
    rounded = np.clip(values, -FLOAT16_LARGEST, FLOAT16_LARGEST).astype(np.float16)
    step = np.abs(np.spacing(rounded)).astype(np.float32)
    most = int(noise["ulps"])
    off = random.integers(-most, most + 1, values.shape).astype(np.float32)
    # What is exactly zero (behind a ReLU, padding) stays so.
    return grid.put(np.where(rounded == 0, 0, rounded.astype(np.float32) + off * step))


def _part(array: Array, axis: int, start: int, stop: int) -> Array:
    place: list[Any] = [slice(None)] * array.ndim
    place[axis] = slice(start, stop)
    return array[tuple(place)]


def _column(array: Array, grid: Grid, random: Any) -> Array:
    at = int(random.integers(array.shape[-1]))
    _part(array, -1, at, at + 1)[...] = 0
    return array


def _row(array: Array, grid: Grid, random: Any) -> Array:
    at = int(random.integers(array.shape[-2]))
    _part(array, -2, at, at + 1)[...] = 0
    return array


def _tile(array: Array, grid: Grid, random: Any) -> Array:
    height, width = max(array.shape[-2] // 4, 1), max(array.shape[-1] // 4, 1)
    top = int(random.integers(array.shape[-2] - height + 1))
    left = int(random.integers(array.shape[-1] - width + 1))
    array[..., top : top + height, left : left + width] = 0
    return array


def _channel(factor: float) -> Callable[..., Array]:
    def change(array: Array, grid: Grid, random: Any) -> Array:
        at = int(random.integers(array.shape[1]))
        _part(array, 1, at, at + 1)[...] *= np.float32(factor)
        return array

    return change


def _scaled(factor: float) -> Callable[..., Array]:
    return lambda array, grid, random: array * np.float32(factor)


def _shifted(array: Array, grid: Grid, random: Any) -> Array:
    step = 2 * grid.scale if grid.scale else float(np.abs(array).max()) * 2.0**-6
    return array + np.float32(step)


def _border(array: Array, grid: Grid, random: Any) -> Array:
    for axis in (-1, -2):
        _part(array, axis, 0, 1)[...] = 0
        _part(array, axis, array.shape[axis] - 1, array.shape[axis])[...] = 0
    return array


def _transposed(array: Array, grid: Grid, random: Any) -> Array:
    return np.ascontiguousarray(array.swapaxes(-1, -2)).reshape(array.shape)


def _nan(array: Array, grid: Grid, random: Any) -> Array:
    flat = array.reshape(-1)
    flat[int(random.integers(flat.size))] = np.nan
    return array


def _tail(array: Array, grid: Grid, random: Any) -> Array:
    flat = array.reshape(-1)
    flat[flat.size - max(flat.size // 16, 1) :] = 0
    return array


def _one_element(array: Array, grid: Grid, random: Any) -> Array:
    flat = array.reshape(-1)
    at = int(random.integers(flat.size))
    step = 4 * grid.scale if grid.scale else float(np.abs(array).max()) / 8
    flat[at] += -step if grid.scale and flat[at] > 0 else step
    return array


# A fault changes a copy of what the operator computed. `stale` and `older` need other values and are made in board.py.
FAULTS: dict[str, Callable[..., Array]] = {
    "column zero": _column,
    "row zero": _row,
    "tile zero": _tile,
    "channel zero": _channel(0.0),
    "channel halved": _channel(0.5),
    "x1.05": _scaled(1.05),
    "x1.15": _scaled(1.15),
    "+2 LSB": _shifted,
    "border": _border,
    "transposed": _transposed,
    "NaN": _nan,
    "tail": _tail,
    "one element": _one_element,
}


def fits(fault: str, shape: tuple[int, ...], quantized: bool) -> bool:
    """Whether a tensor of this shape can have the fault."""
    if fault in ("column zero", "row zero", "tile zero", "border", "transposed"):
        return len(shape) >= 3 and min(shape[-2:]) >= 4
    if fault.startswith("channel"):
        return len(shape) >= 2 and shape[1] >= FEW_CHANNELS
    return not (fault == "NaN" and quantized)


def size_of(healthy: Array, faulty: Array, grid: Grid) -> tuple[float, float]:
    """How large a fault is: the largest error in codes (of float16: per cent of the largest value), share of energy."""
    if not np.isfinite(faulty).all():
        return float("inf"), float("inf")
    error = np.abs(faulty.astype(np.float64) - healthy)
    energy = float((healthy.astype(np.float64) ** 2).sum())
    unit = grid.scale or max(float(np.abs(healthy).max()) / 100, 1e-30)
    return float(error.max() / unit), float((error**2).sum() / energy) if energy else float("inf")
