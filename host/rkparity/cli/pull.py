"""Copies the dumps of a run from a board, or from a folder of this machine, into a run that can be compared.

Without --from, /userdata/dumps, /data/dumps and /tmp/dumps are tried. A pull that was cut off goes on where it stopped
when the same command is given again. Exit codes: 0 copied, 2 usage, 3 board, transfer or damaged dumps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.board.link.connect import connect
from rkparity.cli.options import add_board_options, target_of
from rkparity.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="the run folder to make")
    parser.add_argument("--from", dest="source", metavar="DIR", help="the folder on the board")
    parser.add_argument("--from-folder", type=Path, metavar="DIR", help="a folder of this machine instead of a board")
    parser.add_argument(
        "--model", type=Path, metavar="M.rknn", help="the compiled model: full tensor names, scales, missing dumps"
    )
    parser.add_argument(
        "--precision", choices=["fp16", "quantized"], help="the model's precision, if there is no --model"
    )
    parser.add_argument("--app", action="store_true", help="the dumps are those of your own program")
    parser.add_argument("--max-files", type=int, metavar="N", help="refuse more files than this (default 20000)")
    parser.add_argument("--max-bytes", type=int, metavar="N", help="refuse more bytes than this (default 16 GiB)")
    parser.add_argument("--force", action="store_true", help="replace RUN if it exists")
    add_board_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Pulls and says what came."""
    from rkparity.board.files.progress import size_text
    from rkparity.board.runs.pull import MAX_FILES, MAX_NBYTES, PullRequest, import_folder, pull_dumps
    from rkparity.cli.progress_bar import reporter
    from rkparity.console import printable
    from rkparity.model import read_model
    from rkparity.runs import Engine, Precision

    if (arguments.from_folder is None) == (arguments.board is None):
        raise UsageError("give either --board BOARD or --from-folder DIR")
    if arguments.from_folder is not None and arguments.source is not None:
        raise UsageError("--from names a folder on a board; with --from-folder there is none")
    for name in ("max_files", "max_bytes"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be more than 0")
    request = PullRequest(
        arguments.output,
        arguments.source,
        arguments.max_files or MAX_FILES,
        arguments.max_bytes or MAX_NBYTES,
        arguments.force,
        Engine.APP if arguments.app else Engine.BOARD,
        read_model(arguments.model) if arguments.model else None,
        Precision(arguments.precision) if arguments.precision else None,
    )
    if arguments.from_folder is not None:
        result = import_folder(arguments.from_folder, request)
    else:
        with connect(target_of(arguments)) as transport, reporter() as progress:
            result = pull_dumps(transport, request, progress)
    for warning in result.warnings:
        print(printable(f"warning: {warning}"))
    kept = f", {result.kept_files} of them from an earlier try" if result.kept_files else ""
    rate = f", {size_text(result.nbytes / result.seconds)}/s" if result.seconds > 0 else ""
    print(
        printable(
            f"{result.files} files, {size_text(result.nbytes)} from {result.source}{kept}{rate}, "
            f"verified by {result.verified_by}"
        )
    )
    print(f"run: {result.run}")
    return 0
