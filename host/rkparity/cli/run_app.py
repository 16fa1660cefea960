"""Runs your own program on a board with every layer dumped and its calls to librknnrt traced; keeps it all as a run.

    rkparity run-app --board root@board -o my-run --upload app --upload m.rknn -- ./app m.rknn
    rkparity run-app --virtual m.rknn -o my-run -- ./app m.rknn          on this machine, with the emulated librknnrt

The board needs no Python: a POSIX shell is enough. The program's exit code, standard output and standard error are in
the run. Exit codes: 0 the program ended with 0 and made dumps, 2 usage, 3 everything else (the run is kept when the
program ran).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.board.link.connect import connect
from rkparity.board.link.target import LocalTarget
from rkparity.cli.options import add_board_options, add_toolkit_python, target_of
from rkparity.cli.samples import add_sample_options, has_sample, sample_for_program
from rkparity.errors import UsageError

if TYPE_CHECKING:
    from rkparity.board.runs.app_request import AppReport, AppRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="the run folder to make")
    parser.add_argument("--force", action="store_true", help="replace RUN if it exists")
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="M.rknn",
        help="the compiled model: tensor names, missing dumps; once for each model the program runs",
    )
    parser.add_argument(
        "--virtual",
        type=Path,
        action="append",
        default=[],
        metavar="M.rknn|FOLDER",
        help="no board: run here with the emulated librknnrt and this model; may be repeated",
    )
    add_toolkit_python(parser, "for --virtual and pictures")
    add_sample_options(parser)
    way = parser.add_argument_group("the program")
    way.add_argument(
        "--upload",
        type=Path,
        action="append",
        default=[],
        metavar="FILE|FOLDER",
        help="copy it to the board, into the folder the program starts in; may be repeated",
    )
    way.add_argument(
        "--cwd",
        metavar="DIR",
        help="folder on the board to start in (default: that of the uploads, else the home folder)",
    )
    way.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="one more environment variable")
    way.add_argument("--timeout", type=float, metavar="S", help="stop the program after so many seconds")
    way.add_argument(
        "--dump-quant", type=int, choices=[0, 1, 2], default=0, help="RKNN_DUMP_QUANT: 0 float, 1 raw, 2 both"
    )
    way.add_argument("--keep", action="store_true", help="leave the run's folder on the board")
    trace = parser.add_argument_group("the trace of its calls, see docs/trace.md")
    trace.add_argument("--trace", action="store_true", default=None, help="fail when there is no layer for this board")
    trace.add_argument("--no-trace", action="store_false", dest="trace", help="do not load the layer")
    trace.add_argument("--no-hash", action="store_true", help="do not read buffers: no hashes, no statistics")
    trace.add_argument("--trace-buffers", type=int, default=0, metavar="N", help="keep the buffers of the first N runs")
    add_board_options(parser)
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ARGUMENT...")


def run(arguments: argparse.Namespace) -> int:
    """Runs the program and says what came of it."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not program:
        raise UsageError("no program was named", hint="rkparity run-app --board BOARD -o RUN -- ./app arguments")
    if arguments.timeout is not None and arguments.timeout <= 0:
        raise UsageError(f"--timeout {arguments.timeout:g}: must be more than 0")
    if arguments.trace_buffers < 0:
        raise UsageError(f"--trace-buffers {arguments.trace_buffers}: must be 0 or more")
    if arguments.virtual and arguments.board:
        raise UsageError("--virtual runs the program here; it has no --board")
    with tempfile.TemporaryDirectory(prefix="rkparity-sample-") as samples:
        where = Path(samples)
        report = _virtual(arguments, program, where) if arguments.virtual else _on_board(arguments, program, where)
    return _tell(report)


def _on_board(arguments: argparse.Namespace, program: Sequence[str], samples: Path) -> AppReport:
    from rkparity.board.runs.run_app import run_app
    from rkparity.cli.progress_bar import reporter

    target = target_of(arguments)
    here = isinstance(target, LocalTarget) and target.home is None and not arguments.upload
    request = _request(arguments, program, _environment(arguments), samples, here=here)
    with connect(target) as transport, reporter() as progress:
        return run_app(transport, request, progress)


