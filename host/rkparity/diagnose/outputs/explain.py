"""Which reading of an output explains what the application holds: values, order, type, another output, a stale buffer.

Every candidate is computed from the expected output and compared with the whole observed tensor. The cheapest
explanation wins; others as cheap and as good are told as ties. What nothing explains stays unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from rkparity.diagnose.outputs.layouts import Order, orders
from rkparity.diagnose.outputs.match import Extent, Match, is_hopeless, match, sample_places
from rkparity.diagnose.outputs.records import ExpectedOutput, ObservedOutput
from rkparity.diagnose.outputs.values import reinterpretations, value_maps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What a reading that explains only a part is charged: a buffer whose rest is one constant was cut off; cache lines can
# look right by chance wherever values are alike, so any whole explanation is better.
_CUT_OFF_COST, _PREFIX_COST, _LINES_COST = 0.6, 1.6, 2.5
_OTHER_OUTPUT_COST = 1.0
_BIGGEST = 1 << 24


@dataclass(frozen=True)
class OutputReading:
    """One explanation: from which output, how its values and its order were read, how much of the buffer it explains.

    `other` is the index of another output when the values are of that one. `tail` describes what follows a part that is
    right: "zero", "constant", "values". Empty ids mean "as it should be".
    """

    value_id: str
    order_id: str
    text: str
    cost: float
    match: Match
    other: int | None = None
    tail: str = ""
    detail: str = ""

    @property
    def is_right(self) -> bool:
        """Whether this is no mistake at all."""
        return not self.value_id and not self.order_id and self.other is None and self.match.extent is Extent.WHOLE


@dataclass(frozen=True)
class OutputExplanation:
    """The best reading of one output, those as good as it, and plain facts; `best` is None when nothing explains it.

    `constant` is the one value an observed buffer holds, if so (None also when it is right that way).
    """

    observed: ObservedOutput
    expected: ExpectedOutput
    best: OutputReading | None
    ties: tuple[OutputReading, ...] = ()
    constant: float | None = None
    stale_of: str = ""
    linear: tuple[float, float] | None = None

    @property
    def missing(self) -> int:
        """How many elements the application lacks."""
        return max(self.expected.values.size - self.observed.values.size, 0)

    @property
    def wrong(self) -> int:
        """How many single elements the best reading of the whole does not explain.

        Where the simulator's output is the measure, a board may round a few otherwise; NaN and Inf it may not make.
        """
        if self.best is None or self.best.match.extent is not Extent.WHOLE:
            return 0
        return self.best.match.wrong if self.expected.exact else self.best.match.not_finite

    @property
    def is_right(self) -> bool:
        """Whether the application has the output as it should be, or in the layout and type it asked for."""
        best = self.best
        if self.missing or self.wrong:
            return False
        if best is None or best.is_right:
            return best is not None
        asked = self.observed.wanted_layout.lower()
        as_asked = not best.order_id or (bool(asked) and best.order_id.startswith(asked))
        # A UINT8 asked of an INT8 output is q + 128 (evidence 160_zc_out_native_u8).
        raw = not best.value_id or (best.value_id == "offset-128" and self.observed.values.dtype == "uint8")
        return as_asked and raw and best.other is None and best.match.extent is Extent.WHOLE


@dataclass(frozen=True)
class _Candidate:
    value_id: str
    order_id: str
    text: str
    cost: float
    values: Callable[[], NDArray[Any]]
    step: float
    other: int | None
    detail: str = ""
    sample: Callable[[], NDArray[Any]] | None = None


def explain_output(
    observed: ObservedOutput,
    expected: ExpectedOutput,
    others: Sequence[ExpectedOutput] = (),
    earlier: Sequence[tuple[str, NDArray[Any]]] = (),
) -> OutputExplanation:
    """Explains `observed` by `expected`, by one of the model's `others`, or by what an `earlier` run gave.

    Candidates are tried in the order of their cost; the search stops at the first cost at which the whole tensor is
    explained. Memory: a few float64 copies of the largest output.
    """
    import numpy as np

    flat = observed.values.reshape(-1)
    kind = flat.dtype.kind
    # Bytes read as floats may be signalling NaN.
    with np.errstate(invalid="ignore"):
        seen = flat.astype(np.float64)
    found: list[OutputReading] = []
    limit = float("inf")
    candidates = sorted(_candidates(expected, others, kind, seen.size), key=lambda item: item.cost)
    for candidate in candidates:
        if candidate.cost > limit + 1e-9:
            break
        reading = _try(candidate, seen, flat.dtype)
        if reading is None:
            continue
        found.append(reading)
        # A cheaper whole explanation cannot come any more; equally good ones can.
        limit = min(limit, reading.cost + (0.0 if reading.match.extent is Extent.WHOLE else 0.5))
    found.sort(key=lambda item: (item.cost, -item.match.share))
    best = found[0] if found else None
    ties = tuple(
        item
        for item in found[1:]
        if best is not None
        and item.cost <= best.cost + 0.06
        and item.match.extent is best.match.extent
        and item.match.share >= best.match.share - 1e-3
    )
    explanation = OutputExplanation(observed, expected, best, ties)
    if explanation.is_right:
        return explanation
    constant = float(seen[0]) if seen.size > 1 and (seen == seen[0]).all() else None
    stale = next((name for name, array in earlier if _same(array, observed.values)), "")
    linear = _linear(seen, expected) if best is None and constant is None else None
    return OutputExplanation(observed, expected, best, ties, constant, stale, linear)


def _candidates(
    expected: ExpectedOutput, others: Sequence[ExpectedOutput], kind: str, size: int
) -> Iterator[_Candidate]:
    for source in (expected, *others):
        other = None if source is expected else source.index
        extra = 0.0 if other is None else _OTHER_OUTPUT_COST
        if other is not None and source.values.size != size:
            continue
        rest = [item for item in (expected, *others) if item is not source]
        maps = list(value_maps(source, rest, kind))
        samples = _Samples(source, rest, kind, size)
        ways = list(orders(source.values.shape))
        for number, reading in enumerate(maps):
            for order in ways:
                if other is not None and reading.cost + order.cost > 1.0:
                    continue
                if order.cost + reading.cost > 2.3:
                    continue
                said = ", ".join(part for part in (order.text, reading.text) if part)
                yield _Candidate(
                    reading.id,
                    order.id,
                    said,
                    extra + reading.cost + order.cost,
                    _combined(reading.values, order.positions, bool(order.id)),
                    reading.step,
                    other,
                    reading.detail,
                    partial(samples.of, order, number),
                )
        if other is None:
            for item in reinterpretations(source):
                yield _Candidate(item.id, "", item.text, item.cost, item.values, 0.0, None)


class _Samples:
    """What the readings of one output give at a few places, computed for one order at a time."""

    def __init__(self, source: ExpectedOutput, others: Sequence[ExpectedOutput], kind: str, size: int) -> None:
        self._source = source
        self._others = others
        self._kind = kind
        self._places = sample_places(size)
        self._known: dict[str, list[NDArray[Any]]] = {}

    def of(self, order: Order, number: int) -> NDArray[Any]:
        """The values of reading `number` in `order` at the sampled places; NaN where there is padding or nothing."""
        import numpy as np

        assert self._places is not None
        if order.id not in self._known:
            positions = order.positions()
            inside = self._places < positions.size
            places = np.where(inside, positions[np.minimum(self._places, positions.size - 1)], -1)
            few = replace(self._source, values=self._source.values.reshape(-1)[np.maximum(places, 0)])
            self._known[order.id] = [
                np.where(places < 0, np.nan, reading.values()) for reading in value_maps(few, self._others, self._kind)
            ]
        return self._known[order.id][number]


def _combined(
    values: Callable[[], NDArray[Any]], positions: Callable[[], NDArray[Any]], reorder: bool
) -> Callable[[], NDArray[Any]]:
    def compute() -> NDArray[Any]:
        import numpy as np

        plain = values()
        if not reorder:
            return plain
        places = positions()
        taken: NDArray[Any] = np.where(places < 0, np.nan, plain[np.maximum(places, 0)])
        return taken

    return compute


def _try(candidate: _Candidate, seen: NDArray[Any], dtype: np.dtype[Any]) -> OutputReading | None:

    places = sample_places(seen.size)
    if places is not None and candidate.sample is not None:
        few = _held(candidate.sample(), dtype)
        if is_hopeless(seen[places], few, candidate.step * 1.01 + _rounding(few)):
            return None
    values = _held(candidate.values(), dtype)
    if values.size > _BIGGEST:
        return None
    tolerance = candidate.step * 1.01 + _rounding(values)
    if places is not None and candidate.sample is None:
        inside = places[places < values.size]
        if is_hopeless(seen[inside], values[inside], tolerance):
            return None
    result = match(seen, values, tolerance, dtype.itemsize)
    if result.extent is Extent.NONE:
        return None
    reinterpreted = "-as-" in candidate.value_id
    tail = ""
    cost = candidate.cost
    if result.extent is not Extent.WHOLE:
        cost += _LINES_COST + (1.0 - result.share) * 0.3
        if result.extent is Extent.PREFIX:
            tail = _tail(seen[result.count :])
            cost = candidate.cost + (_CUT_OFF_COST if tail in ("zero", "constant") else _PREFIX_COST)
            if reinterpreted and result.count >= values.size:
                # Fewer bytes were written than the application reads: that is the misreading itself.
                cost = candidate.cost
        elif reinterpreted:
            return None
    return OutputReading(
        candidate.value_id, candidate.order_id, candidate.text, cost, result, candidate.other, tail, candidate.detail
    )


def _held(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` as a buffer of `dtype` can hold them: an output kept as float16 is rounded, which is no fault."""
    import numpy as np

    if dtype != np.float16:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        rounded: NDArray[Any] = values.astype(np.float16).astype(np.float64)
    return rounded


