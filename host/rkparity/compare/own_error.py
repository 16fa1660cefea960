"""The error a layer adds by itself: its dump against the same layer computed on the board's own inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.compare.judge import Kind
from rkparity.compare.operator_rules import Family, OperatorRule
from rkparity.compare.spread import named_place, places
from rkparity.compare.statistics import PairStatistics
from rkparity.compare.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this many elements a mean says nothing.
_FEW_ELEMENTS = 16
_CERTAIN = 4.0
_STEPS = 2
_MEAN_STEPS = 0.75
# A float tensor whose error is one shift: relative to its rms, and the shift's share of the error.
_MEAN_FLOAT, _MEAN_SHARE = 0.0125, 0.8
_RMS_STEPS = 1.0
_QUANTIZED_RELATIVE = 0.06
_CHANGED_SHARE = 0.25
_FLOAT16_MANTISSA_BITS = 10
_FLOAT16_SMALLEST_EXPONENT = -14
_NOTHING = 4 * 2.0**-24
# A channel this much weaker than the tensor is below what its sums are rounded to.
_WEAK_GROUP = 1e-3


@dataclass(frozen=True)
class OwnError:
    """What a layer adds: `stats` of its dump against the recomputed layer, the verdict, and the rule that made it.

    `place` is where the error is concentrated ("channel 3"), empty when it is spread.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    stats: PairStatistics
    family: Family
    place: str = ""


def judge_own(
    stats: PairStatistics,
    kind: Kind,
    rule: OperatorRule,
    scale: float | None,
    board: NDArray[Any],
    expected: NDArray[Any],
) -> OwnError:
    """Judges a layer by its operator's rule; `board` and `expected` are its values, dequantised, of one shape.

    docs/thresholds.md explains the rules. Cosine is not among them: it misses a factor and a single dead channel.
    """
    if stats.nonfinite_mismatch:
        text = f"{stats.nonfinite_mismatch} elements are NaN or Inf on one side only, on the board's own inputs"
        return OwnError(Verdict.FAIL, (text,), stats, rule.family)
    if stats.equal == stats.n or stats.n_finite == 0:
        return OwnError(Verdict.PASS, (), stats, rule.family)
    if kind is Kind.INTEGER:
        text = f"{stats.n - stats.equal} of {stats.n} integers do not follow from the board's own inputs"
        return OwnError(Verdict.FAIL, (text,), stats, rule.family)
    if kind is Kind.QUANTIZED and scale:
        return _quantized(stats, rule, scale, board, expected)
    return _floating(stats, rule, board, expected)


def _quantized(
    stats: PairStatistics, rule: OperatorRule, scale: float, board: NDArray[Any], expected: NDArray[Any]
) -> OwnError:
    lsb = stats.lsb
    assert lsb is not None
    faults: list[str] = []
    changed = 1 - lsb.histogram[0] / stats.n_finite
    # Another table moves much of a tensor a little. Where nearly all is exact, a far element is not the table's.
    most = rule.steps_hard if changed > _CHANGED_SHARE else min(rule.steps_hard, _STEPS)
    if lsb.max_lsb > most + 0.5:
        faults.append(
            f"largest own error {lsb.max_lsb:.3g} LSB at element {stats.max_abs_index}; an operator that "
            f"{rule.family.value} may be off by {most}"
        )
    if lsb.over_one > _most(rule.share_over, stats.n):
        faults.append(f"{lsb.over_one} of {stats.n} elements are off by 2 LSB or more on the board's own inputs")
    rms = stats.euclidean / math.sqrt(stats.n_finite) / scale
    mean = stats.mean_offset / scale
    if stats.n >= _FEW_ELEMENTS and abs(mean) > _MEAN_STEPS + _CERTAIN * rms / math.sqrt(stats.n):
        faults.append(f"the layer itself shifts its values by {mean:+.3g} LSB")
    faults += _scaled(stats, rule)
    if rms > _RMS_STEPS and stats.relative_euclidean > _QUANTIZED_RELATIVE:
        faults.append(f"relative own error {stats.relative_euclidean:.3g}, {rms:.3g} LSB rms")
    place = _stepped_place(rule, scale, board, expected)
    if place:
        faults.append(f"the own error sits in {place}")
    if faults:
        return OwnError(Verdict.FAIL, tuple(faults), stats, rule.family, place)
    if rule.steps == 0 or changed > _CHANGED_SHARE:
        why = "which only moves values" if rule.family is Family.MOVES else "another way of rounding"
        text = f"{100 * changed:.3g} % of the elements are off by 1 LSB or more on the board's own inputs: {why}"
        return OwnError(Verdict.WARN, (text,), stats, rule.family)
    return OwnError(Verdict.PASS, (), stats, rule.family)


def _most(share: float, count: int) -> float:
    """How many of `count` elements may be beyond a limit that a share of all may pass, chance included."""
    expected = share * count
    return expected + _CERTAIN * math.sqrt(expected) + 1


