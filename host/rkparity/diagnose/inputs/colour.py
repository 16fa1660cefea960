"""Colours that were mixed: channel orders, YUV decoded by another standard, and 4:2:0 (NV12) with its moved halves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import DecodedPicture
from rkparity.diagnose.inputs.candidates import moves
from rkparity.diagnose.inputs.geometry import Geometry, unchanged
from rkparity.diagnose.inputs.problem import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KR_KB = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722)}


@dataclass(frozen=True)
class Colour:
    """Stages of out = matrix @ in + offset, per pixel, each rounded and cut to 0..255; then channels are put in order.

    YUV is kept in 8 bits between encoding and decoding, hence two stages. `order` is which channel each observed one
    holds; with no stages it is all that happens.
    """

    steps: tuple[Step, ...]
    stages: tuple[tuple[NDArray[Any], NDArray[Any]], ...]
    order: tuple[int, ...]

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels, channels last."""
        import numpy as np

        for matrix, offset in self.stages:
            mixed = pixels.astype(np.float32) @ matrix.T.astype(np.float32) + offset.astype(np.float32)
            pixels = np.clip(np.rint(mixed), 0, 255)
        return pixels[..., list(self.order)]


def orders(channels: int) -> list[Colour]:
    """Every order of up to four channels; the right one first."""
    result = []
    for order in itertools.permutations(range(channels)) if channels <= 4 else [tuple(range(channels))]:
        steps: tuple[Step, ...] = ()
        if order != tuple(range(channels)):
            names = "RGBA"[:channels] if channels in (3, 4) else "0123"[:channels]
            seen = "".join(names[index] for index in order)
            reverse = order in ((2, 1, 0), (2, 1, 0, 3))
            identifier = "channels.swapped" if reverse else "channels.order"
            text = f"the channels come as {seen} where {names} is expected"
            steps = (Step(identifier, text, {f"channel_{i}": index for i, index in enumerate(order)}),)
        result.append(Colour(steps, (), order))
    return result


def _encode(standard: str, full: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """RGB to YUV as matrix and offset, 8 bits (ITU-R BT.601, BT.709; full range as in JFIF)."""
    import numpy as np

    red, blue = _KR_KB[standard]
    luma = np.array([red, 1 - red - blue, blue])
    chroma_blue = (np.array([0, 0, 1.0]) - luma) / (2 * (1 - blue))
    chroma_red = (np.array([1.0, 0, 0]) - luma) / (2 * (1 - red))
    matrix = np.stack([luma, chroma_blue, chroma_red])
    if full:
        return matrix, np.array([0.0, 128.0, 128.0])
    return matrix * np.array([[219.0], [224.0], [224.0]]) / 255.0, np.array([16.0, 128.0, 128.0])


def mixes() -> list[Colour]:
    """Pictures of three channels in YUV given as RGB, or decoded by another standard, range or chroma order."""
    import numpy as np

    spaces = [(name, full) for name in _KR_KB for full in (False, True)]
    result = []

    def add(identifier: str, text: str, *stages: tuple[NDArray[Any], NDArray[Any]]) -> None:
        result.append(Colour((Step(identifier, text),), stages, (0, 1, 2)))

    swap = np.eye(3)[[0, 2, 1]]
    for name, full in spaces:
        encode, shift = _encode(name, full)
        said = f"{name} {'full' if full else 'limited'} range"
        add("colour.yuv_as_rgb", f"Y, U, V ({said}) are given as R, G, B", (encode, shift))
        add("colour.yuv_as_rgb", f"Y, V, U ({said}) are given as R, G, B", (swap @ encode, shift))
        for other, other_full in spaces:
            decode, other_shift = _encode(other, other_full)
            decode = np.linalg.inv(decode)
            back = (decode, -decode @ other_shift)
            if (name, full) != (other, other_full):
                wrong = f"{other} {'full' if other_full else 'limited'} range"
                kind = "colour.yuv_range" if name == other else "colour.yuv_standard"
                if name != other and full != other_full:
                    kind = "colour.yuv_standard_and_range"
                add(kind, f"YUV of {said} was decoded as {wrong}", (encode, shift), back)
            else:
                text = f"U and V are exchanged (NV12 decoded as NV21; {said})"
                add("colour.uv_swapped", text, (swap @ encode, shift), back)
    return result


def grey(channels: int) -> list[Colour]:
    """The grey picture in every channel, with BT.601's weights in both channel orders."""
    import numpy as np

    if channels != 3:
        return []
    weights = (np.array([0.299, 0.587, 0.114]), np.array([0.114, 0.587, 0.299]))
    step = Step("colour.grey", "all channels hold the grey picture")
    return [Colour((step,), ((np.tile(item, (3, 1)), np.zeros(3)),), (0, 1, 2)) for item in weights]


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
