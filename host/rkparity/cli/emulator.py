"""A virtual board: an SSH server on this machine with a librknnrt that computes what the simulator computes.

The library is rkparity's emulated one, or with --library the vendor's own on a stand-in NPU; programs are then Arm
programs.

start   start one and print how to connect; `--board @FILE` of the other commands reads the file it writes
stop    end it
exec    run one program with the emulated librknnrt, without SSH
shell   the same for an interactive shell
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.runs.void_values import VOID_MARK

if TYPE_CHECKING:
    from rkparity.emulator.catalogue import ModelCatalogue
    from rkparity.emulator.npu.guest import Guest
    from rkparity.emulator.npu.runtime import VendorRuntime
    from rkparity.emulator.runtime import EmulatedRuntime

DEFAULT_BOARD_FILE = "rkparity-board.json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="start|stop|exec|shell")
    start = actions.add_parser("start", help="start a virtual board")
    _add_models(start)
    start.add_argument(
        "--board-file",
        type=Path,
        default=Path(DEFAULT_BOARD_FILE),
        metavar="FILE",
        help=f"where to write how to connect (default: {DEFAULT_BOARD_FILE})",
    )
    start.add_argument("--foreground", action="store_true", help="stay in the terminal until Ctrl-C")
    start.add_argument(
        "--ssh",
        choices=["auto", "openssh", "embedded"],
        default="auto",
        help="the SSH server (default: OpenSSH's where it is installed)",
    )
    start.add_argument("--port", type=int, default=0, help="the TCP port on 127.0.0.1 (default: a free one)")
    start.add_argument(
        "--root",
        type=Path,
        metavar="FOLDER",
        help="the folder that is the board (default: a temporary one, removed at the end)",
    )
    stop = actions.add_parser("stop", help="end a virtual board")
    stop.add_argument("--board-file", type=Path, default=Path(DEFAULT_BOARD_FILE), metavar="FILE")
    execute = actions.add_parser("exec", help="run one program with the emulated librknnrt")
    _add_models(execute)
    execute.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ARGUMENT...")
    shell = actions.add_parser("shell", help="an interactive shell with the emulated librknnrt")
    _add_models(shell)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="M.rknn|FOLDER",
        help="a model the board can run, with its build record M.rknn.build.json beside it, or a folder of "
        "such models; may be repeated",
    )
    parser.add_argument(
        "--runtime",
        choices=["1.6.0", "1.5.2", "mini-2.3.2"],
        help="the version of librknnrt to behave like (default: RKPARITY_EMULATOR_VERSION, else the chip's: "
        "mini-2.3.2 for RV1103/RV1106, 1.6.0 for the others)",
    )
    parser.add_argument(
        "--library",
        type=Path,
        metavar="librknnrt.so",
        help="the vendor's own runtime, from your board or the SDK, in place of the emulated one; programs are then "
        "Arm programs and run under qemu-user",
    )
    parser.add_argument(
        "--sysroot",
        type=Path,
        metavar="FOLDER",
        help="with --library: a folder with the board's C and C++ libraries (default: RKPARITY_SYSROOT, else Debian's "
        "cross libraries)",
    )
    parser.add_argument("--toolkit-python", type=Path, metavar="PYTHON", help="the interpreter that has rknn-toolkit2")


def run(arguments: argparse.Namespace) -> int:
    """Does what `action` says; returns the exit code, for exec and shell the program's."""
    if arguments.action == "stop":
        from rkparity.emulator.service import stop

        stop(arguments.board_file.resolve())
        print(f"{arguments.board_file}: the virtual board has ended")
        return 0
    if arguments.action == "start":
        return _start(arguments)
    return _run_program(arguments)


