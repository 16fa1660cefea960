"""Turn a snapshot folder written by rknn-toolkit2's accuracy_analysis (1.4 to 2.5.0) into runs: OUT/golden,
OUT/simulator and, where the toolkit pulled a board's dumps, OUT/runtime."""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.errors import ExitCode, UsageError
from rkparity.io import check_folder_name


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("snapshot", type=Path, metavar="SNAPSHOT", help="the output_dir of accuracy_analysis")
    parser.add_argument(
        "--model", type=Path, metavar="M.rknn", help="compiled model: adds scales, zero points and outputs"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--force", action="store_true", help="replace existing runs")


def run(arguments: argparse.Namespace) -> int:
    """Copies the tensors and prints what came out."""
    from rkparity.model import read_model
    from rkparity.toolkit.import_snapshot import import_snapshot
    from rkparity.toolkit.snapshot import open_snapshot

    check_folder_name(arguments.output)
    if not arguments.snapshot.is_dir():
        raise UsageError(f"{arguments.snapshot}: is not a folder")
    model = None if arguments.model is None else read_model(arguments.model)
    snapshot = open_snapshot(arguments.snapshot, model=model)
    for warning in snapshot.warnings:
        print(f"warning: {warning}")
    for reader in import_snapshot(snapshot, arguments.output, force=arguments.force):
        tensors = reader.manifest.tensors
        print(f"{reader.path}: {len(tensors)} tensors, {reader.manifest.precision.value}")
        for tensor in tensors:
            if tensor.not_comparable:
                print(f"  not comparable: {tensor.name}: {tensor.not_comparable}")
    return int(ExitCode.PASS)
