"""The registry of what is asked about layers, in the order in which findings are given."""

from __future__ import annotations

from collections.abc import Iterable

from rkparity.diagnose.layers.divergence import first_divergence
from rkparity.diagnose.layers.facts import LayerCheck, LayersFacts
from rkparity.diagnose.layers.growth import accumulated, inherited, quantization_noise
from rkparity.diagnose.layers.nonfinite import float16_range
from rkparity.diagnose.layers.ranges import board_saturation, ranges
from rkparity.findings.finding import Finding

_SPECIAL = ("layer.nonfinite", "layer.float16")

LAYER_CHECKS: tuple[LayerCheck, ...] = (
    float16_range,
    first_divergence,
    board_saturation,
    inherited,
    accumulated,
    quantization_noise,
    ranges,
)


def check_layers(facts: LayersFacts) -> Iterable[Finding]:
    """Every check's findings; where NaN and Inf begin, nothing vaguer is said about the same tensor."""
    findings = [finding for check in LAYER_CHECKS for finding in check(facts)]
    told = {finding.subject for finding in findings if finding.id.startswith(_SPECIAL)}
    return [finding for finding in findings if not (finding.id == "layer.operator" and finding.subject in told)]
