"""Runs a compiled model on a board with every layer dumped, and keeps dumps, outputs, inputs and logs as a run.

The device agent is copied to the board when it is not there yet (into ~/.cache/rkparity, no root, no pip). Inputs are
what `simulate` takes, before mean and std: .npy in NHWC or NCHW, pictures, or those of a run (--input-from); or raw
.bin files with --type. The runtime gets 4-D inputs in NHWC whatever the file's layout is.
--type, --fmt and --pass-through are given once for all inputs or once for each, in the order of --input.
Exit codes: 0 done, 2 usage, 3 board, agent or transfer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.board.link.connect import connect
from rkparity.cli.options import add_board_options, add_toolkit_python, target_of
from rkparity.cli.samples import add_sample_options, has_sample, sample_files
from rkparity.errors import UsageError

if TYPE_CHECKING:
    from rkparity.board.runs.job import InputFile, RunSettings
    from rkparity.model import Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    from rkparity.board.runs.job import APIS, CORE_MASKS, FORMATS, TYPES

    parser.add_argument("--model", type=Path, required=True, metavar="M.rknn", help="the compiled model")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="the run folder to make")
    parser.add_argument("--force", action="store_true", help="replace RUN if it exists")
    add_sample_options(parser)
    add_toolkit_python(parser, "for pictures")
    inputs = parser.add_argument_group("inputs, as in rknn_input")
    inputs.add_argument(
        "--type", action="append", choices=list(TYPES), help="element type given to the runtime (default: the .npy's)"
    )
    inputs.add_argument(
        "--fmt", action="append", choices=list(FORMATS), help="layout given to the runtime (default: NHWC for 4-D)"
    )
    inputs.add_argument(
        "--pass-through",
        action="append",
        choices=["0", "1"],
        nargs="?",
        const="1",
        help="native bytes, taken as they are",
    )
    way = parser.add_argument_group("the run")
    way.add_argument(
        "--api",
        choices=list(APIS),
        help="general (rknn_inputs_set; default) or zero-copy (rknn_set_io_mem; RV1103 and RV1106 have no other)",
    )
    way.add_argument(
        "--want-float", default="1", metavar="0|1[,..]", help="outputs as float32 (1) or raw (0), for all or for each"
    )
    way.add_argument("--prealloc", action="store_true", help="give the runtime the output buffers")
    way.add_argument(
        "--native-outputs", action="store_true", help="zero-copy: outputs in the NPU's own layout and type"
    )
    way.add_argument("--output-fmt", choices=list(FORMATS), help="zero-copy: layout asked for")
    way.add_argument("--output-type", choices=list(TYPES), help="zero-copy: type asked for")
    way.add_argument(
        "--dump-quant", type=int, choices=[0, 1, 2], default=0, help="RKNN_DUMP_QUANT: 0 float, 1 raw, 2 both"
    )
    way.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="run N times (default 1); the last run's dumps stay"
    )
    way.add_argument("--core-mask", choices=list(CORE_MASKS), default="AUTO", help="NPU cores (default AUTO)")
    way.add_argument("--perf", action="store_true", help="collect the runtime's per-layer times")
    way.add_argument("--library", metavar="PATH", help="librknnrt.so on the board, if it is not in the usual place")
    way.add_argument("--timeout", type=float, metavar="S", help="stop the run after so many seconds")
    way.add_argument("--keep", action="store_true", help="leave the run's folder on the board")
    add_board_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs and says what came of it."""
    from rkparity.board.files.progress import size_text
    from rkparity.board.runs.job import api_of
    from rkparity.board.runs.run import RunRequest, run_on_board
    from rkparity.cli.progress_bar import reporter
    from rkparity.console import printable
    from rkparity.model import read_model

    target = target_of(arguments)
    if not has_sample(arguments):
        raise UsageError("no input was given", hint="--input FILE, once per model input, or --input-from RUN")
    if arguments.repeat < 1:
        raise UsageError(f"--repeat {arguments.repeat}: must be 1 or more")
    if arguments.timeout is not None and arguments.timeout <= 0:
        raise UsageError(f"--timeout {arguments.timeout:g}: must be more than 0")
    model = read_model(arguments.model)
    if arguments.api is None:
        arguments.api = api_of(model.platform)
    if arguments.api == "general" and (arguments.native_outputs or arguments.output_fmt or arguments.output_type):
        raise UsageError("--native-outputs, --output-fmt and --output-type belong to --api zero-copy")
    settings = _settings(arguments)
    with tempfile.TemporaryDirectory(prefix="rkparity-sample-") as folder:
        request = RunRequest(
            model,
            _inputs(arguments, model, Path(folder)),
            arguments.output,
            settings,
            arguments.work_dir,
            arguments.force,
            arguments.keep,
        )
        with connect(target) as transport, reporter() as progress:
            report = run_on_board(transport, request, progress)
    for warning in report.warnings:
        print(printable(f"warning: {warning}"))
    runtime = f"{report.runtime}{' (the EMULATED runtime)' if report.emulated else ''}"
    times = f", {min(report.run_us) / 1000:.2f} ms" if report.run_us else ""
    print(
        printable(
            f"{report.dumps} dumps and {report.outputs} outputs, {size_text(report.nbytes)}; runtime {runtime}{times}"
        )
    )
    if report.kept:
        print(printable(f"kept on the board: {report.kept}"))
    print(f"run: {report.run}")
    return 0


def _settings(arguments: argparse.Namespace) -> RunSettings:
    from rkparity.board.runs.job import RunSettings

    return RunSettings(
        arguments.api,
        _want_float(arguments.want_float),
        arguments.prealloc,
        arguments.native_outputs,
        arguments.output_fmt,
        arguments.output_type,
        arguments.dump_quant,
        arguments.repeat,
        arguments.core_mask,
        arguments.perf,
        arguments.library,
        arguments.timeout,
    )


def _inputs(arguments: argparse.Namespace, model: Model, folder: Path) -> tuple[InputFile, ...]:
    """The sample with what the options say about each input."""
    from rkparity.board.runs.job import InputFile
    from rkparity.console import printable

    files, notes = sample_files(arguments, model, folder)
    for note in notes:
        print(printable(f"note: {note}"))
    types, formats = _each(arguments.type, len(files), "--type"), _each(arguments.fmt, len(files), "--fmt")
    passes = _each(arguments.pass_through, len(files), "--pass-through")
    return tuple(
        InputFile(file.path, types[index], formats[index], passes[index] == "1", file.data_layout)
        for index, file in enumerate(files)
    )


def _each(values: Sequence[str] | None, count: int, option: str) -> list[str | None]:
    """One value for each input, from none, one for all, or one for each."""
    if not values:
        return [None] * count
    if len(values) == 1:
        return [values[0]] * count
    if len(values) != count:
        raise UsageError(
            f"{option} is given {len(values)} times for {count} inputs", hint="give it once, or once for each --input"
        )
    return list(values)


def _want_float(text: str) -> tuple[bool, ...]:
    parts = text.split(",")
    if not all(part in ("0", "1") for part in parts):
        raise UsageError(f"--want-float {text!r}: is 0 or 1, or one of these for each output, as in 1,0,1")
    return tuple(part == "1" for part in parts)
