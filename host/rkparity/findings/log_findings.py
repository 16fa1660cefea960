"""What a runtime log comes to: findings, the warnings of a run, and a failure answered with success."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rkparity.findings.catalogue import CATALOGUE, make
from rkparity.findings.finding import Calls, Evidence, Finding, Severity, Value
from rkparity.findings.runtime_log import (
    UNKNOWN_ERROR,
    UNKNOWN_WARNING,
    USUAL,
    LogLine,
    id_of,
    operator_of,
    row_of,
)

CONFIDENCE = 0.9
# A log that repeats an unknown error with another number in every line must not bury everything else.
_MAX_UNKNOWN = 20
_MAX_WARNINGS = 40
_MAX_TEXT = 300
_UNKNOWN = (UNKNOWN_ERROR, UNKNOWN_WARNING)
_DUMP_PATH = "log.dump-path"
_PREFIX = "runtime log: "


@dataclass(frozen=True)
class Refusal:
    """A failure the library answered with success. `hint` says what to change; `line` is what it printed."""

    message: str
    hint: str
    line: str
    is_dump: bool


def log_findings(lines: Iterable[LogLine], found: Iterable[str] = ()) -> tuple[Finding, ...]:
    """One finding for each id and operator, of unknown lines one for each text; `found` are ids of what is known.

    The first line is the evidence; the operator's type, name and number are among the values where the line has them.
    """
    groups: dict[tuple[str, ...], list[LogLine]] = {}
    for line in lines:
        identifier = id_of(line)
        if identifier == USUAL or line.level not in "EW":
            continue
        key = (identifier, line.text if identifier in _UNKNOWN else "", *operator_of(line))
        groups.setdefault(key, []).append(line)
    known = {*found, *(key[0] for key in groups)}
    kept = [(key, group) for key, group in groups.items() if not known.intersection(_same_as(group[0]))]
    strange = [item for item in kept if item[0][0] in _UNKNOWN]
    told = {id(group) for _, group in strange[:_MAX_UNKNOWN]}
    return tuple(_finding(key[0], group) for key, group in kept if key[0] not in _UNKNOWN or id(group) in told)


def log_warnings(lines: Iterable[LogLine]) -> tuple[str, ...]:
    """The lines for a run's warnings, each text once, errors first; known ones with what they mean.

    At most 40; the log itself is kept with the run.
    """
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.level in "EW" and id_of(line) != USUAL:
            counts[line.level, line.text] = counts.get((line.level, line.text), 0) + 1
    ordered = sorted(counts, key=lambda entry: entry[0] != "E")
    said = [_warning(LogLine("", level, text), counts[level, text]) for level, text in ordered[:_MAX_WARNINGS]]
    if len(ordered) > _MAX_WARNINGS:
        said.append(f"{_PREFIX}{len(ordered) - _MAX_WARNINGS} more lines, see logs/")
    return tuple(said)


def warned_lines(warnings: Iterable[str], where: str) -> Iterator[LogLine]:
    """The known lines among a run's warnings, for runs whose log was not kept: quoted without a level."""
    for text in warnings:
        line = LogLine(where, "E", text[len(_PREFIX) :])
        if text.startswith(_PREFIX) and row_of(line) is not None:
            yield line


def refusal_of(lines: Sequence[LogLine]) -> Refusal | None:
    """The first line that says the run's values mean nothing, or that its dumps were not written."""
    for line in lines:
        row = row_of(line)
        if row is None or not (row.refused or row.id == _DUMP_PATH):
            continue
        text = CATALOGUE[row.id].en
        return Refusal(f"{text.title}; the runtime's log says: {line.text}", text.fix, line.text, row.id == _DUMP_PATH)
    return None


def _same_as(line: LogLine) -> tuple[str, ...]:
    row = row_of(line)
    return () if row is None else row.same_as


def _finding(identifier: str, group: Sequence[LogLine]) -> Finding:
    first = group[0]
    kind, name, number = operator_of(first)
    told = {"operator": kind, "name": name, "number": number}
    values: dict[str, Value] = {key: value for key, value in told.items() if value}
    detail = f"{first.where}: {first.text[:_MAX_TEXT]}"
    finding = make(
        identifier,
        CONFIDENCE,
        [Evidence("log", f"{first.level} {first.text[:_MAX_TEXT]}", {"count": float(len(group))}, first.where)],
        subject=name,
        detail=detail if identifier in _UNKNOWN or name else "",
        values={**values, "line": first.text[:_MAX_TEXT], "where": first.where},
    )
    return replace(finding, calls=Calls(count=len(group)))


def _warning(line: LogLine, count: int) -> str:
    entry = CATALOGUE[id_of(line)]
    times = f" ({count} times)" if count > 1 else ""
    means = f": {entry.en.title}" if entry.id not in _UNKNOWN and entry.severity is not Severity.INFO else ""
    return f"{_PREFIX}{line.text[:_MAX_TEXT]}{means}{times}"
