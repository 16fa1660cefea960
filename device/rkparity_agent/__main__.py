"""The device agent's command line; see docs/agent.md for the protocol."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from rkparity_agent import __version__
from rkparity_agent.events import ENVIRONMENT, AgentFailure, EventStream, usage

COMMANDS = {
    "selfcheck": "what this board is and has",
    "query": "attributes of a model",
    "run": "run a model by a job file",
    "run-app": "run the user's own program with dumps",
    "digest": "hash and statistics of dump files",
    "clean": "remove run folders",
}


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as the protocol's error event."""

    def error(self, message: str) -> NoReturn:
        raise usage(message, f"{self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 2 (usage) or 3 (environment)."""
    events = EventStream(sys.__stdout__.fileno() if sys.__stdout__ else 1)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments), events)
    except BrokenPipeError:
        # Nobody reads the events any more; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ENVIRONMENT


def _run(arguments: list[str], events: EventStream) -> int:
    events.emit("start", {"agent_version": __version__, "pid": os.getpid(), "time": time.time()})
    try:
        result = _dispatch(arguments, events)
    except AgentFailure as failure:
        events.emit("error", failure.fields())
        return failure.exit_code
    events.emit("result", result)
    return 0


def _dispatch(arguments: list[str], events: EventStream) -> dict[str, Any]:
    parser = _Parser(prog="rkparity-agent", description="rkparity's part on the board: JSON lines on stdout.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((argument for argument in arguments if argument in COMMANDS), None)
    module = None
    for name, help_text in COMMANDS.items():
        subparser = commands.add_parser(name, help=help_text, description=help_text)
        if name == named:
            module = _load(name)
            module.configure(subparser)
    parsed = parser.parse_args(arguments)
    if module is None:
        raise usage("no command", f"commands: {', '.join(COMMANDS)}")
    from rkparity_agent.worker import Stopped, raise_on_signals

    raise_on_signals()
    try:
        result: dict[str, Any] = module.run(parsed, events)
    except Stopped as stopped:
        raise AgentFailure("interrupted", str(stopped), hint="run the command again") from stopped
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise AgentFailure("environment", f"{error.filename or 'the system'}: {error.strerror}") from error
    return result


def _load(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"rkparity_agent.cmd_{name.replace('-', '_')}")
    except ImportError as error:
        raise AgentFailure(
            "environment",
            f"the agent's compiled module cannot be loaded: {error}",
            hint="the kit does not fit this board or this Python: use the kit for its architecture, or rkrun",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
