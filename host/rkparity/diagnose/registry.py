"""The registry of causes: what each named step means, how to fix it, and where that is written.

Every part of the diagnosis registers its causes once, by a stable id; findings are made from them, so that the same
cause reads the same wherever it is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity


@dataclass(frozen=True)
class Cause:
    """One named cause. `id` is "stage.family.name"; `fix_code` is C; `reference` a manual section or a public issue."""

    id: str
    stage: FindingStage
    title: str
    cause: str
    fix: str
    fix_code: str = ""
    reference: str = ""
    severity: Severity = Severity.ERROR

    def finding(
        self,
        confidence: float,
        evidence: Iterable[Evidence] = (),
        *,
        detail: str = "",
        residual: float | None = None,
        residual_unit: str = "",
        subject: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this cause; `detail` is what was measured and goes after the cause."""
        return Finding(
            self.id,
            self.stage,
            severity or self.severity,
            confidence,
            self.title,
            f"{self.cause} Here: {detail}." if detail else self.cause,
            tuple(evidence),
            self.fix,
            self.fix_code,
            self.reference,
            residual,
            residual_unit,
            subject,
        )


_CAUSES: dict[str, Cause] = {}


def register(causes: Iterable[Cause]) -> None:
    """Adds causes; ValueError when an id is taken by another cause (a programming error)."""
    for cause in causes:
        if _CAUSES.setdefault(cause.id, cause) != cause:
            raise ValueError(f"two causes are called {cause.id}")


def cause_of(identifier: str) -> Cause:
    """The cause of that id; KeyError when no part registered it."""
    return _CAUSES[identifier]


def causes() -> tuple[Cause, ...]:
    """Every cause registered so far, by id."""
    return tuple(_CAUSES[identifier] for identifier in sorted(_CAUSES))
