"""Walks the vendor's troubleshooting order on the project of rkparity.toml and stops where it breaks.

Stages: fp16 (the conversion), quantized, connected (the board's runtime), runtime (your own program). Results are kept
in the project's output folder and taken again while nothing they depend on has changed. docs/check.md explains all.

Exit codes: that of the worst stage: 0 pass, 1 a stage fails, 2 usage, 3 a stage could not be completed.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.cli.options import add_board_options, add_toolkit_options
from rkparity.errors import UsageError
from rkparity.io import check_output, is_standard_output, json_text, write_output

if TYPE_CHECKING:
    from rkparity.flow.context import BoardAccess
    from rkparity.project import Project

STAGES = ("fp16", "quantized", "connected", "runtime")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--project", type=Path, metavar="FILE", help="default: rkparity.toml in this folder")
    parser.add_argument("--stage", choices=STAGES, help="run this stage only")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--resume", action="store_true", help="go on with the last check; an error when there is none")
    kept.add_argument("--fresh", action="store_true", help="use nothing that was kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a summary as Markdown")
    parser.add_argument("--force", action="store_true", help="replace the FILEs of these if they exist")
    parser.add_argument("--virtual", action="store_true", help="use a virtual board (an emulated runtime)")
    parser.add_argument(
        "--resize", action="store_true", help="stretch a sample's picture to the model's size (resize in [input])"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing while it works")
    add_toolkit_options(parser)
    add_board_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Checks, prints, writes the files; returns the worst stage's exit code."""
    from rkparity.console import printable
    from rkparity.flow.check import check
    from rkparity.flow.context import Context
    from rkparity.flow.result import Stage
    from rkparity.flow.store import Store
    from rkparity.project import find_project, read_project
    from rkparity.report.check_view import terminal_lines

    outputs = [path for path in (arguments.json, arguments.junit, arguments.markdown) if path is not None]
    for path in outputs:
        check_output(path, force=arguments.force)
    project = read_project(find_project(arguments.project))
    if arguments.resize:
        project = replace(project, input=replace(project.input, resize=True))
    if arguments.virtual and arguments.board:
        raise UsageError("--virtual and --board exclude each other")
    only = None if arguments.stage is None else Stage(arguments.stage)
    store = Store(project.output, fresh=arguments.fresh)
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(
            Context(
                project,
                store,
                say=None if arguments.quiet else _say,
                board=_board(arguments, project, stack),
                toolkit_python=arguments.toolkit_python,
                timeout_s=arguments.timeout,
            )
        )
        report = check(context, only=only, resume=arguments.resume)
    if not any(is_standard_output(path) for path in outputs):
        for line in terminal_lines(report):
            print(printable(line))
    _write_files(arguments, report)
    return int(report.exit_code)


def _say(line: str) -> None:
    import sys

    from rkparity.console import printable

    print(printable(f"  {line}"), file=sys.stderr, flush=True)


def _write_files(arguments: argparse.Namespace, report: object) -> None:

    from rkparity.flow.check import CheckReport
    from rkparity.report.check_view import markdown
    from rkparity.report.junit import junit_xml

    assert isinstance(report, CheckReport)
    if arguments.json is not None:
        write_output(arguments.json, json_text(report.to_json()))
    if arguments.junit is not None:
        write_output(arguments.junit, junit_xml(report))
    if arguments.markdown is not None:
        write_output(arguments.markdown, markdown(report))


def _board(arguments: argparse.Namespace, project: Project, stack: contextlib.ExitStack) -> BoardAccess | None:
    from rkparity.board.link.connect import connect
    from rkparity.cli.options import target_of
    from rkparity.flow.context import BoardAccess

    if arguments.virtual or (arguments.board is None and project.board.address == "virtual"):
        return _virtual_board(arguments, project, stack)
    if arguments.board is None:
        arguments.board = project.board.address
        arguments.identity = arguments.identity or project.board.identity
    if arguments.board is None:
        return None
    target = target_of(arguments)
    return BoardAccess(arguments.board, lambda: connect(target), project.board.library, arguments.work_dir)


def _virtual_board(arguments: argparse.Namespace, project: Project, stack: contextlib.ExitStack) -> BoardAccess:
    """A virtual board that is started when a stage first connects, and serves every model the check builds."""
    from rkparity.board.link.connect import connect
    from rkparity.board.link.target import SshTarget
    from rkparity.board.link.transport import Transport
    from rkparity.emulator.catalogue import ModelCatalogue
    from rkparity.emulator.virtual_board import VirtualBoard
    from rkparity.flow.context import BoardAccess
    from rkparity.toolkit.bootstrap import find_toolkit_python

    started: list[SshTarget] = []

    def open_board() -> Transport:
        if not started:
            built = project.output / "model"
            built.mkdir(parents=True, exist_ok=True)
            models = [built] if project.model.rknn is None else [built, project.model.rknn]
            catalogue = ModelCatalogue(find_toolkit_python(arguments.toolkit_python), models)
            board = stack.enter_context(VirtualBoard(catalogue, chip=project.build.target_platform))
            where = board.connection()
            started.append(SshTarget(where.host, where.user, where.port, where.identity, known_hosts=where.known_hosts))
        return connect(started[0])

    return BoardAccess("virtual board (emulated runtime)", open_board, None, None)
