"""NaN, Inf and FP16's range: where they begin, and whether the model itself leaves the range (RKNN manual 7.1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rkparity.compare.file_scores import score_files
from rkparity.diagnose.layers.facts import LayerFacts, LayersFacts, is_quantized_run
from rkparity.errors import DataError, UsageError
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.runs import TensorRecord

FLOAT16_LARGEST = 65504.0
FLOAT16_SMALLEST = 2.0**-24
_FLOAT16_SMALLEST_NORMAL = 2.0**-14
_MANUAL = "RKNN manual 7.1.1; airockchip/rknn-toolkit2#252, airockchip/rknn-toolkit2#274"
_FIX = (
    "Keep every tensor within +-65504: scale the weights before it down and after it up, normalise earlier "
    "(BatchNorm), "
    "or replace -inf masks by -1e4; or quantise this part."
)


@dataclass(frozen=True)
class _Range:
    """A reference tensor: the largest magnitude in golden, NaN and Inf in the simulator, and zeros on both sides."""

    record: TensorRecord
    golden_largest: float
    golden_zeros: int
    simulator_nonfinite: int
    simulator_zeros: int
    n: int


def float16_range(facts: LayersFacts) -> Iterable[Finding]:
    """Overflow and underflow of FP16 tensors, and where NaN and Inf begin on the board."""
    origin = next((layer for layer in facts.layers if _nonfinite(layer)), None)
    ranges = [] if is_quantized_run(facts) and origin is None else list(_ranges(facts))
    overflow = next((item for item in ranges if item.golden_largest > FLOAT16_LARGEST), None)
    if overflow is not None and (origin is not None or overflow.simulator_nonfinite):
        yield _overflow(overflow, origin)
    elif origin is not None:
        yield _origin(facts, origin)
    for item in ranges:
        lost = item.simulator_zeros - item.golden_zeros
        if lost > 0.5 * item.n and 0 < item.golden_largest < _FLOAT16_SMALLEST_NORMAL:
            yield _underflow(item)
            break


def _nonfinite(layer: LayerFacts) -> bool:
    stats = layer.pair.stats
    return stats is not None and stats.test.nonfinite > 0


def _ranges(facts: LayersFacts) -> Iterable[_Range]:
    """Every tensor both reference runs have, fused ones included: the origin is often inside a fused group."""
    if facts.golden is None:
        return
    golden = {record.name: record for record in facts.golden.manifest.tensors}
    for record in facts.reference.manifest.tensors:
        other = golden.get(record.name)
        if other is None or not record.dtype.startswith("float") or not other.dtype.startswith("float"):
            continue
        try:
            stats = score_files(facts.reference.file(record.file), facts.golden.file(other.file), ignore_unit_dims=True)
        except (DataError, UsageError):
            continue
        side = stats.reference
        largest = max(abs(side.minimum), abs(side.maximum)) if side.minimum == side.minimum else 0.0
        yield _Range(record, largest, side.zeros, stats.test.nonfinite, stats.test.zeros, stats.n)


def _overflow(item: _Range, origin: LayerFacts | None) -> Finding:
    seen = f"; on the board NaN or Inf first appear in {origin.pair.dump}" if origin is not None else ""
    return Finding(
        "layer.float16_overflow",
        FindingStage.LAYER,
        Severity.ERROR,
        0.95,
        f"{item.record.name} leaves FP16's range",
        f"In float32 (golden) {item.record.name} reaches {item.golden_largest:.6g}, FP16 ends at 65504; it becomes "
        f"infinite and NaN behind it{seen}.",
        (
            Evidence(
                "statistics",
                f"golden's largest magnitude {item.golden_largest:.6g}; NaN or Inf in the simulator: "
                f"{item.simulator_nonfinite} of {item.n}",
                {"golden_largest": item.golden_largest, "simulator_nonfinite": float(item.simulator_nonfinite)},
            ),
        ),
        _FIX,
        reference=_MANUAL,
        subject=item.record.name,
    )


def _origin(facts: LayersFacts, origin: LayerFacts) -> Finding:
    stats = origin.pair.stats
    assert stats is not None
    both = stats.reference.nonfinite > 0
    side = stats.reference
    largest = max(abs(side.minimum), abs(side.maximum)) if side.minimum == side.minimum else 0.0
    near = largest > FLOAT16_LARGEST / 4 and not is_quantized_run(facts)
    numbers = {
        "nan": float(stats.test.nan),
        "inf": float(stats.test.positive_inf + stats.test.negative_inf),
        "simulator_nonfinite": float(side.nonfinite),
        "simulator_largest": largest,
    }
    cause = (
        f"{origin.pair.tensor} is the first layer with NaN or Inf on the board ({stats.test.nan} NaN, "
        f"{stats.test.positive_inf + stats.test.negative_inf} Inf of {stats.n})"
    )
    if both:
        cause += "; the simulator has them too, so it is the model or its input, not the runtime."
    elif near:
        cause += f"; the simulator is finite there, but reaches {largest:.6g}: intermediate sums on the NPU overflow."
    else:
        cause += "; the simulator is finite there and far from FP16's end: the operator goes wrong on the NPU."
    return Finding(
        "layer.nonfinite" if not near else "layer.float16_near_overflow",
        FindingStage.LAYER,
        Severity.ERROR,
        0.8,
        f"NaN or Inf begin at {origin.pair.tensor}",
        cause,
        (Evidence("statistics", "values that are not finite", numbers, origin.pair.dump),),
        _FIX
        if near or both
        else "Report the operator with its input dump; compute it on the CPU (op_target) meanwhile.",
        reference="airockchip/rknn-toolkit2#52, airockchip/rknn-toolkit2#504",
        subject=origin.pair.tensor,
    )


def _underflow(item: _Range) -> Finding:
    return Finding(
        "layer.float16_underflow",
        FindingStage.LAYER,
        Severity.WARNING,
        0.85,
        f"{item.record.name} is too small for FP16",
        f"In float32 its largest magnitude is {item.golden_largest:.3g}; FP16 keeps nothing below "
        f"{FLOAT16_SMALLEST:.2g}, "
        "so most of it becomes 0.",
        (
            Evidence(
                "statistics",
                f"zeros: {item.golden_zeros} in golden, {item.simulator_zeros} in the simulator, of {item.n}",
                {"golden_largest": item.golden_largest, "zeros": float(item.simulator_zeros)},
            ),
        ),
        "Scale the tensor up before and down after (fold the factor into the neighbouring weights).",
        reference=_MANUAL,
        subject=item.record.name,
    )
