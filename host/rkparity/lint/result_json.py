"""The JSON of a lint, schema rkparity.lint/1; see docs/lint.md."""

from __future__ import annotations

import math
from typing import Any

from rkparity.lint.check import Lint
from rkparity.lint.findings import SEVERITY_ORDER, Finding, Value

SCHEMA = "rkparity.lint/1"


def to_json(lint: Lint) -> dict[str, Any]:
    """The result as plain JSON values; numbers that are not finite become text."""
    return {
        "schema": SCHEMA,
        "path": str(lint.path),
        "processes": [{"pid": pid, "program": program, "calls": calls} for pid, program, calls in lint.processes],
        "logs": list(lint.logs),
        "counts": {
            severity.value: sum(finding.severity is severity for finding in lint.findings)
            for severity in SEVERITY_ORDER
        },
        "findings": [_finding(finding) for finding in lint.findings],
        "unchecked": [{"what": item.what, "reason": item.reason} for item in lint.unchecked],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "title": finding.title,
        "process": finding.process,
        "context": finding.context,
        "tensor": finding.tensor,
        "calls": list(finding.calls),
        "count": finding.count,
        "why": finding.why,
        "values": {key: _value(value) for key, value in finding.values.items()},
        "fix": finding.fix,
        "snippet": finding.snippet,
        "reference": finding.reference,
    }


def _value(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
