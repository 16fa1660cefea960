"""What layers do to the output: the pattern of the accuracy table, and layers named as causes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.quantized.causes import MANUAL
from rkparity.flow.quantized.selection import OperatorGraph
from rkparity.toolkit.hybrid import Contribution, Operator, OutputError

SINGLE_BAD = 0.99
LAYER_SHARE = 0.2
LAST_SHARE = 0.3
HALF = 0.5


@dataclass(frozen=True)
class QuantizationPattern:
    """How `entire` and `single` go together: `bad` are layers bad by themselves."""

    bad: tuple[Operator, ...]
    worst: Operator | None

    def text(self, base: OutputError) -> str:
        """The pattern in one sentence."""
        if self.bad:
            names = ", ".join(item.name for item in self.bad[:3])
            return f"`single` is bad (cosine below {SINGLE_BAD}) in {len(self.bad)} layers, first: {names}"
        lowest = "" if self.worst is None else f" (lowest {self.worst.single.cosine:.5f} at {self.worst.name})"
        return (
            f"no layer's `single` is bad{lowest}, `entire` falls to {base.cosine:.4f} at the output: look at settings"
        )


def read_pattern(operators: Sequence[Operator]) -> QuantizationPattern:
    """Reads the two columns; fused layers are left out, their tensors are not stored."""
    shown = [item for item in operators if not item.fused and math.isfinite(item.single.cosine)]
    bad = tuple(item for item in shown if item.single.cosine < SINGLE_BAD)
    worst = min(shown, key=lambda item: item.single.cosine, default=None)
    return QuantizationPattern(bad, worst)


def layer_findings(
    operators: Sequence[Operator], contributions: Sequence[Contribution], outputs: Sequence[str]
) -> list[Finding]:
    """Layers that make much of the output's error by themselves, and the last operator where it is one of them."""
    total = sum(item.weights + item.storage for item in contributions)
    if not total:
        return []
    found: list[Finding] = []
    graph = OperatorGraph(operators)
    last = {_last(graph, name) for name in outputs}
    ordered = sorted(contributions, key=lambda item: item.weights + item.storage, reverse=True)
    seen: set[float] = set()
    for item in ordered[:8]:
        operator, size = operators[item.index], item.weights + item.storage
        # A tensor handed on unchanged (Reshape) makes the same error again.
        if size / total < LAYER_SHARE or item.storage in seen or operator.is_conversion:
            continue
        seen.add(item.storage or size)
        weights = item.weights > item.storage
        found.append(_layer(operator, item, size / total, weights))
        if item.index in last and size / total >= LAST_SHARE:
            found.append(_last_operator(operator, size / total))
    return found or [_spread(operators, contributions, total)]


def _spread(operators: Sequence[Operator], contributions: Sequence[Contribution], total: float) -> Finding:
    """No layer stands out: the loss is the sum of many."""
    ordered = sorted(contributions, key=lambda item: item.weights + item.storage, reverse=True)
    kinds: dict[str, float] = {}
    for item in contributions:
        kind = operators[item.index].op_type
        kinds[kind] = kinds.get(kind, 0.0) + (item.weights + item.storage) / total
    main = sorted(kinds.items(), key=lambda entry: entry[1], reverse=True)[:3]
    needed, reached = 0, 0.0
    for item in ordered:
        if reached >= HALF * total:
            break
        reached += item.weights + item.storage
        needed += 1
    weights = sum(item.weights for item in contributions) / total
    listed = ", ".join(operators[item.index].name for item in ordered[:5])
    return Finding(
        "quantized.spread",
        FindingStage.LAYER,
        Severity.WARNING,
        0.8,
        f"no layer stands out: {needed} of {len(contributions)} layers make half of the error",
        "small errors of many layers add up: "
        + ", ".join(f"{kind} {share:.0%}" for kind, share in main)
        + f"; {weights:.0%} comes from weights, the rest from storing tensors in int8",
        (
            Evidence(
                "statistics",
                f"share of the error by operator type; largest layers: {listed}",
                dict(main),
            ),
        ),
        "see the accuracy/cost curve: each step of it costs more for less; weigh it, or train with quantisation",
        "",
        MANUAL,
        subject=operators[ordered[0].index].name,
    )


def _layer(operator: Operator, item: Contribution, share: float, weights: bool) -> Finding:
    what = "its weights are spread too unevenly for int8" if weights else "its output's range is too wide for int8"
    return Finding(
        "quantized.layer.weights" if weights else "quantized.layer.range",
        FindingStage.LAYER,
        Severity.ERROR,
        0.9,
        f"layer {operator.name!r} ({operator.op_type}) makes {share:.0%} of the output's error",
        f"{what}: quantised alone, it moves the output by {math.sqrt(item.weights + item.storage):.2%}",
        (
            Evidence(
                "statistics",
                "relative output error when only this layer is quantised; its row of the accuracy table",
                {
                    "by its weights": math.sqrt(item.weights),
                    "by storing its output": math.sqrt(item.storage),
                    "single cosine": operator.single.cosine,
                    "entire cosine": operator.entire.cosine,
                },
            ),
        ),
        "keep it in float16 by hybrid quantisation"
        + ("" if weights else ", together with the layers that read it: alone its output is stored as int8 again"),
        "",
        MANUAL,
        subject=operator.name,
    )


def _last_operator(operator: Operator, share: float) -> Finding:
    return Finding(
        "quantized.last_operator",
        FindingStage.OUTPUT,
        Severity.INFO,
        0.7,
        f"the last operator {operator.name!r} makes {share:.0%} of the error",
        "nothing follows it, so it need not run on the NPU",
        (),
        f"cut the model before {operator.name!r} (outputs=[...] when loading) and compute it in post-processing",
        "",
        MANUAL,
        subject=operator.name,
    )


def _last(graph: OperatorGraph, output: str) -> int:
    """The last operator that computes: conversions and reshapes hand a value on."""
    index = graph.maker[output]
    while graph.operators[index].is_conversion or graph.operators[index].op_type in ("Reshape", "Transpose", "Flatten"):
        maker = graph.maker.get(graph.operators[index].reads[0]) if graph.operators[index].reads else None
        if maker is None:
            break
        index = maker
    return index
