"""Opening what commands are given: the reference, its golden run, the compiled model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import UsageError

if TYPE_CHECKING:
    from rkparity.compare.source import TensorSource
    from rkparity.model import Model


def open_reference(path: Path, model: Model | None) -> tuple[TensorSource, TensorSource | None]:
    """The simulator's run at `path` and the golden one that belongs to it, if there is one.

    `path` is a run, a folder with the runs `simulator` and `golden`, or a toolkit snapshot; else UsageError is raised.
    """
    from rkparity.runs import Engine, RunReader
    from rkparity.runs.manifest import MANIFEST_NAME

    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise UsageError(f"{path}: reference {what}", hint="give what `rkparity simulate` wrote, or a toolkit snapshot")
    if (path / MANIFEST_NAME).is_file():
        reader = RunReader.open(path)
        if reader.manifest.engine in (Engine.BOARD, Engine.APP):
            raise UsageError(
                f"{path}: is a run of the {reader.manifest.engine.value}; it cannot be the reference",
                hint="the dumps come first, the reference second: compare-dumps DUMPS REFERENCE",
            )
        sibling = path.absolute().parent / "golden"
        beside = reader.manifest.engine is Engine.SIMULATOR and (sibling / MANIFEST_NAME).is_file()
        return reader, RunReader.open(sibling) if beside else None
    if (path / "simulator" / MANIFEST_NAME).is_file():
        has_golden = (path / "golden" / MANIFEST_NAME).is_file()
        return RunReader.open(path / "simulator"), RunReader.open(path / "golden") if has_golden else None

    from rkparity.toolkit.snapshot import is_snapshot, open_snapshot

    if not is_snapshot(path):
        raise UsageError(
            f"{path}: is neither a run nor a toolkit snapshot",
            hint="give what `rkparity simulate` wrote, or the output_dir of accuracy_analysis",
        )
    snapshot = open_snapshot(path, model=model)
    return snapshot.simulator, snapshot.golden


def open_golden(path: Path, model: Model | None) -> TensorSource:
    """The golden run named by --golden: a run of the golden engine, or a folder or snapshot that holds one."""
    from rkparity.runs import Engine, RunReader
    from rkparity.runs.manifest import MANIFEST_NAME

    if (path / MANIFEST_NAME).is_file():
        reader = RunReader.open(path)
        if reader.manifest.engine is not Engine.GOLDEN:
            raise UsageError(f"--golden {path}: is a run of the {reader.manifest.engine.value}, not of golden")
        return reader
    golden = open_reference(path, model)[1]
    if golden is None:
        raise UsageError(
            f"--golden {path}: holds no golden run", hint="`rkparity simulate` writes one beside the simulator's"
        )
    return golden


def open_model(path: Path | None) -> Model | None:
    """The compiled model of --model; None when it is not given."""
    if path is None:
        return None
    from rkparity.model import read_model

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"--model {path}: {what}", hint="give the .rknn file that the board ran")
    return read_model(path)
