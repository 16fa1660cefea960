"""The stage's figures as tables, and the sentences that rest on them."""

from __future__ import annotations

from collections.abc import Sequence

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.quantized.budget import Budget
from rkparity.flow.quantized.hybrid import Hybrid
from rkparity.flow.quantized.measure import sqnr_db
from rkparity.flow.quantized.selection import OperatorGraph, Selection
from rkparity.flow.quantized.trials import Trial
from rkparity.flow.result import Table
from rkparity.toolkit.hybrid import Contribution, Operator, OutputError, TensorCoverage

MOST_ROWS = 40
MOST_CONTRIBUTORS = 20


def columns_table(operators: Sequence[Operator]) -> Table:
    """`entire` and `single` of every stored tensor, recomputed in float64."""
    return Table(
        "layers: entire and single against golden",
        ("tensor", "operator", "entire cosine", "entire euclidean", "single cosine", "single euclidean"),
        tuple(
            (
                item.name,
                item.op_type,
                item.entire.cosine,
                item.entire.euclidean,
                item.single.cosine,
                item.single.euclidean,
            )
            for item in operators
            if not item.fused
        ),
    )


def trials_table(trials: Sequence[Trial], base: OutputError) -> Table:
    """What each setting gives, the best first."""
    rows: list[tuple[str | float | None, ...]] = [("as in the project", base.cosine, sqnr_db(base), 1.0, None, "")]
    for trial in sorted(trials, key=lambda item: item.ratio(base)):
        error = trial.error
        note = trial.note or (
            "tells about the calibration set, not to be deployed" if trial.candidate.diagnostic else ""
        )
        rows.append(
            (
                trial.candidate.change,
                None if error is None else error.cosine,
                None if error is None else sqnr_db(error),
                None if error is None else trial.ratio(base),
                round(trial.seconds, 1),
                note,
            )
        )
    return Table(
        "settings tried",
        ("change", "output cosine", "SQNR dB", "share of squared error", "seconds", "note"),
        tuple(rows),
    )


def coverage_table(coverage: Sequence[TensorCoverage]) -> Table:
    """The worst covered tensors first."""
    worst = sorted(coverage, key=lambda item: (-item.outside, item.overlap))[:MOST_ROWS]
    return Table(
        "calibration against real inputs",
        ("tensor", "calibration min", "calibration max", "real min", "real max", "outside", "overlap"),
        tuple((item.name, *item.calibration_range, *item.real_range, item.outside, item.overlap) for item in worst),
    )


def contributions_table(operators: Sequence[Operator], contributions: Sequence[Contribution]) -> Table:
    """What each layer alone does to the output, the largest first."""
    ordered = sorted(contributions, key=lambda item: item.weights + item.storage, reverse=True)[:MOST_CONTRIBUTORS]
    return Table(
        "relative output error when one layer alone is quantised",
        ("tensor", "operator", "by its weights", "by storing its output"),
        tuple(
            (operators[item.index].name, operators[item.index].op_type, item.weights**0.5, item.storage**0.5)
            for item in ordered
        ),
    )