def _scaled(stats: PairStatistics, rule: OperatorRule) -> list[str]:
    """The projection on the expected values, if its distance from 1 is more than the error's chance."""
    off = stats.scale_ratio - 1
    if not math.isfinite(off) or abs(off) <= rule.scale or stats.norm_reference == 0:
        return []
    chance = stats.relative_euclidean / math.sqrt(max(stats.n_finite, 1))
    if abs(off) <= 6 * chance:
        return []
    return [f"the layer's values are {stats.scale_ratio:.4g} times what its own inputs give"]


def _stepped_place(rule: OperatorRule, scale: float, board: NDArray[Any], expected: NDArray[Any]) -> str:
    import numpy as np

    error = (board.astype(np.float32) - expected) / np.float32(scale)
    for found in places(error, expected / np.float32(scale), 1.5):
        chance = _CERTAIN * found.rms / math.sqrt(found.count)
        shifted = np.abs(found.mean) - chance - _MEAN_STEPS
        crowded = found.over * found.count - _most(rule.share_over, found.count) - 2
        worst = np.maximum(shifted, crowded)
        # Everywhere alike is a shift of the whole tensor, told already.
        if worst.max() > 0 and (worst > 0).mean() <= 0.5 and found.mean.size > 1:
            return named_place(found, int(worst.argmax()), error.shape)
        if found.mean.size == 1 and worst[0] > 0:
            return named_place(found, 0, error.shape)
    return ""


def _floating(stats: PairStatistics, rule: OperatorRule, board: NDArray[Any], expected: NDArray[Any]) -> OwnError:
    if stats.max_abs_error <= _NOTHING:
        return OwnError(Verdict.PASS, (), stats, rule.family)
    faults: list[str] = []
    if not stats.relative_euclidean <= rule.relative:
        faults.append(
            f"relative own error {stats.relative_euclidean:.3g}; an operator that {rule.family.value} may have "
            f"{rule.relative:g}"
        )
    faults += _scaled(stats, rule)
    norm, error = stats.norm_reference, stats.euclidean
    mean = abs(stats.mean_offset) * math.sqrt(stats.n_finite)
    if stats.n >= _FEW_ELEMENTS and mean > _MEAN_FLOAT * norm and mean > _MEAN_SHARE * error:
        faults.append(f"the layer itself shifts its values by {stats.mean_offset:+.3g}")
    steps, where = _worst_steps(board, expected)
    if steps > rule.ulps:
        faults.append(
            f"largest own error is {steps:.3g} float16 steps of its channel's largest value, at element {where}"
        )
    place = _weighted_place(rule, board, expected)
    if place:
        faults.append(f"the own error sits in {place}")
    if faults:
        return OwnError(Verdict.FAIL, tuple(faults), stats, rule.family, place)
    if rule.family is Family.MOVES and stats.relative_euclidean > 1e-6:
        text = f"{stats.n - stats.equal} of {stats.n} elements changed in an operator that only moves values"
        return OwnError(Verdict.WARN, (text,), stats, rule.family)
    return OwnError(Verdict.PASS, (), stats, rule.family)


def _worst_steps(board: NDArray[Any], expected: NDArray[Any]) -> tuple[float, int]:
    """The largest error in float16 steps of the largest value of its channel (axis 1), and where it is."""
    import numpy as np

    error = np.abs(board.astype(np.float64) - expected)
    error[~np.isfinite(error)] = 0
    values = np.where(np.isfinite(expected), np.abs(expected), 0)
    if error.ndim >= 2 and error.shape[1] > 1:
        others = tuple(index for index in range(error.ndim) if index != 1)
        largest = values.max(axis=others, keepdims=True)
        largest = np.maximum(largest, values.max() * 2.0**-6)
    else:
        largest = np.asarray(values.max())
    _, exponent = np.frexp(largest)
    step = np.ldexp(1.0, np.maximum(exponent - 1, _FLOAT16_SMALLEST_EXPONENT) - _FLOAT16_MANTISSA_BITS)
    steps = error / step
    where = int(steps.argmax())
    return float(steps.reshape(-1)[where]), where


def _weighted_place(rule: OperatorRule, board: NDArray[Any], expected: NDArray[Any]) -> str:
    import numpy as np

    if not np.isfinite(board).all() or not np.isfinite(expected).all():
        return ""
    reference = expected.astype(np.float32)
    error = board.astype(np.float32) - reference
    whole = float(np.sqrt(np.mean(reference.astype(np.float64) ** 2)))
    for found in places(error, reference, 0.0):
        relative = found.rms / np.maximum(found.signal, _WEAK_GROUP * whole + _NOTHING)
        typical = float(np.median(found.rms)) if found.rms.size > 1 else _rms(error)
        suspects = (relative > rule.group) & ((found.rms > 4 * typical) | (found.rms.size == 1))
        if suspects.any():
            return named_place(found, int(np.where(suspects, relative, 0).argmax()), error.shape)
    return ""


def _rms(error: NDArray[Any]) -> float:
    import numpy as np

    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))
