"""Whether a candidate reading gives the observed values: whole, up to somewhere, or in whole cache lines."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE_LINE_NBYTES = 64
_WHOLE = 0.999
_SMALLEST_PART = 0.05
_FEWEST_VALUES = 4
_SMALL, _SAMPLES = 4096, 509


class Extent(str, enum.Enum):
    """How much of the buffer a reading explains."""

    WHOLE = "whole"
    PREFIX = "prefix"
    """Right up to one element, and hardly anywhere after it."""
    LINES = "cache-lines"
    """Whole 64-byte lines are right, whole lines are not."""
    NONE = "none"


@dataclass(frozen=True)
class Match:
    """`share` of the `n` compared elements agree; `count` is the length of the right part of a PREFIX.

    Of a WHOLE one `wrong` elements do not agree after all, the first at `first_wrong`, `not_finite` of them NaN or Inf.
    `distinct`: how many different values the agreeing part has (one value agreeing with itself proves nothing).
    `max_error` is over the agreeing part.
    """

    extent: Extent
    share: float
    n: int
    count: int
    distinct: int
    max_error: float
    wrong: int = 0
    first_wrong: int = -1
    not_finite: int = 0


_NO_MATCH = Match(Extent.NONE, 0.0, 0, 0, 0, float("inf"))


def match(observed: NDArray[Any], candidate: NDArray[Any], tolerance: float, itemsize: int) -> Match:
    """Compares flat float64 arrays element by element; NaN in `candidate` is padding and not compared.

    `itemsize` is of the observed buffer's elements, for cache lines. Lengths may differ: the shorter one counts, but a
    candidate that lacks elements explains only a prefix.
    """
    import numpy as np

    n = min(observed.size, candidate.size)
    if n == 0:
        return _NO_MATCH
    seen, wanted = observed[:n], candidate[:n]
    used = ~np.isnan(wanted) | np.isnan(seen)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(seen - wanted)
    agree = (difference <= tolerance) | (seen == wanted) | (np.isnan(seen) & np.isnan(wanted))
    agree[~used] = True
    compared = int(used.sum())
    if compared == 0:
        return _NO_MATCH
    share = float(agree[used].mean())
    if share >= _WHOLE and n == observed.size:
        result = _result(Extent.WHOLE, share, n, n, seen, agree & used, difference)
        wrong = np.flatnonzero(~agree)
        if not wrong.size or result.extent is not Extent.WHOLE:
            return result
        lost = int((~np.isfinite(seen[wrong])).sum())
        return replace(result, wrong=int(wrong.size), first_wrong=int(wrong[0]), not_finite=lost)
    if share >= _WHOLE:
        return _result(Extent.PREFIX, share, observed.size, n, seen, agree & used, difference)
    cut = _constant_from(seen)
    if _SMALLEST_PART * n <= cut < n * (1 - _SMALLEST_PART) and cut >= 16 and float(agree[:cut].mean()) >= _WHOLE:
        return _result(Extent.PREFIX, share, n, cut, seen[:cut], (agree & used)[:cut], difference[:cut])
    wrong = np.flatnonzero(~agree)
    first = int(wrong[0])
    # Behind the end of what was written some values agree by chance (zeros, say).
    if first >= _SMALLEST_PART * n and first >= 16 and float(agree[first:].mean()) < 0.5:
        return _result(Extent.PREFIX, share, n, first, seen[:first], (agree & used)[:first], difference[:first])
    if share >= _SMALLEST_PART and _in_lines(agree, itemsize):
        return _result(Extent.LINES, share, n, n, seen, agree & used, difference)
    return _NO_MATCH


def _constant_from(values: NDArray[Any]) -> int:
    """From which element on `values` holds nothing but its last value."""
    import numpy as np

    other = np.flatnonzero(values != values[-1])
    return int(other[-1]) + 1 if other.size else 0


def sample_places(n: int) -> NDArray[Any] | None:
    """A few places that stand for a buffer of `n` elements; None for one so small that all are looked at."""
    import numpy as np

    return None if n < _SMALL else np.linspace(0, n - 1, _SAMPLES).astype(np.int64)


def is_hopeless(seen: NDArray[Any], wanted: NDArray[Any], tolerance: float) -> bool:
    """Whether values at a few places (NaN: not known) show already that a candidate explains nothing."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        agree = (np.abs(seen - wanted) <= tolerance) | (seen == wanted) | np.isnan(wanted)
    return float(agree.mean()) < _SMALLEST_PART / 2


def _result(
    extent: Extent, share: float, n: int, count: int, seen: NDArray[Any], agree: NDArray[Any], difference: NDArray[Any]
) -> Match:
    import numpy as np

    values = seen[agree]
    distinct = int(np.unique(values[:100_000]).size)
    if extent is not Extent.WHOLE and distinct < _FEWEST_VALUES:
        return _NO_MATCH
    finite = difference[agree]
    finite = finite[np.isfinite(finite)]
    return Match(extent, share, n, count, distinct, float(finite.max(initial=0.0)))


def _in_lines(agree: NDArray[Any], itemsize: int) -> bool:
    import numpy as np

    per_line = CACHE_LINE_NBYTES // itemsize
    lines = agree.size // per_line
    if lines < 8:
        return False
    # The buffer's start need not be a line's start: allocations are aligned to 16 bytes at least.
    best = 1.0
    for shift in range(0, per_line, max(per_line // 4, 1)):
        rows = agree[shift : shift + (lines - 1) * per_line].reshape(-1, per_line)
        right = rows.mean(axis=1)
        whole, broken = right > 0.999, right < 0.7
        mixed = 1.0 - float((whole | broken).mean())
        if whole.any() and broken.any():
            best = min(best, mixed)
    # Errors strewn over single elements would spoil nearly every line.
    return best < 0.05 and bool(np.any(~agree))
