"""The device agent's protocol as the host hears it: JSON lines, a result or an error last; see docs/agent.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rkparity.board.files.progress import Reporter
from rkparity.errors import AgentError, ExitCode


def parse_event(line: bytes) -> dict[str, Any]:
    """One line of the agent as an object with "event"; AgentError quoting the line otherwise."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        raise AgentError(
            f"the device agent said something that is not its protocol: {line[:200]!r}",
            hint="does the board's login shell print a greeting on non-interactive logins? Remove it",
        )
    return value


def listen(lines: Iterable[bytes], progress: Reporter) -> dict[str, Any] | None:
    """Follows the agent to its last word and returns it: the result; None when it ended without one.

    Raises the agent's own error as AgentError with its exit code.
    """
    last: dict[str, Any] | None = None
    for line in lines:
        if not line.strip():
            continue
        event = parse_event(line)
        if event["event"] == "log":
            progress.note(f"board: {event.get('level', 'info')}: {event.get('message', '')}")
        elif event["event"] == "error":
            raise agent_error(event)
        elif event["event"] == "result":
            last = event
    return last


def agent_error(event: Mapping[str, Any]) -> AgentError:
    """The agent's `error` event as an exception; kind "usage" keeps exit code 2."""
    call = event.get("call")
    code = (
        f" ({call}: {event.get('code_name') or event.get('code')})"
        if call and str(call) not in str(event.get("message"))
        else ""
    )
    error = AgentError(
        f"on the board: {event.get('message', 'unknown error')}{code}", hint=str(event.get("hint") or "")
    )
    if event.get("exit_code") == int(ExitCode.USAGE):
        error.exit_code = ExitCode.USAGE
    return error
