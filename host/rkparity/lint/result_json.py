"""The JSON of a lint, schema rkparity.lint/1; see docs/lint.md."""

from __future__ import annotations

import math
from typing import Any

from rkparity.findings.finding import SEVERITY_ORDER, Calls, Finding, Value
from rkparity.lint.check import Lint

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
    calls = finding.calls or Calls()
    return {
        "rule": finding.id,
        "severity": finding.severity.value,
        "title": finding.title,
        "process": calls.process,
        "context": calls.context,
        "tensor": finding.subject,
        "calls": list(calls.numbers),
        "count": calls.count,
        "why": finding.cause,
        "values": {key: _value(value) for key, value in finding.values.items()},
        "fix": finding.fix,
        "snippet": finding.fix_code,
        "reference": finding.reference,
    }


def _value(value: Value) -> Value:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
