"""The real toolkit and our own small models, for integration tests."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from rkparity.errors import RkparityError
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.spec import BuildSpec, Framework
from support import require

DATA = Path(__file__).resolve().parents[2] / "data" / "toolkit"


@dataclass(frozen=True)
class Case:
    """One evidence case: how to build it and its test input files, in the model's order."""

    folder: Path
    spec: BuildSpec
    inputs: tuple[Path, ...]

    def quantised(self) -> BuildSpec:
        """The int8 build."""
        return replace(self.spec, do_quantization=True, dataset=str(self.folder / "dataset.txt"))


def toolkit_python() -> Path:
    """The interpreter with the toolkit; without one the test is skipped (in CI it fails)."""
    try:
        return find_toolkit_python(None)
    except RkparityError as error:
        require(False, f"{error.message}; {error.hint}")
        raise


def unpack(case: str, folder: Path) -> Case:
    """The evidence case `case`, unpacked under `folder`."""
    with zipfile.ZipFile(DATA / f"{case}.zip") as archive:
        archive.extractall(folder)
    home = folder / case
    settings = json.loads((home / "case.json").read_text(encoding="utf-8"))
    spec = BuildSpec(
        Framework.ONNX,
        str(home / "model.onnx"),
        mean_values=tuple(
            tuple(float(value) for value in values) for values in settings["config"].get("mean_values", [])
        ),
        std_values=tuple(
            tuple(float(value) for value in values) for values in settings["config"].get("std_values", [])
        ),
    )
    return Case(home, spec, tuple(home / name for name in settings["test"]))
