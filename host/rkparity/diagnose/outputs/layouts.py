"""Orders in which an application may meet or read an output's elements, as index maps into the model's own order.

NC1HWC2: element (n, c, h, w) is at ((n*C1 + c/C2)*H*W + h*W + w)*C2 + c%C2 (RKNN manual, native layout). C2 is 4, 8 or
16 by chip and type. A surface is padded to 4 pixels (evidence 160_zc_out_native_i8: 270 becomes 272).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCKS = (16, 8, 4, 32)
_ROW_ALIGNMENTS = (16, 8, 4, 32, 64)


@dataclass(frozen=True)
class Order:
    """One way the elements may lie. `positions()` has, for each place of the observed buffer, the place in the model's
    own order, or -1 for padding. `cost` grows with the number of mistakes it takes."""

    id: str
    text: str
    cost: float
    positions: Callable[[], NDArray[Any]]


def orders(shape: tuple[int, ...]) -> Iterator[Order]:
    """The orders worth trying for a tensor of `shape`, the model's own first."""
    import numpy as np

    size = int(np.prod(shape, dtype=np.int64))
    yield Order("", "", 0.0, lambda: np.arange(size))
    if len(shape) != 4 or size < 2:
        return
    batch, channels, height, width = shape
    plain = np.arange(size).reshape(shape)
    if channels > 1 and height * width > 1:
        yield Order("nhwc", "NHWC", 1.0, lambda: plain.transpose(0, 2, 3, 1).reshape(-1))
        yield Order(
            "nchw-as-nhwc",
            "NCHW taken for NHWC and converted",
            1.1,
            lambda: plain.reshape(batch, height, width, channels).transpose(0, 3, 1, 2).reshape(-1),
        )
    for block in _BLOCKS:
        if channels == block:
            # The same order as NHWC, but for the padding of surfaces.
            continue
        yield Order(f"nc1hwc2-{block}", f"NC1HWC2 with C2 = {block}", 1.0, partial(_native, plain, block, 1))
        if (height * width) % 4:
            yield Order(
                f"nc1hwc2-{block}-padded",
                f"NC1HWC2 with C2 = {block}, surfaces padded to 4 pixels",
                1.05,
                partial(_native, plain, block, 4),
            )
        if channels > 1 and height * width > 1:
            yield Order(
                f"nchw-as-nc1hwc2-{block}",
                f"NCHW taken for NC1HWC2 with C2 = {block} and converted",
                1.15,
                partial(_unpacked, shape, block),
            )
    for alignment in _ROW_ALIGNMENTS:
        if width % alignment and width > 1:
            yield Order(
                f"stride-{_up(width, alignment)}",
                f"rows of {_up(width, alignment)} instead of {width} elements",
                1.1,
                partial(_padded, plain, alignment),
            )
    if height > 1 and width > 1:
        yield Order("hw-swapped", "height and width swapped", 1.2, lambda: plain.transpose(0, 1, 3, 2).reshape(-1))


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _native(plain: NDArray[Any], block: int, pixels: int) -> NDArray[Any]:
    import numpy as np

    batch, channels, height, width = plain.shape
    surface = _up(height * width, pixels)
    groups = _up(channels, block) // block
    packed = np.full((batch, groups * block, surface), -1, dtype=np.int64)
    packed[:, :channels, : height * width] = plain.reshape(batch, channels, -1)
    native: NDArray[Any] = packed.reshape(batch, groups, block, surface).transpose(0, 1, 3, 2)
    return native.reshape(-1)


def _unpacked(shape: tuple[int, ...], block: int) -> NDArray[Any]:
    """Where a conversion from NC1HWC2 looks for each element in a buffer that is NCHW; -1 beyond its end."""
    import numpy as np

    batch, channels, height, width = shape
    groups = _up(channels, block) // block
    n, c, p = np.meshgrid(np.arange(batch), np.arange(channels), np.arange(height * width), indexing="ij")
    places = ((n * groups + c // block) * height * width + p) * block + c % block
    known: NDArray[Any] = np.where(places < batch * channels * height * width, places, -1)
    return known.reshape(-1)


def _padded(plain: NDArray[Any], alignment: int) -> NDArray[Any]:
    import numpy as np

    width = plain.shape[3]
    padded = np.full((*plain.shape[:3], _up(width, alignment)), -1, dtype=np.int64)
    padded[..., :width] = plain
    return padded.reshape(-1)
