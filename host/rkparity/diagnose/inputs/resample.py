"""Resizing along one axis as indices and weights, with the half-pixel conventions of the common libraries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHODS = {
    "bilinear": "bilinear, pixel centres (OpenCV INTER_LINEAR)",
    "nearest": "nearest, floor of the coordinate (OpenCV INTER_NEAREST)",
    "nearest_center": "nearest, pixel centres (Pillow NEAREST, INTER_NEAREST_EXACT)",
    "area": "area average (OpenCV INTER_AREA)",
    "cubic": "bicubic, pixel centres (OpenCV INTER_CUBIC)",
    "bilinear_corners": "bilinear, corners aligned",
    "bilinear_asymmetric": "bilinear without the half-pixel offset",
    "pillow_bilinear": "bilinear with antialiasing (Pillow BILINEAR)",
    "pillow_bicubic": "bicubic with antialiasing (Pillow BICUBIC)",
    "pillow_lanczos": "Lanczos with antialiasing (Pillow LANCZOS)",
}


@dataclass(frozen=True)
class Taps:
    """For every output position: `index` (n, k) of the source, `weight` (n, k), and whether it lies inside.

    `entered`: positions that came in when the picture was moved; None when it was not.
    """

    index: NDArray[Any]
    weight: NDArray[Any]
    inside: NDArray[Any]
    entered: NDArray[Any] | None = None


def resize_taps(source: int, target: int, method: str) -> Taps | None:
    """The taps of resizing `source` positions to `target`; None where the method does not apply."""
    import numpy as np

    place = np.arange(target, dtype=np.float64)
    ratio = source / target
    inside = np.ones(target, bool)
    if method == "nearest":
        index = np.minimum(np.floor(place * ratio), source - 1)[:, None]
        return Taps(index.astype(np.int64), np.ones((target, 1)), inside)
    if method == "nearest_center":
        index = np.minimum(np.floor((place + 0.5) * ratio), source - 1)[:, None]
        return Taps(index.astype(np.int64), np.ones((target, 1)), inside)
    if method in ("bilinear", "bilinear_corners", "bilinear_asymmetric"):
        if method == "bilinear":
            at = (place + 0.5) * ratio - 0.5
        elif method == "bilinear_asymmetric":
            at = place * ratio
        else:
            at = place * ((source - 1) / max(target - 1, 1))
        at = np.clip(at, 0, source - 1)
        low = np.minimum(np.floor(at), max(source - 2, 0))
        part = at - low
        index = np.stack([low, np.minimum(low + 1, source - 1)], axis=1)
        weight = np.stack([1 - part, part], axis=1)
        if method == "bilinear":
            # OpenCV keeps weights of 11 bits for uint8 pictures.
            weight = np.rint(weight.astype(np.float32) * 2048) / 2048
        return Taps(index.astype(np.int64), weight, inside)
    if method == "cubic":
        at = (place + 0.5) * ratio - 0.5
        low = np.floor(at)
        steps = np.arange(-1, 3)
        weight = _cubic((at - low)[:, None] - steps, -0.75)
        index = np.clip(low[:, None] + steps, 0, source - 1)
        return Taps(index.astype(np.int64), weight, inside)
    if method == "area":
        if source < target:
            return None
        return _filtered(source, target, inside, 0.0)
    kernel = {"pillow_bilinear": 1.0, "pillow_bicubic": 2.0, "pillow_lanczos": 3.0}[method]
    return _filtered(source, target, inside, kernel)


def _filtered(source: int, target: int, inside: NDArray[Any], support: float) -> Taps:
    import numpy as np

    ratio = source / target
    stretch = max(ratio, 1.0)
    center = (np.arange(target) + 0.5) * ratio
    reach = 0.5 * ratio if support == 0.0 else support * stretch
    # Pillow rounds both ends of the window to the nearest source pixel.
    first = np.floor(center - reach) if support == 0.0 else np.maximum(np.floor(center - reach + 0.5), 0)
    count = math.ceil(2 * reach) + 2
    index = first[:, None] + np.arange(count)
    if support == 0.0:
        low, high = (center - reach)[:, None], (center + reach)[:, None]
        weight = np.clip(np.minimum(index + 1, high) - np.maximum(index, low), 0, None)
    else:
        end = np.minimum(np.floor(center + reach + 0.5), source)[:, None]
        distance = (index + 0.5 - center[:, None]) / stretch
        weight = {1.0: _triangle, 2.0: _cubic_half, 3.0: _lanczos}[support](distance) * (index < end)
    weight = weight * ((index >= 0) & (index < source))
    weight = weight / weight.sum(axis=1, keepdims=True)
    return Taps(np.clip(index, 0, source - 1).astype(np.int64), weight, inside)


def _triangle(distance: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.asarray(np.clip(1 - np.abs(distance), 0, None))


def _cubic_half(distance: NDArray[Any]) -> NDArray[Any]:
    return _cubic(distance, -0.5)


def _lanczos(distance: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


def _cubic(distance: NDArray[Any], a: float) -> NDArray[Any]:
    import numpy as np

    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = (((d - 5) * d + 8) * d - 4) * a
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def placed(taps: Taps, start: int, length: int, first: int = 0) -> Taps:
    """The taps put at `start` of an axis of `length` positions (`first`: added to the source's index)."""
    import numpy as np

    count = taps.index.shape[0]
    begin, end = max(start, 0), min(start + count, length)
    index = np.zeros((length, taps.index.shape[1]), np.int64)
    weight = np.zeros((length, taps.index.shape[1]))
    inside = np.zeros(length, bool)
    if end > begin:
        index[begin:end] = taps.index[begin - start : end - start] + first
        weight[begin:end] = taps.weight[begin - start : end - start]
        inside[begin:end] = True
    return Taps(index, weight, inside)
