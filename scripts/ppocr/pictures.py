"""Pictures for the PP-OCR models: text lines and pages, from photographs and scans of scikit-image and drawn ones.

Each model gets calibration pictures and held-out ones of the same kind, uint8 (1, H, W, 3) RGB, made as PP-OCR's own
scripts do: a line is scaled to the model's height and padded at the right, a page is scaled to the model's size.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = NDArray[np.uint8]
PHOTOGRAPHS = ("coffee", "chelsea", "rocket", "astronaut", "motorcycle_left", "ihc", "brick", "gravel")
# Rows and columns of text lines in scikit-image's page.png, a photographed page.
PAGE_ROWS = ((8, 40), (46, 67), (64, 85), (81, 103), (98, 121), (116, 139), (167, 190))
PAGE_COLUMNS = ((0, 150), (110, 260), (230, 384))
WORDS = (
    "RECEIPT", "parity", "NPU 6 TOPS", "Total 42.80", "rk3588", "2026-11-22", "Invoice 1047", "Open 9-17", "librknnrt",
    "No entry", "Gate B12", "EXIT", "Platform 4", "www.example.org", "Ward 7", "CAUTION", "Room 301", "+49 30 1234",
    "Net 500 g", "Best before", "Made in", "SALE -30%", "Main Street", "Bus 148", "Serial 0x1F", "Art. 90-441",
)  # fmt: skip


class Photographs:
    """The pictures in a scikit-image wheel."""

    def __init__(self, wheel: Path) -> None:
        self._wheel = wheel

    def read(self, name: str) -> Image.Image:
        """A picture by its name without suffix, as RGB."""
        with zipfile.ZipFile(self._wheel) as archive:
            wanted = [item for item in archive.namelist() if item.startswith(f"skimage/data/{name}.")]
            with archive.open(wanted[0]) as file:
                return Image.open(file).convert("RGB")


def line_pictures(photographs: Photographs, width: int, *, turned: bool) -> list[Pixels]:
    """Text lines 48 high: 21 cut out of a photographed page, 15 drawn; with `turned` every second upside down."""
    page = photographs.read("page")
    lines = [page.crop((left, top, right, bottom)) for top, bottom in PAGE_ROWS for left, right in PAGE_COLUMNS]
    lines += [_drawn_line(photographs, seed) for seed in range(15)]
    return [_padded(line.rotate(180) if turned and number % 2 else line, width) for number, line in enumerate(lines)]


def page_pictures(photographs: Photographs, size: int) -> list[Pixels]:
    """Whole pages and street scenes of `size` x `size`: a scan in several crops, text drawn on photographs."""
    scan = photographs.read("page")
    pictures = []
    for number in range(8):
        random = np.random.default_rng(number)
        left, top = random.integers(0, 120), random.integers(0, 40)
        part = scan.crop((int(left), int(top), int(left) + 240, int(top) + 150)).resize((size, size))
        pictures.append(_array(_shaded(part, random)))
    for number in range(24):
        random = np.random.default_rng(100 + number)
        photograph = photographs.read(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        pictures.append(_array(_written_on(photograph.resize((size, size)), random)))
    return pictures


def mixed(pictures: Sequence[Pixels], held_out: int) -> tuple[list[Pixels], list[Pixels]]:
    """The pictures shuffled: the first `held_out` to measure on, the rest to calibrate with."""
    order = np.random.default_rng(7).permutation(len(pictures))
    shuffled = [pictures[index] for index in order]
    return shuffled[:held_out], shuffled[held_out:]


def fed(pixels: Pixels) -> NDArray[np.float32]:
    """What PP-OCR's own scripts feed: (x / 255 - 0.5) / 0.5 as NCHW float32."""
    array = (pixels.astype(np.float32) / np.float32(255.0) - np.float32(0.5)) / np.float32(0.5)
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def _drawn_line(photographs: Photographs, seed: int) -> Image.Image:
    random = np.random.default_rng(1000 + seed)
    text = " ".join(WORDS[index] for index in random.integers(0, len(WORDS), 2))
    font = ImageFont.load_default(size=int(random.integers(22, 40)))
    left, top, right, bottom = font.getbbox(text)
    width, height = int(right - left) + 12, int(bottom - top) + 12
    if seed % 3 == 0:
        photograph = photographs.read(PHOTOGRAPHS[seed % len(PHOTOGRAPHS)])
        x, y = int(random.integers(0, photograph.width // 2)), int(random.integers(0, photograph.height // 2))
        ground = photograph.crop((x, y, x + width, y + height))
        ink: tuple[int, ...] = (255, 255, 255) if np.asarray(ground).mean() < 128 else (10, 10, 20)
    else:
        light = seed % 2 == 0
        ground = Image.new("RGB", (width, height), _colour(random, 170, 255) if light else _colour(random, 0, 90))
        ink = _colour(random, 0, 90) if light else _colour(random, 170, 255)
    ImageDraw.Draw(ground).text((6 - left, 6 - top), text, fill=ink, font=font)
    return ground.rotate(float(random.uniform(-2, 2)), fillcolor=ground.getpixel((0, 0))).filter(
        ImageFilter.GaussianBlur(float(random.uniform(0, 0.8)))
    )


def _written_on(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    y = int(random.integers(5, 40))
    while y < picture.height - 40:
        font = ImageFont.load_default(size=int(random.integers(18, 46)))
        text = " ".join(WORDS[index] for index in random.integers(0, len(WORDS), int(random.integers(1, 4))))
        x = int(random.integers(4, 160))
        if random.random() < 0.5:
            draw.rectangle([float(v) for v in draw.textbbox((x, y), text, font=font)], fill=_colour(random, 150, 255))
            draw.text((x, y), text, fill=_colour(random, 0, 90), font=font)
        else:
            draw.text((x, y), text, fill=_colour(random, 160, 255), font=font)
        y += int(random.integers(40, 110))
    return picture


def _shaded(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    array = np.asarray(picture).astype(np.float32)
    slope = np.linspace(*random.uniform(0.6, 1.2, 2), array.shape[1], dtype=np.float32)
    tint = random.uniform(0.85, 1.1, 3).astype(np.float32)
    return Image.fromarray(np.clip(array * slope[None, :, None] * tint, 0, 255).astype(np.uint8))


def _padded(line: Image.Image, width: int) -> Pixels:
    scaled = line.resize((min(max(line.width * 48 // line.height, 16), width), 48), Image.Resampling.BILINEAR)
    array = np.full((1, 48, width, 3), 127, np.uint8)
    array[0, :, : scaled.width] = np.asarray(scaled)
    return array


def _array(picture: Image.Image) -> Pixels:
    return np.ascontiguousarray(np.asarray(picture, np.uint8)[np.newaxis])


def _colour(random: np.random.Generator, low: int, high: int) -> tuple[int, ...]:
    values: Any = random.integers(low, high, 3)
    return tuple(int(value) for value in values)
