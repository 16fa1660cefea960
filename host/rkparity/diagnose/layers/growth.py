"""Error along the graph: accumulated bit by bit, inherited whole, or one layer's doing; and what the scales explain."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rkparity.compare.alignment import PairRole
from rkparity.compare.verdict import Verdict
from rkparity.diagnose.layers.facts import LayerFacts, LayersFacts, is_quantized_run, named
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_MANUAL = "RKNN manual 7.1.2"


def inherited(facts: LayersFacts) -> Iterable[Finding]:
    """What recomputing the layers says: who makes the error, who passes it on."""
    if not facts.has_local_run:
        return
    makers = [item for item in facts.layers if item.own is not None and item.own.verdict is Verdict.FAIL]
    passers = [item for item in facts.failing if item.own is not None and item.own.verdict is not Verdict.FAIL]
    if passers:
        worst = max(passers, key=_relative)
        own = worst.own.stats.relative_euclidean if worst.own is not None and worst.own.stats is not None else math.nan
        yield Finding(
            "layer.inherited",
            FindingStage.LAYER,
            Severity.INFO,
            0.97,
            f"{len(passers)} failing layers only pass an error on",
            f"Recomputed on the board's own inputs they agree: {named(passers)}."
            + ("" if makers else " No layer makes an error of its own: it is in the input, or it accumulates."),
            (
                Evidence(
                    "statistics",
                    f"worst of them: {worst.pair.tensor}",
                    {"own": own, "total": _relative(worst)},
                    worst.pair.dump,
                ),
            ),
            subject=worst.pair.tensor,
        )


def accumulated(facts: LayersFacts) -> Iterable[Finding]:
    """The board departs from the simulator bit by bit: no layer adds more than its inputs brought."""
    if facts.comparison.blamed_input is not None or not facts.failing:
        return
    chain = [(layer, _gain(facts, layer)) for layer in facts.layers]
    culprits = [layer for layer in facts.own if _gain(facts, layer) > 3.0 or _special(layer)]
    exact = [layer for layer in facts.failing if layer.own is not None and layer.own.verdict is Verdict.FAIL]
    if (culprits and not facts.has_local_run) or exact:
        return
    last = facts.failing[-1]
    gains = [gain for _, gain in chain if math.isfinite(gain)]
    yield Finding(
        "layer.accumulated",
        FindingStage.LAYER,
        Severity.WARNING,
        0.9 if facts.has_local_run else 0.6,
        "small differences accumulate; no single layer is to blame",
        f"From layer to layer the error grows by at most {max(gains, default=0.0):.3g} times; at {last.pair.tensor} "
        "it has "
        f"reached {_relative(last):.3g} of the tensor. The NPU rounds otherwise than the simulator.",
        (
            Evidence(
                "statistics",
                "growth of the relative euclidean distance",
                {"largest_gain": max(gains, default=0.0), "layers": float(len(chain)), "last": _relative(last)},
            ),
        ),
        "If the application's results are still good, raise the limits for these layers (docs/thresholds.md)."
        + (
            " Otherwise keep the most sensitive layers in float (hybrid quantisation)."
            if is_quantized_run(facts)
            else ""
        ),
        reference="RKNN manual 7.2.1",
        subject=last.pair.tensor,
    )


def quantization_noise(facts: LayersFacts) -> Iterable[Finding]:
    """The simulator itself is far from float: which layer, and how that compares with what the scale explains."""
    outputs = [layer for layer in facts.layers if layer.pair.role is PairRole.OUTPUT and layer.noise is not None]
    bad = [layer for layer in outputs if layer.noise is not None and not layer.noise.cosine >= 0.98]
    # NaN in a float16 model is no loss by quantisation.
    if not bad or facts.golden is None or not is_quantized_run(facts):
        return
    worst = min(bad, key=lambda layer: layer.noise.cosine if layer.noise is not None else 1.0)
    noisy = [layer for layer in _above(facts, worst) if layer.noise is not None and layer.noise.n_finite]
    jumps = [(layer, _noise_gain(facts, layer)) for layer in noisy]
    culprit, gain = max(jumps, key=lambda item: item[1], default=(worst, 0.0))
    noise = culprit.noise
    assert noise is not None
    numbers = {"relative_euclidean": noise.relative_euclidean, "gain": gain}
    text = f"{culprit.pair.tensor}: relative error {noise.relative_euclidean:.3g}, {gain:.3g} times that of its inputs"
    known = culprit.quantization
    if known is not None and noise.n_finite:
        expected = known.scale / math.sqrt(12)
        observed = noise.euclidean / math.sqrt(noise.n_finite)
        numbers.update({"expected_rms": expected, "observed_rms": observed})
        text += f"; its scale explains {expected:.3g} rms, there is {observed:.3g}"
    single = gain > 4 and noise.relative_euclidean > 0.05
    yield Finding(
        "quantization.culprit" if single else "quantization.accumulated",
        FindingStage.LAYER,
        Severity.WARNING,
        0.7,
        f"the quantised simulator is far from float at output {worst.pair.tensor}"
        + (f": {culprit.pair.tensor} loses it" if single else ", bit by bit"),
        f"Cosine to golden is {worst.noise.cosine if worst.noise is not None else math.nan:.4f}. The board cannot be "
        "better "
        "than the simulator: this is the conversion, not the board.",
        (Evidence("statistics", text, numbers),),
        (
            f"Keep {culprit.pair.tensor} in float (hybrid quantisation)."
            if single
            else "quantized_method='channel', quantized_algorithm='mmse', better calibration pictures, then hybrid "
            "quantisation of the first layers whose error is large."
        ),
        "rknn.hybrid_quantization_step1(dataset='dataset.txt', proposal=True)",
        _MANUAL,
        subject=culprit.pair.tensor,
    )


def _relative(layer: LayerFacts) -> float:
    return layer.pair.stats.relative_euclidean if layer.pair.stats is not None else 0.0


def _gain(facts: LayersFacts, layer: LayerFacts) -> float:
    """How many times larger the error is than the largest among the layer's inputs; infinite without any there."""
    if layer.pair.stats is None or layer.pair.stats.relative_euclidean == 0:
        return 0.0
    before = max((_relative(item) for item in facts.sources(layer)), default=0.0)
    before = max(before, max((proof.relative_error for proof in facts.comparison.inputs), default=0.0))
    return _relative(layer) / before if before > 0 else math.inf


def _special(layer: LayerFacts) -> bool:
    return layer.pair.stats is not None and layer.pair.stats.nonfinite_mismatch > 0


def _above(facts: LayersFacts, layer: LayerFacts) -> list[LayerFacts]:
    """The layer and everything it was computed from, in execution order."""
    found = {id(layer): layer}
    waiting = [layer]
    while waiting:
        for source in facts.sources(waiting.pop()):
            if id(source) not in found:
                found[id(source)] = source
                waiting.append(source)
    return [item for item in facts.layers if id(item) in found]


def _noise_gain(facts: LayersFacts, layer: LayerFacts) -> float:
    if layer.noise is None:
        return 0.0
    before = [item.noise.relative_euclidean for item in facts.sources(layer) if item.noise is not None]
    own = layer.noise.relative_euclidean
    # The first layers' inputs have the noise of their own quantisation only, which is not known: call it 1 %.
    return own / max(max(before, default=0.0), 0.01) if own == own else 0.0
