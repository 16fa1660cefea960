"""FP16's range: which tensors of the golden run leave it, in graph order, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.runs import RunReader

LARGEST = 65504.0
"""The largest finite float16 (RKNN manual 7.1.1)."""
SMALLEST = 2.0**-25
"""Half of the smallest float16: what is not larger becomes 0."""


@dataclass(frozen=True)
class RangeRow:
    """One tensor that leaves the range. `flushed` is the part of its non-zero values that become 0."""

    name: str
    op_type: str
    order: int
    maximum: float
    over: int
    flushed: float
    all_zero: bool


def out_of_range(golden: RunReader) -> tuple[RangeRow, ...]:
    """Tensors with a value beyond +-65504, or whose non-zero values all become 0 in float16; in execution order."""
    import numpy as np

    rows = []
    for record in golden.manifest.tensors:
        values = golden.tensor(record)
        if values.dtype.kind != "f" or values.size == 0:
            continue
        size = np.abs(values)
        over = int(np.count_nonzero(~(size <= LARGEST)))
        nonzero = int(np.count_nonzero(size))
        tiny = nonzero - int(np.count_nonzero(size > SMALLEST))
        if over or (nonzero and tiny == nonzero):
            maximum = float(np.max(size))
            rows.append(
                RangeRow(record.name, record.op_type, record.order, maximum, over, tiny / max(nonzero, 1), over == 0)
            )
    return tuple(rows)


def range_findings(rows: tuple[RangeRow, ...], *, outputs_wrong: bool) -> tuple[Finding, ...]:
    """One finding for the first tensor beyond the range (the rest as evidence), one for the first that vanishes."""
    severity = Severity.ERROR if outputs_wrong else Severity.WARNING
    findings = []
    over = [row for row in rows if row.over]
    if over:
        first = over[0]
        findings.append(
            Finding(
                id="fp16.overflow",
                stage=FindingStage.LAYER,
                severity=severity,
                confidence=0.98 if outputs_wrong else 0.8,
                title=f"{first.name} exceeds the range of FP16",
                cause=f"{first.op_type or 'the layer'} makes {first.name} with values up to {first.maximum:.6g}; FP16 "
                f"ends at {LARGEST:g}. {first.over} values become infinite and NaN downstream.",
                evidence=tuple(
                    Evidence(
                        "statistics",
                        f"{row.name} ({row.op_type}): {row.over} values beyond +-65504, the largest {row.maximum:.6g}",
                        {"maximum": row.maximum, "over": float(row.over), "order": float(row.order)},
                    )
                    for row in over[:8]
                ),
                fix=f"change the model so that {first.name} stays within +-65504: add a BatchNorm (or a scaling whose "
                f"inverse is folded into a later layer) before {first.op_type or 'it'}, or divide its weights and "
                "multiply back after; then train or export again",
                reference="RKNN manual 7.1.1",
                subject=first.name,
            )
        )
    vanished = [row for row in rows if row.all_zero]
    if vanished:
        first = vanished[0]
        findings.append(
            Finding(
                id="fp16.underflow",
                stage=FindingStage.LAYER,
                severity=severity if not over else Severity.WARNING,
                confidence=0.9,
                title=f"{first.name} becomes all zero in FP16",
                cause=f"{first.op_type or 'the layer'} makes {first.name} with values of at most {first.maximum:.3g}; "
                "FP16 rounds everything up to 2.98e-08 to zero.",
                evidence=tuple(
                    Evidence("statistics", f"{row.name} ({row.op_type})", {"maximum": row.maximum}) for row in vanished
                ),
                fix=f"scale {first.name} up in the model (multiply its weights, divide after), so that FP16 holds it",
                reference="RKNN manual 7.1.1",
                subject=first.name,
            )
        )
    return tuple(findings)
