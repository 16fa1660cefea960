"""A diagnosis for people: each finding with its evidence and its fix, the most upstream first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rkparity.console import printable, unescaped
from rkparity.diagnose.diagnose import Diagnosis
from rkparity.findings.finding import Finding, Severity

_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[33m", Severity.INFO: "\x1b[36m"}
_RESET = "\x1b[0m"


def print_diagnosis(diagnosis: Diagnosis, *, file: TextIO | None = None, headline: bool = True) -> None:
    """Prints the findings to `file` (standard output), severities in colour on a terminal.

    `headline` adds the comparison's own first sentence; compare-dumps has printed it already.
    """
    stream = file if file is not None else sys.stdout
    colour = stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    # A terminal's or pipe's encoding may lack a character of some tensor's name.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in diagnosis_lines(diagnosis, headline=headline, colour=colour):
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=unescaped(stream) if colour else stream)


def diagnosis_lines(diagnosis: Diagnosis, *, headline: bool = True, colour: bool = False) -> Iterable[str]:
    """The text, line by line."""
    if headline and diagnosis.comparison is not None:
        yield f"{diagnosis.comparison.verdict.value.upper()}: {printable(diagnosis.comparison.headline)}"
        yield ""
    if headline and diagnosis.repetition is not None:
        groups = len(diagnosis.repetition.groups)
        yield f"{len(diagnosis.repetition.runs)} runs, {groups} different {'result' if groups == 1 else 'results'}"
        yield ""
    for finding in diagnosis.findings:
        yield from _finding(finding, colour)
        yield ""
    for note in diagnosis.notes:
        yield f"note    {printable(note)}"
    yield _summary(diagnosis)


def _finding(finding: Finding, colour: bool) -> Iterable[str]:
    sure = f", {100 * finding.confidence:.0f} % sure" if finding.confidence > 0 else ""
    head = f"{finding.severity.value.upper()} {finding.id}: {printable(finding.title)}{sure}"
    yield f"{_COLOURS[finding.severity]}{head}{_RESET}" if colour else head
    yield f"  cause   {printable(finding.cause)}"
    for item in finding.evidence:
        where = f" [{printable(item.file)}]" if item.file else ""
        yield f"  {item.kind + ' ':<8}{printable(item.text)}{where}"
    if finding.fix:
        yield f"  fix     {printable(finding.fix)}"
    for line in finding.fix_code.splitlines():
        yield f"          {printable(line)}"
    if finding.reference:
        yield f"  see     {printable(finding.reference)}"


def _summary(diagnosis: Diagnosis) -> str:
    if not diagnosis.findings:
        if int(diagnosis.exit_code) == 0:
            return "nothing wrong was found"
        return "something differs, and nothing known explains it"
    counts = {kind: sum(item.severity is kind for item in diagnosis.findings) for kind in Severity}
    parts = [
        f"{count} {kind.value}{'s' if count > 1 and kind is not Severity.INFO else ''}"
        for kind, count in counts.items()
        if count
    ]
    noun = "finding" if len(diagnosis.findings) == 1 else "findings"
    return f"{len(diagnosis.findings)} {noun}: {', '.join(parts)}"
