"""Looks at a board, copies the device agent there, or removes everything rkparity left on it.

    rkparity board info BOARD [--json]     chip, driver, librknnrt, Python, dumps, space, clock; needs a shell only
    rkparity board deploy BOARD            copies the device agent and checks that it works
    rkparity board clean BOARD             removes agent, cached models and run folders

Exit codes: 0 done, 2 usage, 3 board.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from rkparity.board.link.connect import connect
from rkparity.cli.options import add_board_options, target_of

if TYPE_CHECKING:
    from rkparity.board.install.preflight import BoardInfo
    from rkparity.board.link.transport import Transport


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the subcommands."""
    commands = parser.add_subparsers(dest="action", metavar="info|deploy|clean", required=True)
    for name, summary in (
        ("info", "what the board is and has"),
        ("deploy", "copy the device agent"),
        ("clean", "remove what rkparity left"),
    ):
        command = commands.add_parser(name, help=summary, description=summary)
        add_board_options(command, positional=True)
        command.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Does what the subcommand says."""
    with connect(target_of(arguments)) as transport:
        if arguments.action == "info":
            return _info(transport, arguments)
        if arguments.action == "deploy":
            return _deploy(transport, arguments)
        return _clean(transport, arguments)


def _info(transport: Transport, arguments: argparse.Namespace) -> int:
    from rkparity.board.install.preflight import inspect_board
    from rkparity.console import printable

    info = inspect_board(transport, work_dir=arguments.work_dir)
    if arguments.json:
        print(json.dumps(info.to_json(), indent=1))
        return 0
    for label, value in _rows(info):
        print(printable(f"{label:<14} {value or '-'}"))
    return 0


def _rows(info: BoardInfo) -> list[tuple[str, str]]:
    from rkparity.board.files.progress import size_text

    def size(nbytes: int | None) -> str:
        return "" if nbytes is None else size_text(nbytes)

    clock = "" if info.clock_difference_s is None else f"{info.clock_difference_s:+d} s against this machine"
    return [
        ("board", info.board),
        ("chip", info.chip),
        ("NPU driver", info.driver),
        ("librknnrt", " ".join(part for part in (info.runtime, info.runtime_path) if part)),
        ("system", f"{info.system} {info.arch}, Linux {info.kernel}"),
        ("libc", info.libc),
        ("python", " ".join(part for part in (info.python, info.python_path) if part)),
        ("work folder", f"{info.work_dir}{'' if info.work_dir_writable else ' (cannot be written)'}"),
        ("free space", size(info.free_nbytes)),
        ("memory", f"{size(info.memory_free_nbytes)} free of {size(info.memory_nbytes)}"),
        ("clock", clock),
        ("rknn_server", "running" if info.rknn_server else "not running"),
        *((folder, state) for folder, state in info.dump_folders.items()),
        ("tools", " ".join(info.tools)),
    ]


def _deploy(transport: Transport, arguments: argparse.Namespace) -> int:
    from rkparity.board.install.deploy import deploy

    deployed = deploy(transport, work_dir=arguments.work_dir)
    if arguments.json:
        print(
            json.dumps(
                {
                    "schema": "rkparity.deploy/1",
                    "board": transport.name,
                    "folder": deployed.folder,
                    "agent": deployed.agent,
                },
                indent=1,
            )
        )
    else:
        print(f"{transport.name}: the device agent is in {deployed.folder}; {deployed.agent}")
    return 0


def _clean(transport: Transport, arguments: argparse.Namespace) -> int:
    from rkparity.board.install.preflight import inspect_board
    from rkparity.board.install.workspace import clean

    root = inspect_board(transport, work_dir=arguments.work_dir).work_dir
    removed = clean(transport, root)
    if arguments.json:
        print(
            json.dumps(
                {"schema": "rkparity.clean/1", "board": transport.name, "folder": root, "removed": removed}, indent=1
            )
        )
    else:
        print(
            f"{transport.name}: {root} removed"
            if removed
            else f"{transport.name}: there was nothing to remove ({root})"
        )
    return 0
