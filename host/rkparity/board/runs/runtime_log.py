"""What a run's log means for the run, whoever ran: the agent or rkrun."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from rkparity.board.link.transport import Transport
from rkparity.errors import AgentError, BoardError, UsageError
from rkparity.findings.log_findings import refusal_of
from rkparity.findings.runtime_log import LogLine, parse

# The lines that matter come last or are few; what a run prints at level 5 is tens of megabytes.
_MAX_NBYTES = 1 << 20


def fetched_lines(transport: Transport, folder: str) -> tuple[LogLine, ...]:
    """The error and warning lines of the log in a run's folder on the board; none when it cannot be read."""
    log = shlex.quote(f"{folder}/outputs/runtime.log")
    script = f"tr -d '\\000' < {log} 2>/dev/null | LC_ALL=C grep '^[EW] RKNN' | head -c {_MAX_NBYTES}\nexit 0\n"
    try:
        text = transport.run_script(script, timeout_s=30).text
    except BoardError:
        return ()
    found = (parse(line, f"runtime.log:{number}") for number, line in enumerate(text.splitlines(), start=1))
    return tuple(line for line in found if line is not None)


def raise_refusal(lines: Iterable[LogLine], cause: BaseException | None = None) -> None:
    """Raises UsageError for data the library did not take, AgentError for dumps it could not write."""
    refusal = refusal_of(tuple(lines))
    if refusal is None:
        return
    if refusal.is_dump:
        raise AgentError(refusal.message, hint=refusal.hint) from cause
    raise UsageError(refusal.message, hint=refusal.hint) from cause
