"""Recompute every layer alone, in the simulator, on the inputs the board itself had: OUT is a run to give to
`rkparity diagnose --resimulated`, which then tells the error a layer makes from the error it inherits. RUN is a board
run or a folder of dumps; M.rknn needs its build record. docs/diagnose.md explains it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.cli.options import add_toolkit_options
from rkparity.errors import ExitCode
from rkparity.io import check_new_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run", metavar="RUN", type=Path, help="board run, or folder of dump files")
    parser.add_argument("--model", metavar="M.rknn", type=Path, required=True, help="the model the board ran")
    parser.add_argument(
        "--layer", action="append", default=[], metavar="NAME", help="only this tensor; may be given several times"
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True)
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    add_toolkit_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuilds the model, recomputes, prints where the run is."""
    check_new_folder(arguments.output, force=arguments.force)
    from rkparity.console import printable
    from rkparity.flow.resimulate import resimulate_run
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.worker_client import Worker

    python = find_toolkit_python(arguments.toolkit_python)
    with Worker(python, timeout_s=arguments.timeout) as worker:
        result = resimulate_run(
            worker,
            arguments.run,
            arguments.model,
            arguments.output,
            layers=arguments.layer,
            force=arguments.force,
        )
    for warning in result.run.manifest.warnings:
        print(printable(f"warning: {warning}"))
    count = len(result.run.manifest.tensors)
    print(f"{result.run.path}: {count} tensors, {result.recomputed} computed from the board's own tensors alone")
    return int(ExitCode.PASS)
