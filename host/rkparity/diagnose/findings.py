"""A finding: a named cause with its evidence, confidence and fix. One schema for everything the diagnosis says."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "rkparity.diagnosis/1"


class Stage(str, enum.Enum):
    """Where the cause sits, in the order data goes through a deployment."""

    VERSIONS = "versions"
    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"
    REPEAT = "repeat"
    """Runs of the same input that differ, or of different inputs that do not."""


class Severity(str, enum.Enum):
    """What a finding means for the result."""

    ERROR = "error"
    """The result is wrong because of this."""
    WARNING = "warning"
    """This can make results wrong, or one of several causes fits equally well."""
    INFO = "info"
    """Worth knowing; nothing is wrong."""


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
class Finding:
    """A named cause. `confidence` is 0 to 1; `residual` is what the cause leaves unexplained, in `residual_unit`.

    `id` is stable ("input.channels.bgr"); `fix` is a sentence in C API terms, `fix_code` the lines to write;
    `reference` is a manual section or a public issue. `subject` is the tensor or file concerned.
    """

    id: str
    stage: Stage
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
        }


def diagnosis_json(findings: Iterable[Finding], **context: object) -> dict[str, Any]:
    """The document of docs/diagnosis-json.md: `findings` in the order given, `context` as further top-level keys."""
    return {"schema": SCHEMA, **context, "findings": [finding.to_json() for finding in findings]}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