def _start(arguments: argparse.Namespace) -> int:
    from rkparity.emulator.service import serve, start_in_background

    board_file = arguments.board_file.resolve()
    if not arguments.foreground:
        options = [option for model in arguments.model for option in ("--model", str(model))]
        options += ["--ssh", arguments.ssh, "--port", str(arguments.port)]
        if arguments.root is not None:
            options += ["--root", str(arguments.root)]
        if arguments.runtime is not None:
            options += ["--runtime", arguments.runtime]
        for name in ("library", "sysroot", "toolkit_python"):
            value = getattr(arguments, name)
            if value is not None:
                options += ["--" + name.replace("_", "-"), str(value)]
        _guest(arguments)
        print(start_in_background(options, board_file), end="")
        print(f"  or, for every command of rkparity: --board @{arguments.board_file}")
        return 0
    from rkparity.emulator.catalogue import ModelCatalogue
    from rkparity.emulator.virtual_board import SshKind, VirtualBoard, chip_of
    from rkparity.errors import UsageError
    from rkparity.toolkit.bootstrap import find_toolkit_python

    if not arguments.model:
        raise UsageError("no model was given", hint="rkparity emulator start --model M.rknn")
    models = ModelCatalogue(lambda: find_toolkit_python(arguments.toolkit_python), arguments.model)
    guest = _guest(arguments)
    _tell_void(models, guest)
    serve(
        VirtualBoard(
            models,
            chip=chip_of(arguments.model),
            root=arguments.root,
            ssh=SshKind(arguments.ssh),
            port=arguments.port,
            version=arguments.runtime,
            guest=guest,
        ),
        board_file,
    )
    return 0


def _guest(arguments: argparse.Namespace) -> Guest | None:
    """What --library needs, all found; None without it. UsageError for options that do not go together."""
    from rkparity.errors import UsageError

    if arguments.library is None:
        if arguments.sysroot is not None:
            raise UsageError("--sysroot belongs to --library")
        return None
    if arguments.runtime is not None:
        raise UsageError("--runtime is for the emulated runtime; --library brings its own version")
    from rkparity.emulator.npu.guest import find_guest
    from rkparity.emulator.npu.library import read_library

    return find_guest(read_library(arguments.library), arguments.sysroot)


def _tell_void(models: ModelCatalogue, guest: Guest | None) -> None:
    """Says which models have no values; the vendor's own library would dump them as if they were results."""
    import sys

    from rkparity.errors import UsageError

    for file in models.void_files():
        if guest is not None:
            raise UsageError(
                f"{file}: has no build record, so there are no values for --library to compute with",
                hint="build it with `rkparity build`; without --library its calls can be judged",
            )
        print(f"warning: {file}: {VOID_MARK}: it has no build record; only calls mean something", file=sys.stderr)


def _run_program(arguments: argparse.Namespace) -> int:
    import os
    import subprocess
    import tempfile

    from rkparity.emulator.catalogue import ModelCatalogue
    from rkparity.emulator.virtual_board import chip_of
    from rkparity.errors import UsageError
    from rkparity.toolkit.bootstrap import find_toolkit_python

    program = [os.environ.get("SHELL", "/bin/sh")]
    if arguments.action == "exec":
        program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
        if not program:
            raise UsageError("no program was given", hint="rkparity emulator exec --model M.rknn -- ./app arguments")
    if not arguments.model:
        raise UsageError("no model was given", hint=f"rkparity emulator {arguments.action} --model M.rknn ...")
    guest = _guest(arguments)
    models = ModelCatalogue(lambda: find_toolkit_python(arguments.toolkit_python), arguments.model)
    _tell_void(models, guest)
    with tempfile.TemporaryDirectory(prefix="rkp-") as folder, _runtime(
        arguments, models, Path(folder), guest, chip_of(arguments.model)
    ) as runtime:
        if guest is not None:
            # A shell that has the exec library starts the program: Arm programs under emulation, others as they are.
            program = ["/bin/sh", "-c", 'exec "$@"', "sh", *program]
        try:
            code = subprocess.run(program, env={**os.environ, **runtime.environment()}, check=False).returncode
        except OSError as error:
            raise UsageError(f"{program[0]}: cannot be started: {error.strerror}") from error
    return code if code >= 0 else 128 - code


def _runtime(
    arguments: argparse.Namespace, models: ModelCatalogue, folder: Path, guest: Guest | None, chip: str
) -> EmulatedRuntime | VendorRuntime:
    if guest is None:
        from rkparity.emulator.runtime import EmulatedRuntime

        return EmulatedRuntime(models, folder, version=arguments.runtime, chip=chip)
    from rkparity.emulator.npu.runtime import VendorRuntime

    return VendorRuntime(models, folder, guest, chip=chip)
