"""Colours that went through 4:2:0 (NV12): halved, and moved against the brightness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.decoded_pictures import DecodedPicture
from rkparity.diagnose.inputs.estimated import moves
from rkparity.diagnose.inputs.geometry import Geometry, unchanged
from rkparity.diagnose.inputs.records import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

# BT.601 in full range, as in JFIF: what OpenCV's and libjpeg's conversions use for pictures in memory.
_RED, _BLUE = 0.299, 0.114
_FARTHEST = 32


def subsampled(view: DecodedPicture, geometry: Geometry) -> Iterator[Geometry]:
    """The geometry's picture with colours of half resolution, where it is and moved as the view's own colours show.

    Three channels only. The colours are halved after everything else was done to the picture.
    """
    import numpy as np

    picture, region = geometry.full()
    if picture.shape[2] != 3:
        return
    red, green, blue = picture[:, :, 0], picture[:, :, 1], picture[:, :, 2]
    luma = _RED * red + (1 - _RED - _BLUE) * green + _BLUE * blue
    chroma = np.rint(np.stack([(blue - luma) / (2 * (1 - _BLUE)), (red - luma) / (2 * (1 - _RED))], axis=2))
    halved = _halved(chroma)
    luma = np.rint(luma)
    seen = [view.plane(channel) for channel in range(3)]
    wanted = [halved[:, :, 1], halved[:, :, 0]]
    found = {(0, 0)}
    for (first, second), plane in zip(((0, 1), (2, 1)), wanted):
        near = moves(seen[first] - seen[second], plane)
        # Colours move by whole chroma pixels.
        found |= {(2 * round(down / 2), 2 * round(right / 2)) for down, right in near}
    for down, right in sorted(found):
        if max(abs(down), abs(right)) > _FARTHEST:
            continue
        moved = np.roll(halved, (down, right), axis=(0, 1))
        blue_part, red_part = moved[:, :, 0], moved[:, :, 1]
        made_red, made_blue = luma + 2 * (1 - _RED) * red_part, luma + 2 * (1 - _BLUE) * blue_part
        made_green = (luma - _RED * made_red - _BLUE * made_blue) / (1 - _RED - _BLUE)
        made = np.clip(np.rint(np.stack([made_red, made_green, made_blue], axis=2)), 0, 255).astype(np.uint8)
        if (down, right) == (0, 0):
            step = Step("colour.chroma_halved", "the colours have half the resolution (4:2:0)")
        else:
            step = Step(
                "colour.chroma_shift",
                f"the colours are moved by {right} to the right and {down} down against the brightness",
                {"right": right, "down": down},
            )
        item = unchanged(made, (*geometry.steps, step), f"{geometry.family}+chroma{down},{right}")
        yield replace(item, fixed_region=region if region.any() else None)


def _halved(chroma: NDArray[Any]) -> NDArray[Any]:
    """Every 2x2 block replaced by its rounded mean, as 4:2:0 does."""
    import numpy as np

    height, width = chroma.shape[0] // 2 * 2, chroma.shape[1] // 2 * 2
    blocks = chroma[:height, :width].reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
    blocks = np.floor(blocks + 0.5)
    result: NDArray[Any] = chroma.copy()
    result[:height, :width] = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
    return result
