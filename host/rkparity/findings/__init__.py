"""What rkparity says is wrong: one record for every part."""

from __future__ import annotations

from rkparity.findings.finding import (
    SEVERITY_ORDER,
    Calls,
    Evidence,
    Finding,
    FindingStage,
    Severity,
    Value,
    diagnosis_json,
)

__all__ = ["SEVERITY_ORDER", "Calls", "Evidence", "Finding", "FindingStage", "Severity", "Value", "diagnosis_json"]
