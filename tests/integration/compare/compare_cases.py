"""Boards that compute what the simulator computes: dumps made of a snapshot's own tensors."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rkparity.model import Model, read_model

DATA = Path(__file__).parents[2] / "data"


def unpack(name: str, folder: Path) -> Path:
    """Unpacks one of the zip files of tests/data/compare."""
    with zipfile.ZipFile(DATA / "compare" / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


def model_path(case: str) -> Path:
    """The compiled model of a case such as cnn_classifier_int8."""
    return DATA / "models" / f"{case}.rknn"


def write_board(folder: Path, snapshot: Path, case: str, *, pixels: bool = True) -> Path:
    """Writes the dumps a perfect board would; images are given as uint8 pixels or, without `pixels`, as floats."""
    folder.mkdir()
    model = read_model(model_path(case))
    for item in model.expected_dumps():
        values, suffix = simulated(snapshot, item.tensor.name, quantized=item.tensor.is_quantized), "float"
        if item.op_type == "InputOperator" and item.tensor.is_quantized and pixels and values.ndim == 4:
            values, suffix = raw_pixels(snapshot, model, item.tensor.name), "uint8"
        elif item.op_type == "InputOperator" and not item.tensor.is_quantized:
            values = values.astype(np.float16).astype(np.float32)
        np.save(folder / f"{item.stem}_{suffix}.npy", values.reshape(shape_of(item.stem)))
    return folder


def simulated(snapshot: Path, name: str, *, quantized: bool) -> NDArray[np.float32]:
    """The simulator's tensor as the board would dump it."""
    stem = name.translate(str.maketrans("/:.;", "____"))
    twin = snapshot / "simulator" / "npy" / f"{stem}_int8.npy"
    array: NDArray[np.float32] = np.load(twin if quantized and twin.exists() else twin.with_name(f"{stem}.npy"))
    return array


def raw_pixels(snapshot: Path, model: Model, name: str) -> NDArray[np.uint8]:
    """The picture the snapshot was made with, NCHW: its normalised input before (x - mean) / std."""
    known = next(item for item in model.normalization if item.name == name)
    values = simulated(snapshot, name, quantized=False).astype(np.float64)
    mean, std = (np.resize(value, values.shape[1]).reshape(1, -1, 1, 1) for value in (known.mean, known.std))
    pixels = np.rint(values * std + mean)
    assert np.abs(values * std + mean - pixels).max() < 1e-3
    return pixels.astype(np.uint8)


def shape_of(stem: str) -> tuple[int, ...]:
    """The shape a dump's name gives."""
    return tuple(int(size) for size in stem.rsplit("_shape_", 1)[1].split("_"))


def dump(folder: Path, index: int) -> Path:
    """The dump of one operator."""
    return next(folder.glob(f"{index:03d}_*.npy"))


def change(path: Path, values: NDArray[np.float32]) -> None:
    """Replaces a dump's values."""
    np.save(path, values)
