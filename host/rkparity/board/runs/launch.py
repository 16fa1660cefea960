"""Starting the device agent on the board, following it, and ending it when it takes too long or Ctrl-C comes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Any

from rkparity.board.files.progress import Reporter
from rkparity.board.link.process import last_line, lines
from rkparity.board.link.transport import Transport
from rkparity.board.runs.events import listen
from rkparity.errors import AgentError, BoardError

_LAST_LINES = 8
# The shell writes its own number and becomes the agent, so that the number is the agent's.
_LAUNCH = 'cd "$1" && echo $$ > agent.pid && shift && exec "$@"'


def run_agent(
    transport: Transport, folder: str, argv: Sequence[str], progress: Reporter, *, timeout_s: float | None
) -> dict[str, Any]:
    """Runs `argv`, a command that speaks the agent's protocol, in `folder` on the board; returns its result event.

    Raises AgentError (its own error, death, garbage, too late), ConnectionFailed. Whatever ends this early, Ctrl-C
    included, also ends the process on the board.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with transport.start(["sh", "-c", _LAUNCH, "sh", folder, *argv]) as process:
        try:
            process.close_stdin()
            result = listen(lines(process, deadline=deadline), progress)
            code = process.wait(timeout_s=30)
        except TimeoutError as error:
            stop_process(transport, folder)
            raise AgentError(
                f"{transport.name}: the run did not end within {timeout_s or 0:g} s and was stopped"
                f"{_log_tail(transport, folder)}",
                hint="give it more time with --timeout",
            ) from error
        except AgentError as error:
            stop_process(transport, folder)
            tail = process.stderr_tail().strip()
            if tail and "not its protocol" in error.message:
                raise AgentError(f"{error.message}; it also said: {last_line(tail)}", hint=error.hint) from error
            raise
        except BaseException:
            stop_process(transport, folder)
            raise
        if result is None:
            killed = "by a signal (killed, or out of memory)"
            # A shell in between reports a signal as 128 plus its number.
            how = killed if code is None or code > 128 else f"with exit code {code}"
            said = " | ".join(process.stderr_tail().strip().splitlines()[-_LAST_LINES:])
            raise AgentError(
                f"{transport.name}: the device agent ended {how} without a result{f': {said}' if said else ''}"
                f"{_log_tail(transport, folder)}",
                hint="see `dmesg` on the board for out-of-memory or NPU errors",
            )
        return result


def stop_process(transport: Transport, folder: str) -> None:
    """Ends the agent started in `folder`: politely, after three seconds for good. A lost connection is passed over."""
    script = f"""cd {shlex.quote(folder)} 2>/dev/null || exit 0
read p < agent.pid || exit 0
kill -TERM "$p" 2>/dev/null || exit 0
for i in 1 2 3; do kill -0 "$p" 2>/dev/null || exit 0; sleep 1; done
kill -KILL "$p" 2>/dev/null
exit 0
"""
    try:
        transport.run_script(script, timeout_s=15)
    except BoardError:
        # The connection is gone: the agent notices by itself that nobody reads it and ends.
        return


def _log_tail(transport: Transport, folder: str) -> str:
    script = f"cd {shlex.quote(folder)} && tail -n {_LAST_LINES} outputs/*.log 2>/dev/null\nexit 0\n"
    try:
        text = transport.run_script(script, timeout_s=15).text
    except BoardError:
        return ""
    said = " | ".join(line for line in text.splitlines() if line.strip())
    return f"; last lines of the runtime's log: {said}" if said else ""
