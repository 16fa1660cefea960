"""What is known about one pair of tensors: plain records, no verdict.

Throughout, `test` is the run under judgement and `reference` what it is judged by. docs/scores.md defines every number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class SideStatistics:
    """One tensor by itself.

    `zeros`, `minimum`, `maximum` and the saturation counts are over its finite values; `minimum` and `maximum` are
    NaN if it has none. `saturated_low`/`saturated_high` count values at the ends of the quantisation grid, None if no
    grid was given.
    """

    nan: int
    positive_inf: int
    negative_inf: int
    zeros: int
    minimum: float
    maximum: float
    saturated_low: int | None = None
    saturated_high: int | None = None

    @property
    def nonfinite(self) -> int:
        """How many elements are NaN or infinite."""
        return self.nan + self.positive_inf + self.negative_inf


@dataclass(frozen=True)
class LsbStatistics:
    """Errors in steps of the tensor's own scale, over the finite pairs.

    `histogram` counts errors that round to 0, 1, 2 and 3-or-more steps. `max_lsb` is not rounded.
    """

    scale: float
    max_lsb: float
    histogram: tuple[int, int, int, int]

    @property
    def over_one(self) -> int:
        """How many elements are off by two steps or more."""
        return self.histogram[2] + self.histogram[3]


@dataclass(frozen=True)
class UlpStatistics:
    """Errors in float16 ulps of the reference value, over the finite pairs; `over` counts those above `limit`."""

    max_ulp: float
    limit: float
    over: int


@dataclass(frozen=True)
class PairStatistics:
    """All scores of one pair of tensors of equal shape.

    Scores are over the `n_finite` pairs of elements in which both sides are finite; `finite` says whether that is all
    of them. A score that is not defined (no finite pair at all) is NaN. `n` is the number of elements; `equal` counts
    equal values, equal infinities and NaN on both sides; `nonfinite_mismatch` counts the pairs with a NaN or infinity
    that are not equal in this sense, and they count as over the tolerance. `max_abs_index` is the flat C-order index
    of the first element with the largest error, None if there is no finite pair.
    """

    n: int
    n_finite: int
    equal: int
    nonfinite_mismatch: int
    dot: float
    norm_test: float
    norm_reference: float
    cosine: float
    euclidean: float
    relative_euclidean: float
    sqnr_db: float
    max_abs_error: float
    max_abs_index: int | None
    mean_offset: float
    scale_ratio: float
    norm_ratio: float
    atol: float
    rtol: float
    over_tolerance: int
    test: SideStatistics
    reference: SideStatistics
    lsb: LsbStatistics | None = None
    ulp: UlpStatistics | None = None

    @property
    def finite(self) -> bool:
        """Whether neither side holds a NaN or an infinity."""
        return self.n_finite == self.n

    @property
    def over_tolerance_fraction(self) -> float:
        """The part of all elements whose error is over atol + rtol * |reference|; 0 for an empty pair."""
        return self.over_tolerance / self.n if self.n else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what JSON cannot hold is null and `special` maps its name to "nan", "inf" or "-inf"."""
        special: dict[str, str] = {}
        value = _plain(self, "", special)
        value["finite"] = self.finite
        value["over_tolerance_fraction"] = self.over_tolerance_fraction
        value["special"] = special
        return value


def _plain(record: Any, path: str, special: dict[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            special[path + field.name] = str(value)
            value = None
        elif isinstance(value, (SideStatistics, LsbStatistics, UlpStatistics)):
            value = _plain(value, f"{path}{field.name}.", special)
        elif isinstance(value, tuple):
            value = list(value)
        result[field.name] = value
    return result


def cosine(dot: float, norm_test: float, norm_reference: float) -> float:
    """dot / (|test| |reference|), not centred, as the toolkit prints it; 1 for two zero tensors, 0 if one is zero."""
    if norm_test == 0 or norm_reference == 0:
        return 1.0 if norm_test == norm_reference else 0.0
    value = dot / norm_test / norm_reference
    # Rounding may lead past the ends; NaN (an overflowed float64 sum) must stay NaN.
    return value if math.isnan(value) else max(-1.0, min(1.0, value))


def ratio(value: float, reference: float) -> float:
    """value / reference; of two zeros `0 / 0` is 0 and `x / 0` is infinite with the sign of x."""
    if reference != 0:
        return value / reference
    return 0.0 if value == 0 else math.copysign(math.inf, value)


def signal_to_noise_db(norm_reference: float, euclidean: float) -> float:
    """20 log10(|reference| / |error|): infinite without error, minus infinite when a zero reference was missed."""
    if math.isnan(norm_reference) or math.isnan(euclidean):
        return math.nan
    if euclidean == 0:
        return math.inf
    if norm_reference == 0 or math.isinf(euclidean):
        return -math.inf
    if math.isinf(norm_reference):
        return math.inf
    return 20 * (math.log10(norm_reference) - math.log10(euclidean))
