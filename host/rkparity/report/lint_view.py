"""A lint for people: findings with their calls, values and fixes, then what could not be checked."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rkparity.console import printable, unescaped
from rkparity.findings import Calls, Finding, Severity
from rkparity.lint import Lint

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def print_lint(lint: Lint, *, file: TextIO | None = None) -> None:
    """Prints the result to `file` (standard output), severities in colour on a terminal."""
    stream = file if file is not None else sys.stdout
    colour = stream.isatty() and os.environ.get("TERM") != "dumb"
    for finding in lint.findings:
        for number, line in enumerate(_lines(finding)):
            if number == 0 and colour:
                _print_coloured(line, _COLOURS[finding.severity], stream)
            else:
                print(line, file=stream)
        print(file=stream)
    if lint.unchecked:
        print("not checked:", file=stream)
        for item in lint.unchecked:
            print(f"  {printable(item.what)}: {printable(item.reason)}", file=stream)
    print(_summary(lint), file=stream)


def _lines(finding: Finding) -> list[str]:
    place = []
    calls = finding.calls or Calls()
    if calls.process:
        place.append(f"process {calls.process}")
    if calls.context:
        place.append(f"context {calls.context}")
    if calls.numbers:
        more = " ..." if calls.count > 1 and calls.count > len(calls.numbers) else ""
        place.append(f"call {', '.join(str(call) for call in calls.numbers)}{more}")
    times = f"; {calls.count} times" if calls.count > 1 else ""
    lines = [f"{finding.severity.value.upper()} {finding.id}: {finding.title}"]
    if place:
        lines.append(f"  {', '.join(place)}{times}")
    lines.append(f"  {printable(finding.cause)}")
    lines.append(f"  fix: {finding.fix}")
    lines += [f"      {line}" for line in finding.fix_code.split("\n") if line]
    lines.append(f"  see: {finding.reference}")
    return lines


def _summary(lint: Lint) -> str:
    calls = sum(count for _, _, count in lint.processes)
    counts = {severity: sum(finding.severity is severity for finding in lint.findings) for severity in Severity}
    found = ", ".join(
        f"{count} {severity.value}{'s' if count != 1 and severity is not Severity.INFO else ''}"
        for severity, count in counts.items()
        if count
    )
    processes = len(lint.processes)
    return f"{calls} calls of {processes} process{'es' if processes != 1 else ''}: {found or 'no finding'}"


def _print_coloured(line: str, style: str, stream: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(file=unescaped(stream)).print(Text(printable(line), style=style), soft_wrap=True)
