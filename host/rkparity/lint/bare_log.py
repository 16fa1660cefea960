"""A log alone: what a board printed, without a trace and without a run."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from rkparity.errors import UsageError
from rkparity.findings import Severity
from rkparity.findings.runtime_log import LogLine
from rkparity.lint.rule import Observation, Rule, Unchecked
from rkparity.lint.rules_versions import version_of
from rkparity.lint.subject import Subject

_HEAD_NBYTES = 4096
_RUNTIME = re.compile(r"librknnm?rt version: (\d+\.\d+\.\d+)")
# On 32-bit Arm the labels stand one field too early, and the toolkit's version behind `target`.
_TOOLKIT = re.compile(r"toolkit version: (?:\(null\), target: )?(\d+\.\d+\.\d+)")


def _no_rule(_: Subject) -> Iterator[Observation]:
    return iter(())


OLDER = Rule(
    "version-log",
    Severity.WARNING,
    "the log names a runtime older than the model's toolkit",
    "RKNN manual, versions; airockchip/rknn-toolkit2#308",
    "Use librknnrt.so of the version the toolkit has: the vendor asks for the same one, and a patch version is enough "
    "to differ (2.3.0 and 2.3.2, 1.5.0 and 1.5.2).",
    "",
    _no_rule,
)
ERROR_LINE = Rule(
    "log-error",
    Severity.ERROR,
    "an error of the board that no rule knows",
    "RKNN manual 7.2.2 (U6)",
    "Look at the call or the operator the line names. With the rest of the log at RKNN_LOG_LEVEL=5 and the model it is "
    "a report for the vendor.",
    "",
    _no_rule,
)
RULES = (OLDER, ERROR_LINE)
# What librknnrt, RGA and the media framework print of an error, the time of day apart.
_ERROR = re.compile(
    r"(?:^|\s)E (\w+): (?:\[[0-9:.]+\] )?(.+)$|^(Rga\w*)\(\d+\) (.*(?:fail|error|invalid).*)$", re.IGNORECASE
)
_OPERATOR = re.compile(
    r"op (?:type|name): ?(?P<type>[^,:\s]+)(?:[:,] ?(?:name: ?)?(?P<name>[^,\s]+))?|op id: ?(?P<id>\d+)"
    r"|target: ?(?P<target>\w+)",
    re.IGNORECASE,
)
_MAX_ERRORS = 40
_MAX_TEXT = 300


def is_log(path: Path) -> bool:
    """Whether a file is text a program printed, and no trace, which is a line of JSON each."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_NBYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return b"\0" not in head and not head.lstrip().startswith(b"{") and bool(head.strip())


def check_versions(lines: Iterable[LogLine]) -> Iterator[tuple[Rule, Observation]]:
    """Compares the runtime's own line with every model's, in the order they were printed."""
    runtime = ""
    for line in lines:
        found = _RUNTIME.search(line.text)
        if found:
            runtime = found[1]
        made = _TOOLKIT.search(line.text)
        newer, own = version_of(made[1] if made else None), version_of(runtime or None)
        if made and newer is not None and own is not None and newer > own:
            why = f"{line.where}: the model was made by toolkit {made[1]}, this librknnrt is {runtime}"
            yield OLDER, Observation(0, (), why, "", {"toolkit": made[1], "runtime": runtime})


def check_errors(path: Path, known: Container[str]) -> Iterator[tuple[Rule, Observation]]:
    """Every error line but those at the places `known`, each text once, with the operator where a line names it."""
    told: set[str] = set()
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(_HEAD_NBYTES), b""), start=1):
            where = f"{path.name}:{number}"
            match = _ERROR.search(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if match is None or where in known or len(told) >= _MAX_ERRORS:
                continue
            source, text = (match[1], match[2]) if match[1] else (match[3], match[4])
            if text in told:
                continue
            told.add(text)
            operator = {
                key: value
                for found in _OPERATOR.finditer(text)
                for key, value in found.groupdict().items()
                if value is not None
            }
            why = f"{where}: {source}: {text[:_MAX_TEXT]}"
            # The text stands for the tensor: each line is a finding of its own.
            yield ERROR_LINE, Observation(0, (), why, text[:80], {"line": text[:_MAX_TEXT], **operator})


def not_in_a_log() -> tuple[Unchecked, ...]:
    """What cannot be concluded from a log alone, and what to collect next."""
    return (
        Unchecked(
            "whether any value is wrong",
            "a log holds none; next, collect the dumps: `rkparity run-app` with your program",
        ),
        Unchecked(
            "what the program was told to do", "its calls are not in a log; `rkparity run-app --trace` keeps them"
        ),
        Unchecked(
            "driver and hardware",
            "lines of the kernel are not in it: add the output of dmesg, and set RKNN_LOG_LEVEL=5 if it has no D lines",
        ),
    )
