"""What the limits make of one pair's scores; docs/thresholds.md has the rules and their reasons."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from rkparity.compare.statistics import PairStatistics
from rkparity.compare.thresholds import Limits
from rkparity.compare.verdict import Verdict

# Below this many elements a mean or a share says nothing: one element off by 1 LSB would already be "10 %".
_FEW_ELEMENTS = 16
_FLOAT16_MANTISSA_BITS = 10
_FLOAT16_SMALLEST_EXPONENT = -14
_FLOAT16_SMALLEST_STEP = 2.0**-24
_SUBNORMAL_STEPS = 4
_SEVERITY = {Verdict.PASS: 0, Verdict.WARN: 1, Verdict.FAIL: 2}


class Kind(str, enum.Enum):
    """What the values are on the NPU; decides the rule."""

    QUANTIZED = "quantized"
    FLOAT = "float"
    INTEGER = "integer"


@dataclass(frozen=True)
class Incoming:
    """What is known about a layer's inputs: the largest relative euclidean distance among them, whether one failed."""

    relative_error: float = 0.0
    failed: bool = False


@dataclass(frozen=True)
class Golden:
    """The same tensor against golden: the board's error, the simulator's, and their ratio (None if undefined)."""

    board_relative: float
    simulator_relative: float
    simulator_max_abs: float
    ratio: float | None


@dataclass(frozen=True)
class Judgement:
    """A verdict and the rules that made it, the gravest first; empty reasons: nothing to remark."""

    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Remark:
    verdict: Verdict
    text: str
    hard: bool = False
    """Never explained by what came in through the inputs."""


def judge(
    stats: PairStatistics,
    kind: Kind,
    limits: Limits,
    *,
    scale: float | None,
    incoming: Incoming,
    golden: Golden | None = None,
) -> Judgement:
    """Judges board (`test`) against simulator (`reference`) of the same model.

    `scale` is the LSB of a quantised tensor. `incoming` tells what the layer's own inputs differ by already: an error
    no larger than those explain is a WARN. Cosine alone never passes a layer: every rule of the kind must hold.
    """
    if stats.n == 0:
        return Judgement(Verdict.PASS, ("empty on both sides",))
    remarks = _special(stats, kind, scale)
    if stats.n_finite == 0:
        pass
    elif kind is Kind.INTEGER:
        remarks += _integer(stats, limits)
    elif kind is Kind.QUANTIZED and scale:
        remarks += _quantized(stats, limits, scale)
    else:
        remarks += _floating(stats, limits)
    # Below the float limit the ratio compares two ways of rounding.
    worse = golden is not None and golden.ratio is not None and golden.ratio > limits.golden_ratio_warn
    if worse and golden is not None and golden.board_relative > limits.relative_warn:
        remarks.append(_Remark(Verdict.WARN, f"error against golden is {golden.ratio:.3g} times the simulator's"))
    remarks.sort(key=lambda remark: -_SEVERITY[remark.verdict])
    verdict = remarks[0].verdict if remarks else Verdict.PASS
    reasons = [remark.text for remark in remarks]
    if verdict is Verdict.FAIL and not any(remark.hard for remark in remarks):
        explained = _explained(stats, kind, limits, incoming, golden)
        if explained:
            return Judgement(Verdict.WARN, (explained, *reasons))
    return Judgement(verdict, tuple(reasons))


def _special(stats: PairStatistics, kind: Kind, scale: float | None) -> list[_Remark]:
    remarks = []
    if stats.nonfinite_mismatch:
        a, b = stats.test, stats.reference
        remarks.append(
            _Remark(
                Verdict.FAIL,
                f"{stats.nonfinite_mismatch} elements are NaN or Inf on one side only (dump: {a.nan} NaN, "
                f"{a.positive_inf + a.negative_inf} Inf; "
                f"reference: {b.nan} NaN, {b.positive_inf + b.negative_inf} Inf)",
                hard=True,
            )
        )
    both = stats.n - stats.n_finite - stats.nonfinite_mismatch
    if both > 0:
        remarks.append(_Remark(Verdict.WARN, f"{both} elements are NaN or Inf on both sides alike"))
    zero_a, zero_b = stats.test.zeros == stats.n, stats.reference.zeros == stats.n
    if kind is Kind.QUANTIZED:
        within_grid = bool(scale) and stats.max_abs_error <= 1.5 * (scale or 0.0)
    else:
        within_grid = kind is Kind.FLOAT and _below_float16(stats)
    if zero_a != zero_b and not within_grid:
        which, other = ("dump", "reference") if zero_a else ("reference", "dump")
        remarks.append(_Remark(Verdict.FAIL, f"the {which} is all zero, the {other} is not", hard=True))
    return remarks


