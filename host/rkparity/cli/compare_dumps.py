"""Compares a board's dumps with the simulator, layer by layer.

DUMPS is a folder of the files librknnrt wrote (RKNN_LOG_LEVEL=5), or a run made by `rkparity run` or `rkparity pull`.
REFERENCE is what `rkparity simulate` wrote, one of its runs, or a snapshot folder of rknn-toolkit2's accuracy_analysis.

The input is proven equal first. Then every layer gets a verdict; the first failing one in execution order is the first
divergence. docs/compare-dumps.md explains the result, docs/thresholds.md the limits.

Exit codes: 0 pass, 1 divergence, 2 usage, 3 nothing diverges but something expected was damaged, missing or refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import UsageError

if TYPE_CHECKING:
    from rkparity.compare.source import TensorSource
    from rkparity.model import Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("dumps", metavar="DUMPS", type=Path, help="folder of dump files, or a board run")
    parser.add_argument("reference", metavar="REFERENCE", type=Path, help="simulator run, or toolkit snapshot folder")
    parser.add_argument(
        "--model",
        metavar="M.rknn",
        type=Path,
        help="the compiled model the board ran: names, scales, mean/std and the graph are taken from it",
    )
    parser.add_argument(
        "--golden",
        metavar="RUN",
        type=Path,
        help="float run of the same conversion (found by itself beside the simulator's)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result as JSON (docs/comparison-json.md)")
    parser.add_argument("--thresholds", metavar="FILE", type=Path, help="TOML file with limits (docs/thresholds.md)")
    parser.add_argument("--force", action="store_true", help="replace FILE of --json if it exists")
    parser.add_argument("--all", action="store_true", help="list every layer and everything not compared")
    parser.add_argument(
        "--per-channel",
        metavar="NAME",
        action="append",
        default=[],
        help="score every channel of this layer (tensor or dump name, or glob); results go to the JSON",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compares, prints, writes the JSON; returns the exit code."""
    from rkparity.compare.thresholds import Thresholds, read_thresholds

    if arguments.json is not None:
        from rkparity.compare.result_json import check_writable

        check_writable(arguments.json, force=arguments.force)
    if arguments.per_channel and arguments.json is None:
        raise UsageError("--per-channel: its scores are written to the JSON", hint="give --json FILE too")
    thresholds = read_thresholds(arguments.thresholds) if arguments.thresholds is not None else Thresholds()
    if not arguments.dumps.is_dir():
        what = "is a file, not a folder" if arguments.dumps.exists() else "does not exist"
        raise UsageError(f"{arguments.dumps}: dump folder {what}", hint="the dumps come first, the reference second")
    model = _open_model(arguments.model)
    reference, golden = open_reference(arguments.reference, model)
    if arguments.golden is not None:
        golden = open_golden(arguments.golden, model)

    from rkparity.compare.pipeline import compare_runs
    from rkparity.report.terminal import print_comparison

    comparison = compare_runs(
        arguments.dumps, reference, model=model, golden=golden, thresholds=thresholds, per_channel=arguments.per_channel
    )
    if arguments.json is not None:
        from rkparity.compare.result_json import write_json

        write_json(comparison, arguments.json)
    print_comparison(comparison, every_layer=arguments.all)
    if arguments.json is not None:
        print(f"JSON: {arguments.json}")
    return int(comparison.exit_code)


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


def _open_model(path: Path | None) -> Model | None:
    if path is None:
        return None
    from rkparity.model import read_model

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"--model {path}: {what}", hint="give the .rknn file that the board ran")
    return read_model(path)


def main() -> int:
    """Entry point of the command `compare-dumps`."""
    import sys

    from rkparity.cli.main import run_command
    from rkparity.cli.registry import COMMANDS

    command = next(command for command in COMMANDS if command.name == "compare-dumps")
    return run_command(command, sys.argv[1:], prog="compare-dumps")


if __name__ == "__main__":
    raise SystemExit(main())
