"""The first layer that is wrong although its inputs are right, and what becomes of it behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rkparity.compare.alignment import PairRole
from rkparity.compare.verdict import Verdict
from rkparity.diagnose.layers.facts import LayerFacts, LayersFacts, named
from rkparity.diagnose.layers.known_issues import known_issues
from rkparity.diagnose.layers.pattern import DifferencePattern, describe
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_FIX = (
    "Use one version for toolkit, librknnrt and driver, and the newest; if it stays, compute this operator on the CPU "
    "(op_target) or write it another way, and send the vendor this layer's input and output dumps."
)
_WEIGHTED = ("Conv", "Gemm", "MatMul", "exMatMul")
_FEWEST_WRONG = 4
_ADDED = ("_int8", "__float16", "-rs", "_rs", "_mm", "_sw")
_OWN_CONFIDENCE = 0.97
# Rounding that adds up can look like a fault where no layer was judged on the board's own inputs.
_END_TO_END_CONFIDENCE = 0.6
_MANUAL = "RKNN manual 7.2.1 (single_sim)"


def first_divergence(facts: LayersFacts) -> Iterable[Finding]:
    """One finding about the first failing layer whose inputs are good, one about further such layers."""
    if facts.comparison.blamed_input is not None or not facts.own:
        return
    # A recomputed layer that is right on the board's own inputs has inherited its error.
    culprits = [layer for layer in facts.own if layer.own is None or layer.own.verdict is Verdict.FAIL]
    if not culprits:
        return
    if _is_another_model(facts, culprits):
        yield _another_model(facts, culprits)
        return
    first = culprits[0]
    if _is_accumulated(facts, first):
        return
    yield _finding(facts, first)
    further = [layer for layer in culprits[1:] if not _is_accumulated(facts, layer)]
    if further:
        yield Finding(
            "layer.several",
            FindingStage.LAYER,
            Severity.WARNING,
            0.9 if facts.has_local_run else 0.5,
            f"{len(further)} more layers are wrong by themselves",
            f"{_why(facts)} their outputs are wrong: {named(further)}.",
            (Evidence("statistics", "failing layers with good inputs", {"layers": float(len(culprits))}),),
            "Begin with the first one; the same cause may hold for all.",
            subject=further[0].pair.tensor,
        )


def _is_another_model(facts: LayersFacts, culprits: Sequence[LayerFacts]) -> bool:
    """Whether so many layers with weights are wrong by themselves that it is not the operators: other weights ran."""
    weighted = [layer for layer in facts.layers if layer.own is not None and layer.pair.op_type.startswith(_WEIGHTED)]
    wrong = [layer for layer in culprits if layer.own is not None and layer in weighted]
    return len(wrong) >= _FEWEST_WRONG and len(wrong) > 0.5 * len(weighted)


def _another_model(facts: LayersFacts, culprits: Sequence[LayerFacts]) -> Finding:
    return Finding(
        "versions.another_weights",
        FindingStage.VERSIONS,
        Severity.ERROR,
        0.8,
        "the board ran other weights than this model has",
        f"{len(culprits)} layers, most of those with weights, give something else than the simulator makes of the "
        f"board's own inputs: {named(culprits)}. No operator is to blame for that; the dumps are of another build.",
        (Evidence("statistics", "layers wrong by themselves", {"layers": float(len(culprits))}),),
        "Copy the .rknn to the board again, compare its SHA-256 with the one here, and make the dumps again.",
        "sha256sum model.rknn   # on the board and here",
        "RKNN manual 7.2.1",
        subject=culprits[0].pair.tensor,
    )


def _is_accumulated(facts: LayersFacts, layer: LayerFacts) -> bool:
    """Whether the layer merely lets grow what its inputs brought along already, all of it below the limits."""
    if layer.own is not None or layer.pair.stats is None:
        return False
    incoming = [item.pair.stats.relative_euclidean for item in facts.sources(layer) if item.pair.stats is not None]
    error = layer.pair.stats.relative_euclidean
    special = layer.pair.stats.nonfinite_mismatch > 0
    return not special and bool(incoming) and 0 < error <= 3.0 * max(incoming)


def _finding(facts: LayersFacts, layer: LayerFacts) -> Finding:
    pair = layer.pair
    assert pair.stats is not None
    simulated = facts.simulated(layer)
    step = _step(layer)
    pattern = describe(facts.dump(layer), simulated, step) if simulated is not None else DifferencePattern("", "")
    readers = facts.readers(layer)
    recovered = bool(readers) and all(item.pair.verdict is not Verdict.FAIL for item in readers)
    evidence = [_numbers(layer)]
    if pattern.text:
        evidence.append(Evidence("statistics", pattern.text, pattern.numbers, pair.dump))
    if layer.own is not None and layer.own.stats is not None:
        evidence.append(_recomputed(layer))
    finding = Finding(
        id="layer.operator",
        stage=FindingStage.LAYER,
        severity=Severity.ERROR,
        confidence=_OWN_CONFIDENCE if layer.own is not None else _END_TO_END_CONFIDENCE,
        title=f"{pair.op_type} computes {pair.tensor} wrong",
        cause=_cause(layer),
        evidence=tuple(evidence),
        fix=_FIX,
        fix_code=op_target_line(pair.tensor),
        reference=", ".join(filter(None, [_MANUAL, known_issues(pair.op_type)])),
        residual=pair.stats.relative_euclidean,
        residual_unit="relative euclidean distance",
        subject=pair.tensor,
    )
    if pair.role is PairRole.OUTPUT:
        return replace(
            finding,
            id="layer.output_operator",
            title=f"the runtime's output conversion of {pair.tensor} is wrong",
            cause=f"The layer behind output {pair.tensor} agrees with the simulator, the OutputOperator's dump does "
            "not: "
            f"{pair.reasons[0]}.",
            fix="Try another output type or layout (want_float = 1, NCHW); hand it to the vendor if it stays.",
            fix_code="outputs[i].want_float = 1;",
            reference="RKNN manual 7.2.2 (outputs)",
        )
    if recovered:
        after = ", ".join(item.pair.op_type + " " + item.pair.tensor for item in readers[:3])
        evidence.append(
            Evidence("statistics", f"what reads it agrees again: {after}", {"readers": float(len(readers))})
        )
        return replace(
            finding,
            id="layer.dump_only",
            severity=Severity.WARNING,
            evidence=tuple(evidence),
            title=f"only the dump of {pair.tensor} is wrong",
            cause=f"The layers that read {pair.tensor} agree with the simulator, so the value they got was right; the "
            "dump shows it in another layout, or before or after a fused step.",
            fix="Ignore this layer; look at the first one whose readers are wrong as well.",
            fix_code="",
            reference="airockchip/rknn-toolkit2#579",
        )
    if pattern.id:
        special = {
            "zero": "is all zero",
            "constant": "is constant",
            "moved": "has its values in other places",
            "linear": "is scaled or shifted",
        }.get(pattern.id)
        if special:
            return replace(finding, id=f"layer.{pattern.id}", title=f"{pair.op_type}'s output {pair.tensor} {special}")
    return finding


def op_target_line(tensor: str) -> str:
    """The line that puts an operator on the CPU; empty where the toolkit takes no such name.

    op_target's keys are output tensors of the loaded model: what the toolkit adds to a name while it optimises is not
    among them (2.5.0: `Invalid key`).
    """
    name = tensor
    while name.endswith(_ADDED):
        name = next(name[: -len(ending)] for ending in _ADDED if name.endswith(ending))
    if "@" in name or name.startswith("New_input_") or "_2conv" in name:
        return ""
    return f"rknn.config(target_platform=..., op_target={{{name!r}: 'cpu'}})"


def _why(facts: LayersFacts) -> str:
    return "On the board's own inputs" if facts.has_local_run else "Their inputs agree and"


def _cause(layer: LayerFacts) -> str:
    pair = layer.pair
    if layer.own is not None:
        return (
            f"{pair.op_type} (operator {pair.order}) gives something else than the simulator makes of the board's own "
            f"inputs: {pair.reasons[0]}."
        )
    return (
        f"Everything {pair.op_type} (operator {pair.order}) reads agrees with the simulator, its output does not: "
        f"{pair.reasons[0]}. Judged end to end only, this may be rounding that adds up."
    )


def _step(layer: LayerFacts) -> float:
    known = layer.quantization
    if known is not None:
        return 1.01 * known.scale
    stats = layer.pair.stats
    largest = max(abs(stats.reference.minimum), abs(stats.reference.maximum)) if stats is not None else 0.0
    return largest * 2.0**-8 if largest == largest else 0.0


def _numbers(layer: LayerFacts) -> Evidence:
    stats = layer.pair.stats
    assert stats is not None
    numbers = {
        "cosine": stats.cosine,
        "relative_euclidean": stats.relative_euclidean,
        "max_abs_error": stats.max_abs_error,
    }
    text = f"board against simulator: cosine {stats.cosine:.5f}, largest error {stats.max_abs_error:.4g}"
    if stats.lsb is not None:
        numbers["max_lsb"] = stats.lsb.max_lsb
        text += f" ({stats.lsb.max_lsb:.3g} LSB)"
    return Evidence("statistics", text, numbers, layer.pair.dump)


def _recomputed(layer: LayerFacts) -> Evidence:
    assert layer.own is not None and layer.own.stats is not None and layer.pair.stats is not None
    own, total = layer.own.stats, layer.pair.stats
    return Evidence(
        "statistics",
        f"on the board's own inputs the simulator gives another result: own error {own.relative_euclidean:.3g}, "
        f"all error {total.relative_euclidean:.3g} (relative euclidean)",
        {"own": own.relative_euclidean, "total": total.relative_euclidean},
    )
