"""A finding: a named cause with its evidence, confidence and fix. One record for everything rkparity says is wrong."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

SCHEMA = "rkparity.diagnosis/1"
Value = Union[str, int, float, bool, None]


class FindingStage(str, enum.Enum):
    """Where the cause sits, in the order data goes through a deployment."""

    VERSIONS = "versions"
    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"
    REPEAT = "repeat"
    """Runs of the same input that differ, or of different inputs that do not."""
    CALLS = "calls"
    """How the program calls the runtime."""


class Severity(str, enum.Enum):
    """What a finding means for the result."""

    ERROR = "error"
    """The result is wrong because of this."""
    WARNING = "warning"
    """This can make results wrong, or one of several causes fits equally well."""
    INFO = "info"
    """Worth knowing; nothing is wrong."""


SEVERITY_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True)
class Evidence:
    """One thing a finding rests on. `numbers` are named measurements, `file` is relative to the diagnosis's folder.

    `kind` says what it is: "fit", "residual", "runner-up", "picture", "statistics", "dump", "trace", "log", "tie".
    """

    kind: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    file: str | None = None


@dataclass(frozen=True)
class Calls:
    """Where in a program a finding was seen.

    `process` is the process id of the trace (0: the whole run), `context` the number of the context (0: none),
    `numbers` are the first call numbers of the trace, `count` is how often it was seen.
    """

    process: int = 0
    context: int = 0
    numbers: tuple[int, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class Finding:
    """A named cause. `confidence` is 0 to 1; `residual` is what the cause leaves unexplained, in `residual_unit`.

    `id` is stable ("input.channels.bgr"); `fix` is a sentence in C API terms, `fix_code` the lines to write;
    `reference` is a manual section or a public issue. `subject` is the tensor or file concerned. `calls` says where a
    program does it, `values` are the facts its texts speak of.
    """

    id: str
    stage: FindingStage
    severity: Severity
    confidence: float
    title: str
    cause: str
    evidence: tuple[Evidence, ...] = ()
    fix: str = ""
    fix_code: str = ""
    reference: str = ""
    residual: float | None = None
    residual_unit: str = ""
    subject: str = ""
    calls: Calls | None = None
    values: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values; numbers that are not finite become null."""
        return {
            "id": self.id,
            "stage": self.stage.value,
            "severity": self.severity.value,
            "confidence": _number(self.confidence),
            "subject": self.subject,
            "title": self.title,
            "cause": self.cause,
            "evidence": [
                {
                    "kind": item.kind,
                    "text": item.text,
                    "numbers": {name: _number(value) for name, value in item.numbers.items()},
                    "file": item.file,
                }
                for item in self.evidence
            ],
            "fix": self.fix,
            "fix_code": self.fix_code,
            "reference": self.reference,
            "residual": _number(self.residual),
            "residual_unit": self.residual_unit,
            "calls": None
            if self.calls is None
            else {
                "process": self.calls.process,
                "context": self.calls.context,
                "numbers": list(self.calls.numbers),
                "count": self.calls.count,
            },
            "values": {name: _value(value) for name, value in self.values.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Finding:
        """Reads what `to_json` wrote, of this version or an older one; KeyError, TypeError or ValueError otherwise."""
        calls = value.get("calls")
        return cls(
            id=str(value["id"]),
            stage=FindingStage(value["stage"]),
            severity=Severity(value["severity"]),
            confidence=float(value["confidence"]),
            title=str(value["title"]),
            cause=str(value["cause"]),
            evidence=tuple(_evidence(item) for item in value["evidence"]),
            fix=str(value["fix"]),
            fix_code=str(value["fix_code"]),
            reference=str(value["reference"]),
            residual=value["residual"],
            residual_unit=str(value["residual_unit"]),
            subject=str(value["subject"]),
            calls=None
            if calls is None
            else Calls(
                int(calls["process"]), int(calls["context"]), tuple(map(int, calls["numbers"])), int(calls["count"])
            ),
            values=dict(value.get("values", {})),
        )


def diagnosis_json(findings: Iterable[Finding], **context: object) -> dict[str, Any]:
    """The document of docs/diagnosis-json.md: `findings` in the order given, `context` as further top-level keys."""
    return {"schema": SCHEMA, **context, "findings": [finding.to_json() for finding in findings]}


def _evidence(value: Any) -> Evidence:
    numbers = {name: math.nan if number is None else float(number) for name, number in value["numbers"].items()}
    return Evidence(value["kind"], value["text"], numbers, value["file"])


def _value(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