def _quantized(stats: PairStatistics, limits: Limits, scale: float) -> list[_Remark]:
    remarks: list[_Remark] = []
    lsb = stats.lsb
    if lsb is None:
        return remarks
    over = lsb.over_one
    share = over / stats.n
    # Of few elements one beyond 1 LSB is no statistic; it fails by its size only.
    verdict = _level(share, limits.lsb_warn_fraction, limits.lsb_fail_fraction)
    if verdict is Verdict.FAIL and over < 2:
        verdict = Verdict.WARN
    _add(remarks, verdict, f"{over} of {stats.n} elements ({100 * share:.3g} %) are off by more than 1 LSB")
    _add(
        remarks,
        # Float32 cannot give a whole number of steps exactly.
        _level(round(lsb.max_lsb, 2), limits.lsb_warn_max, limits.lsb_fail_max),
        f"largest error {lsb.max_lsb:.3g} LSB at element {stats.max_abs_index}",
    )
    if stats.n >= _FEW_ELEMENTS:
        mean = abs(stats.mean_offset) / scale
        _add(
            remarks,
            _level(mean, limits.mean_warn_lsb, limits.mean_fail_lsb),
            f"mean error {stats.mean_offset / scale:+.3g} LSB: values are shifted",
        )
        changed = sum(lsb.histogram[1:]) / stats.n
        if changed > limits.lsb_warn_changed:
            remarks.append(_Remark(Verdict.WARN, f"{100 * changed:.3g} % of the elements are off by at least 1 LSB"))
    # Within 1 LSB everywhere a ratio or an angle only says how coarse the grid is.
    return remarks + _shape_of_error(stats, limits) if over else remarks


def _floating(stats: PairStatistics, limits: Limits) -> list[_Remark]:
    if _below_float16(stats):
        return []
    remarks: list[_Remark] = []
    relative = stats.relative_euclidean
    _add(
        remarks,
        _level(relative, limits.relative_warn, limits.relative_fail),
        f"relative euclidean distance {relative:.3g}",
    )
    largest = max(abs(stats.reference.minimum), abs(stats.reference.maximum)) if stats.n_finite else 0.0
    if largest > 0:
        steps = stats.max_abs_error / _float16_step(largest)
        _add(
            remarks,
            _level(steps, limits.ulp_warn_max, limits.ulp_fail_max),
            f"largest error {stats.max_abs_error:.4g} is {steps:.3g} float16 steps of the tensor's largest value",
        )
    return remarks + _shape_of_error(stats, limits)


def _shape_of_error(stats: PairStatistics, limits: Limits) -> list[_Remark]:
    remarks: list[_Remark] = []
    ratio = stats.scale_ratio
    if math.isfinite(ratio):
        _add(
            remarks,
            _level(abs(ratio - 1), limits.scale_warn, limits.scale_fail),
            f"scale ratio {ratio:.4g} instead of 1",
        )
    cosine = stats.cosine
    if math.isfinite(cosine) and cosine < limits.cosine_warn:
        _add(remarks, Verdict.FAIL if cosine < limits.cosine_fail else Verdict.WARN, f"cosine {cosine:.5f}")
    return remarks


def _integer(stats: PairStatistics, limits: Limits) -> list[_Remark]:
    differing = stats.n - stats.equal
    if not differing:
        return []
    share = differing / stats.n
    verdict = Verdict.FAIL if share > limits.integer_fail_fraction else Verdict.WARN
    return [_Remark(verdict, f"{differing} of {stats.n} integers ({100 * share:.3g} %) differ")]


def _explained(stats: PairStatistics, kind: Kind, limits: Limits, incoming: Incoming, golden: Golden | None) -> str:
    """Why an error beyond the limits is no more than what the layer's inputs brought along; empty if it is more."""
    if incoming.failed or incoming.relative_error <= 0 or kind is Kind.INTEGER:
        return ""
    error = stats.relative_euclidean
    allowed = min(limits.growth * incoming.relative_error, limits.accumulated_fail)
    if error <= allowed:
        return (
            f"accumulated: relative error {error:.3g}, its inputs already differ by {incoming.relative_error:.3g} "
            f"(up to {allowed:.3g} is laid to them)"
        )
    if (
        golden is not None
        and error <= min(golden.simulator_relative, limits.accumulated_fail)
        and stats.max_abs_error <= 2 * golden.simulator_max_abs
    ):
        return (
            f"accumulated: relative error {error:.3g} is less than what quantisation itself does here "
            f"({golden.simulator_relative:.3g} against golden), and its inputs differ already"
        )
    return ""


def _level(value: float, warn: float, fail: float) -> Verdict:
    # A NaN must not pass: it fails both comparisons, so they are written the other way round.
    if not value <= fail:
        return Verdict.FAIL
    return Verdict.PASS if value <= warn else Verdict.WARN


def _add(remarks: list[_Remark], verdict: Verdict, text: str) -> None:
    if verdict is not Verdict.PASS:
        remarks.append(_Remark(verdict, text))


def _below_float16(stats: PairStatistics) -> bool:
    """Whether no element differs by more than a few of float16's smallest steps, where its relative precision ends.

    A sigmoid far from its threshold gives values about 1e-7: one step of float16 is half of such a value.
    """
    return stats.max_abs_error <= _SUBNORMAL_STEPS * _FLOAT16_SMALLEST_STEP


def _float16_step(value: float) -> float:
    exponent = max(math.frexp(value)[1] - 1, _FLOAT16_SMALLEST_EXPONENT)
    return math.ldexp(1.0, exponent - _FLOAT16_MANTISSA_BITS)
