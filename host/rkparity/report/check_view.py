"""A check's result for people: the terminal and a Markdown summary."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rkparity.flow.check import CheckReport
from rkparity.flow.result import Cell, StageResult, Table

_MAX_ROWS = 12
_MARKDOWN_SPECIAL = "\\`*_{}[]<>|#"


def terminal_lines(report: CheckReport) -> Iterator[str]:
    """The report as plain lines, the answer first."""
    cost = f"{report.seconds:.1f} s, {report.disk_nbytes / 1e6:.1f} MB in {report.output}"
    yield f"{report.title}: {report.project}; {cost}"
    yield f"next: {report.next_action}"
    yield ""
    for result in report.results:
        reused = " (nothing has changed, kept result)" if result.reused else ""
        cost = f"  {result.seconds:.1f} s" if result.seconds else ""
        yield f"{result.stage.value:<10} {result.verdict.value.upper():<10}{cost}{reused}"
        for fact in result.facts:
            yield f"    - {fact}"
        for finding in result.findings:
            yield f"    [{finding.severity.value}] {finding.title} ({finding.id})"
            yield f"        {finding.cause}"
            if finding.fix:
                yield f"        fix: {finding.fix}"
            yield from (f"            {line}" for line in finding.fix_code.splitlines())
        for table in result.figures:
            yield from _terminal_table(table)
        for name, path in result.artefacts.items():
            yield f"    {name}: {report.output / path}"
        if result.next_action:
            yield f"    next: {result.next_action}"


def markdown(report: CheckReport) -> str:
    """The summary of the report as Markdown, for a pull request or a ticket."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    lines = [
        f"# rkparity check: {escape(report.project)}: {escape(report.title)}",
        "",
        f"{escape(versions)}; board: {escape(report.board or 'none')}; {report.seconds:.1f} s; "
        f"{report.disk_nbytes / 1e6:.1f} MB on disk.",
        "",
        f"**Next:** {escape(report.next_action)}",
        "",
        "| stage | verdict | most useful fact | time |",
        "|---|---|---|---|",
    ]
    for result in report.results:
        fact = result.facts[0] if result.facts else result.next_action
        lines.append(f"| {result.stage.value} | {result.verdict.value} | {escape(fact)} | {result.seconds:.1f} s |")
    for result in report.results:
        if result.facts or result.findings:
            lines += ["", *_markdown_stage(result)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """`text` with Markdown's special characters made plain; on one line."""
    plain = " ".join(text.split())
    return "".join("\\" + letter if letter in _MARKDOWN_SPECIAL else letter for letter in plain)


def cell_text(cell: Cell) -> str:
    """One figure for people."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.6g}" if math.isfinite(cell) else str(cell)
    return str(cell)


def _markdown_stage(result: StageResult) -> Iterator[str]:
    yield f"## {result.stage.value}: {result.verdict.value}"
    yield ""
    yield from (f"- {escape(fact)}" for fact in result.facts)
    for finding in result.findings:
        yield ""
        yield f"**{escape(finding.title)}** (`{finding.id}`, {finding.severity.value}): {escape(finding.cause)}"
        if finding.fix:
            yield f"Fix: {escape(finding.fix)}"
        if finding.fix_code:
            yield from ("", "```", finding.fix_code.replace("```", "'''"), "```")
    for table in result.figures:
        yield ""
        yield f"{escape(table.title)}:"
        yield ""
        yield "| " + " | ".join(escape(column) for column in table.columns) + " |"
        yield "|" + "---|" * len(table.columns)
        for row in table.rows[:_MAX_ROWS]:
            yield "| " + " | ".join(escape(cell_text(cell)) for cell in row) + " |"
        if len(table.rows) > _MAX_ROWS:
            yield ""
            yield f"... {len(table.rows) - _MAX_ROWS} rows more in the JSON."
    yield ""
    yield f"Next: {escape(result.next_action)}"


def _terminal_table(table: Table) -> Iterator[str]:
    rows = [tuple(cell_text(cell) for cell in row) for row in table.rows[:_MAX_ROWS]]
    widths = [max(len(text) for text in column) for column in zip(table.columns, *rows)]
    yield f"    {table.title}:"
    for row in [table.columns, *rows]:
        yield "      " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
    if len(table.rows) > _MAX_ROWS:
        yield f"      ... {len(table.rows) - _MAX_ROWS} rows more (--json has all)"
