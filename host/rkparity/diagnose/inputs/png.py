"""Writes a picture as PNG with the standard library."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.io import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_PIXELS = 1 << 24


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """(H, W, 1|3|4) numbers, cut to 0..255 and rounded, as an 8-bit PNG; very large pictures are thinned out."""
    import numpy as np

    step = 1
    while (pixels.shape[0] // step) * (pixels.shape[1] // step) > _MOST_PIXELS:
        step += 1
    pixels = np.nan_to_num(pixels[::step, ::step].astype(np.float32), posinf=255.0, neginf=0.0)
    data = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if data.shape[2] == 2:
        data = data[:, :, :1]
    elif data.shape[2] > 4:
        data = data[:, :, :3]
    height, width, channels = data.shape
    rows = np.zeros((height, width * channels + 1), np.uint8)
    rows[:, 1:] = data.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    data_of_file = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + _chunk(b"IEND", b"")
    )
    with replacing(path) as file:
        file.write(data_of_file)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
