"""Boards that compute what the simulator computes: dumps made of a snapshot's own tensors."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rkparity.cli.main import main
from rkparity.model import Model, read_model
from rkparity.runs import (
    InputForm,
    RunWriter,
)

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


CASES = ("cnn_classifier_int8", "multi_input_int8", "multi_input_fp16")
CNN = "cnn_classifier_int8"
MULTI = "multi_input_int8"
LAYER0 = 3
LAYER0_SCALE = 0.024353744


class Case:
    """One model's snapshot and a perfect board's dumps, in a folder of the test's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.snapshot = unpack(f"{name}_snapshot", folder / "snapshot")
        self.dumps = write_board(folder / "dumps", self.snapshot, name)
        self.model = model_path(name)

    def compare(self, *options: str, model: bool = True, dumps: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Runs compare-dumps; returns its exit code and its JSON."""
        report = self.folder / "report.json"
        arguments = [
            "compare-dumps",
            str(dumps or self.dumps),
            str(self.snapshot),
            "--json",
            str(report),
            "--force",
            *options,
        ]
        code = main([*arguments, "--model", str(self.model)] if model else arguments)
        return code, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}


def pair(result: dict[str, Any], order: int) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in result["pairs"] if item["order"] == order)
    return found


def compare_dumps(*arguments: object) -> int:
    """Runs the command with these arguments and returns its exit code."""
    return main(["compare-dumps", *(str(argument) for argument in arguments)])


def reference_runs(case: Case, folder: Path, *, raw: np.ndarray[Any, Any]) -> Path:
    """The case's snapshot as what `rkparity simulate` writes: two runs and the picture it was given."""
    from rkparity.toolkit.snapshot import open_snapshot

    snapshot = open_snapshot(case.snapshot, model=read_model(case.model))
    for source, name in ((snapshot.golden, "golden"), (snapshot.simulator, "simulator")):
        with RunWriter(folder / name) as writer:
            tensors = [
                replace(
                    writer.add_tensor(
                        record.name,
                        np.asarray(source.tensor(record)),
                        order=record.order,
                        op_type=record.op_type,
                        role=record.role,
                        scale=record.scale,
                        zero_point=record.zero_point,
                    ),
                    not_comparable=record.not_comparable,
                )
                for record in source.manifest.tensors
            ]
            given = writer.add_input("input", raw, layout="NHWC", form=InputForm.RAW)
            writer.finish(replace(source.manifest, tensors=tuple(tensors), inputs=(given,)))
    return folder