def hybrid_table(hybrid: Hybrid, settings: str) -> Table:
    """Built and measured hybrid models: ours and the toolkit's."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for build in hybrid.tried:
        chosen = hybrid.ours is not None and build.layers == hybrid.ours.layers
        rows.append(
            ("ours, chosen" if chosen else "ours", len(build.layers), build.error.cosine, sqnr_db(build.error), "")
        )
    theirs = hybrid.proposal
    if theirs is None:
        rows.append(("the toolkit's proposal", None, None, None, hybrid.proposal_note))
    else:
        rows.append(("the toolkit's proposal", len(theirs.layers), theirs.error.cosine, sqnr_db(theirs.error), ""))
    return Table(
        f"hybrid builds with {settings}", ("choice", "float tensors", "output cosine", "SQNR dB", "note"), tuple(rows)
    )


def curve_table(selection: Selection, operators: Sequence[Operator], settings: str) -> Table:
    """The accuracy/cost curve, predicted by mixing; cost is an estimate that ranks."""
    graph = OperatorGraph(operators)
    return Table(
        f"accuracy against cost with {settings} (predicted)",
        ("float tensors", "added work (estimate)", "output cosine", "SQNR dB", "tensors"),
        tuple(
            (
                len(point.floats),
                point.cost,
                point.error.cosine,
                sqnr_db(point.error),
                ", ".join(graph.names(point.floats)[:12]) + (", ..." if len(point.floats) > 12 else ""),
            )
            for point in selection.curve
        ),
    )


def cost_table(budget: Budget, notes: Sequence[str]) -> Table:
    """Time spent of the budget, and what was left out."""
    rows: list[tuple[str | float, ...]] = [("seconds spent", round(budget.spent, 1)), ("budget", budget.seconds)]
    return Table("time", ("what", "value"), (*rows, *(("left out", note) for note in notes)))


def hybrid_text(hybrid: Hybrid, limit: float) -> str:
    """Our hybrid against the toolkit's, in one sentence."""
    assert hybrid.ours is not None
    reached = "reaches" if hybrid.meets(limit) else "gives"
    text = f"hybrid with {len(hybrid.ours.layers)} float tensors {reached} cosine {hybrid.ours.error.cosine:.5f}"
    if hybrid.proposal is not None:
        theirs = hybrid.proposal
        text += f"; the toolkit's proposal of {len(theirs.layers)} gives {theirs.error.cosine:.5f}"
    return text


def hybrid_advice(hybrid: Hybrid, reached: OutputError, limit: float) -> tuple[str, str]:
    """What hybrid quantisation came to and what to do with it, in a sentence each; empty when it gains nothing.

    `reached`: what the best settings give without it.
    """
    ours, theirs = hybrid.ours, hybrid.proposal
    if hybrid.proposal_serves(limit) and theirs is not None:
        return (
            f"the toolkit's own hybrid proposal of {len(theirs.layers)} tensors gives cosine {theirs.error.cosine:.5f}",
            "build with hybrid quantisation as the toolkit proposes: hybrid_quantization_step1(proposal=True)",
        )
    if ours is not None and ours.error.squared < reached.squared:
        return hybrid_text(hybrid, limit), (
            f"build with hybrid quantisation, {len(ours.layers)} tensors in float16: "
            f"hybrid_quantization_step2 with {ours.cfg.name}"
        )
    if hybrid.predicted and hybrid.files is not None:
        cosine = hybrid.selection.chosen.error.cosine
        return f"hybrid with {len(hybrid.predicted)} float tensors: cosine {cosine:.5f} predicted, not built in time", (
            f"build with hybrid_quantization_step2 and {hybrid.files.cfg.name}, and measure it; or raise budget_s in "
            "[check] and run `rkparity check --resume`"
        )
    return "", ""


def hybrid_finding(hybrid: Hybrid, base: OutputError, limit: float) -> Finding:
    """The repair by hybrid quantisation, ready to be used."""
    assert hybrid.ours is not None
    ours = hybrid.ours
    stem = ours.cfg.name[: -len(".quantization.cfg")]
    return Finding(
        "quantized.hybrid",
        FindingStage.LAYER,
        Severity.INFO,
        0.95 if hybrid.meets(limit) else 0.6,
        hybrid_text(hybrid, limit),
        "these layers lose the most at the output for what they cost in float16: " + ", ".join(ours.layers[:8]),
        (
            Evidence(
                "fit",
                "built by hybrid_quantization_step2 and measured",
                {
                    "cosine before": base.cosine,
                    "cosine after": ours.error.cosine,
                    "float tensors": float(len(ours.layers)),
                },
                ours.cfg.name,
            ),
        ),
        "more float layers cost speed: measure it on the board",
        "rknn.hybrid_quantization_step2(\n"
        f"    model_input='{stem}.model', data_input='{stem}.data',\n"
        f"    model_quantization_cfg='{ours.cfg.name}')",
        "RKNN manual 7.1.2",
        subject=ours.layers[0],
    )