def _rounding(values: NDArray[Any]) -> float:
    """The application computes in float32: a few roundings of the largest value."""
    import numpy as np

    return float(np.abs(values).max(initial=0.0, where=np.isfinite(values))) * 4e-7


def _tail(values: NDArray[Any]) -> str:
    if not values.size:
        return ""
    if (values == 0).all():
        return "zero"
    return "constant" if (values == values[0]).all() else "values"


def _same(array: NDArray[Any], values: NDArray[Any]) -> bool:
    import numpy as np

    return array.size == values.size and bool(np.array_equal(array.reshape(-1), values.reshape(-1), equal_nan=False))


def _linear(seen: NDArray[Any], expected: ExpectedOutput) -> tuple[float, float] | None:
    """(a, b) when observed = a * expected + b everywhere: parameters of nobody known."""
    import numpy as np

    wanted = expected.values.reshape(-1).astype(np.float64)
    if wanted.size != seen.size or not np.isfinite(seen).all() or not np.isfinite(wanted).all():
        return None
    spread = wanted - wanted.mean()
    power = float(spread @ spread)
    if power == 0 or np.unique(wanted[:10_000]).size < 4:
        return None
    factor = float(spread @ (seen - seen.mean())) / power
    offset = float(seen.mean() - factor * wanted.mean())
    error = float(np.abs(factor * wanted + offset - seen).max())
    scale = float(np.abs(seen).max())
    slack = 0.0 if expected.exact else abs(factor) * (expected.scale or 0.0)
    return (factor, offset) if factor and error <= 2e-6 * scale + slack else None
