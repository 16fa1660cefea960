"""The entry point of `rkparity`: finds the command, runs it, turns an expected failure into a line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import cast

from rkparity import __version__
from rkparity.cli.registry import COMMANDS, Command, CommandModule
from rkparity.console import escaped_output
from rkparity.errors import ExitCode, RkparityError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 pass, 1 divergence, 2 usage, 3 environment or board."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        _overview().parse_args(arguments)
        _overview().print_help()
        return ExitCode.USAGE
    return run_command(command, arguments[arguments.index(command.name) + 1 :])


def run_command(command: Command, arguments: Sequence[str], *, prog: str | None = None) -> int:
    """Runs `command` with its own arguments; `prog` is the name shown in usage lines.

    Whatever happens, it ends with a documented exit code and without a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        # Tensor names may hold anything; a terminal or pipe that cannot show it gets an escape, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with escaped_output():
        try:
            with _sigterm_as_interrupt():
                return _run(command, arguments, prog)
        except RkparityError as error:
            print_error(error)
            return int(error.exit_code)
        except _Terminated:
            print("rkparity: terminated", file=sys.stderr)
            return 128 + signal.SIGTERM
        except KeyboardInterrupt:
            print("rkparity: interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
        except BrokenPipeError:
            # The reader of our output (a pager, head) has gone; nothing more can be said to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return int(ExitCode.ENVIRONMENT)
        except OSError as error:
            failure = _of_a_name(error) or _unexpected(command, arguments, error)
            print_error(failure)
            return int(failure.exit_code)
        except Exception as error:  # noqa: BLE001 - the one guard for what nothing below it knows
            failure = _unexpected(command, arguments, error)
            print_error(failure)
            return int(failure.exit_code)


def _run(command: Command, arguments: Sequence[str], prog: str | None) -> int:
    try:
        module = cast(CommandModule, importlib.import_module(command.module))
        parser = argparse.ArgumentParser(
            prog=prog or f"rkparity {command.name}",
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(parser)
        return int(module.run(parser.parse_args(arguments)))
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _unexpected(command: Command, arguments: Sequence[str], error: Exception) -> RkparityError:
    from rkparity.cli.crash import unexpected

    return unexpected(command.name, arguments, error)


def _of_a_name(error: OSError) -> RkparityError | None:
    """What is wrong with a name that no file can have, wherever it was first looked at."""
    if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP) or error.filename is None:
        return None
    name = os.fsdecode(error.filename)
    return UsageError(f"{name if len(name) <= 200 else name[:200] + '...'}: {error.strerror}")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, raised as Ctrl-C is, so that everything is cleaned up the same way."""


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """While the block runs, SIGTERM raises `_Terminated`, where nobody handles it otherwise."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def print_error(error: RkparityError) -> None:
    """Prints an expected failure on stderr: what is wrong, then the next step."""
    print(f"rkparity: error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)


def _missing(error: ModuleNotFoundError) -> RkparityError:
    """The base install is what a board's agent needs (docs/agent.md); the PC side needs those of an extra more."""
    package = (error.name or "").partition(".")[0]
    if not package or package in ("rkparity", "rkparity_agent"):
        raise error
    return RkparityError(
        f"the Python package {package!r} is not installed", hint="install the PC side: pip install 'rkparity[host]'"
    )


def _overview() -> argparse.ArgumentParser:
    width = max(len(command.name) for command in COMMANDS)
    listing = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS)
    parser = argparse.ArgumentParser(
        prog="rkparity",
        usage="rkparity [--version] COMMAND ...",
        description="Finds where a Rockchip NPU deployment stops computing what its simulator computes.",
        epilog=f"commands:\n{listing}\n\n`rkparity COMMAND --help` explains one. Exit codes: 0 pass, "
        "1 divergence found, 2 usage, 3 environment or board.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rkparity {__version__}")
    parser.add_argument(
        "command", nargs="?", choices=[command.name for command in COMMANDS], metavar="COMMAND", help=argparse.SUPPRESS
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