def _virtual(arguments: argparse.Namespace, program: Sequence[str], samples: Path) -> AppReport:
    from rkparity.board.link.local import LocalTransport
    from rkparity.board.runs.run_app import run_app
    from rkparity.cli.progress_bar import reporter
    from rkparity.emulator.catalogue import ModelCatalogue
    from rkparity.emulator.runtime import EmulatedRuntime
    from rkparity.toolkit.bootstrap import find_toolkit_python

    models = ModelCatalogue(lambda: find_toolkit_python(arguments.toolkit_python), arguments.virtual)
    with tempfile.TemporaryDirectory(prefix="rkp-") as folder, EmulatedRuntime(models, Path(folder)) as runtime:
        arguments.work_dir = arguments.work_dir or f"{Path(folder).resolve()}/work"
        environment = {**runtime.environment(), **_environment(arguments)}
        request = _request(arguments, program, environment, samples, here=not arguments.upload)
        with LocalTransport() as transport, reporter() as progress:
            return run_app(transport, request, progress)


def _environment(arguments: argparse.Namespace) -> dict[str, str]:
    environment = {}
    for pair in arguments.env:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier() or not name.isascii():
            raise UsageError(f"--env {pair!r}: is not NAME=VALUE")
        environment[name] = value
    return environment


def _request(
    arguments: argparse.Namespace, program: Sequence[str], environment: dict[str, str], samples: Path, *, here: bool
) -> AppRequest:
    from rkparity.board.runs.app_request import AppRequest
    from rkparity.console import printable
    from rkparity.model import read_model
    from rkparity.trace.models import traced_models

    files = arguments.model or [path for path in arguments.virtual if path.is_file()]
    models = tuple(read_model(file) for file in files)
    known = models[0] if len(models) == 1 else None
    uploads = tuple(arguments.upload)
    if has_sample(arguments):
        sample = sample_for_program(arguments, program, known, samples, here=here)
        program, uploads = sample.argv, uploads if here else (*uploads, *sample.files)
        for note in sample.notes:
            print(printable(f"note: {note}"))
    return AppRequest(
        tuple(program),
        arguments.output,
        models,
        uploads,
        arguments.cwd or (str(Path.cwd()) if here else None),
        arguments.timeout,
        arguments.dump_quant,
        arguments.trace,
        not arguments.no_hash,
        arguments.trace_buffers,
        environment,
        arguments.work_dir,
        arguments.force,
        arguments.keep,
        _recognise,
        traced_models,
    )


def _recognise(logs: Sequence[Path]) -> tuple[str, ...]:
    """What librknnrt's lines in the program's output mean, each once."""
    from rkparity.lint.rules_log import check_log, read_logs

    found: dict[str, str] = {}
    for known, observation in check_log(read_logs(logs)):
        found.setdefault(known.rule.id, f"runtime log, {observation.why}: {known.rule.title}")
    return tuple(found.values())


def _tell(report: AppReport) -> int:
    from rkparity.board.files.progress import size_text
    from rkparity.console import printable
    from rkparity.errors import ExitCode

    for warning in report.warnings:
        print(printable(f"warning: {warning}"))
    how = f"killed by {report.signal}" if report.signal else f"exit code {report.exit_code}"
    traces = f", {report.traces} trace{'s' if report.traces != 1 else ''}" if report.traces else ""
    print(f"the program: {how}, {report.duration_s:.1f} s; {report.dumps} dumps{traces}, {size_text(report.nbytes)}")
    if report.kept:
        print(printable(f"kept on the board: {report.kept}"))
    print(f"run: {report.run}")
    for run in report.models:
        print(printable(f"  of one model: {run}"))
    if report.traces:
        print(f"what its calls say: rkparity lint {report.run}")
    for problem in report.problems:
        print(printable(f"problem: {problem}"))
    return int(ExitCode.ENVIRONMENT if report.problems else ExitCode.PASS)
