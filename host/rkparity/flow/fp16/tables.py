"""What stage fp16 shows: its tables, and the findings that need no search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.fp16.layers import LayerScore
from rkparity.flow.result import Table
from rkparity.flow.simulation import OutputScore

Scores = tuple[OutputScore, ...]


def comparison_tables(
    golden: Scores, simulator: Scores, layers: Sequence[LayerScore], ranges: Sequence[Any]
) -> tuple[Table, ...]:
    """Outputs, the layers that fare worst, tensors out of range; empty ones are left out."""
    outputs = Table(
        "outputs against the original",
        ("output", "golden cos", "golden rel. error", "FP16 cos", "FP16 rel. error", "FP16 not finite"),
        tuple((a.name, a.cosine, a.relative, b.cosine, b.relative, b.nonfinite) for a, b in zip(golden, simulator)),
    )
    worst = sorted(layers, key=lambda item: -item.score.relative)[:10]
    named = Table(
        "layers that agree by name, the worst (golden against the original)",
        ("layer", "operator", "cos", "rel. error"),
        tuple((item.score.name, item.op_type, item.score.cosine, item.score.relative) for item in worst),
    )
    out = Table(
        "tensors outside FP16's range (golden), in graph order",
        ("tensor", "operator", "largest", "beyond +-65504", "flushed to zero"),
        tuple((row.name, row.op_type, row.maximum, row.over, row.flushed) for row in ranges),
    )
    return tuple(table for table in (outputs, named, out) if table.rows)


def trained_tables(simulator: Scores, layers: Sequence[LayerScore]) -> tuple[Table, ...]:
    """The same for a model trained with quantisation, which has no golden run."""
    outputs = Table(
        "outputs against the original (QAT: both compute in int8)",
        ("output", "simulator cos", "simulator rel. error", "not finite"),
        tuple((item.name, item.cosine, item.relative, item.nonfinite) for item in simulator),
    )
    worst = sorted(layers, key=lambda item: -item.score.relative)[:10]
    named = Table(
        "layers that agree by name, the worst (simulator against the original)",
        ("layer", "cos", "rel. error"),
        tuple((item.score.name, item.score.cosine, item.score.relative) for item in worst),
    )
    return tuple(table for table in (outputs, named) if table.rows)


def unproven() -> Finding:
    """Nothing independent of the build says what the original is fed."""
    return Finding(
        id="config.mean_std.unproven",
        stage=FindingStage.INPUT,
        severity=Severity.INFO,
        confidence=1.0,
        title="mean, std and channel order were not put to the test",
        cause="The original was fed what the build's own mean and std make of the sample, so a wrong value would be "
        "wrong on both sides.",
        fix="save what your training or inference script feeds the original model, and name it: "
        '[original] inputs = ["fed.npy"] (or outputs = ["answer.npy"])',
        fix_code='[original]\ninputs = ["fed.npy"]',
        reference="RKNN manual 7.1.1",
    )


def trained_differs(worst: OutputScore, first: LayerScore | None) -> Finding:
    """A QAT model whose simulator departs from the original though no configuration explains it."""
    where = "" if first is None else f"; the first layer that differs is {first.score.name}"
    return Finding(
        id="simulator.qat",
        stage=FindingStage.LAYER,
        severity=Severity.ERROR,
        confidence=0.6,
        title=f"the converted QAT model computes something else than the original (output {worst.name})",
        cause=f"Both use the scales of the model, and no mistake of the configuration explains the difference{where}.",
        evidence=(Evidence("statistics", "worst output", {"cosine": worst.cosine, "relative_error": worst.relative}),),
        fix="check that every QuantizeLinear has its DequantizeLinear and that zero points and types are int8; then "
        "hand `rkparity bundle` to the vendor",
        reference="RKNN manual 7.1.2",
        subject="" if first is None else first.score.name,
    )
