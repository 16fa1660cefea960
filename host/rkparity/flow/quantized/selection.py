"""Which operators to keep in float16: chosen by the output error each removes for its cost, measured, then pruned.

What one operator does to the output is known from quantising it alone: its weights' part goes when the operator is
float; the part of storing its tensor goes only when its maker and all its readers are float. So candidates are single
operators and such neighbourhoods. Costs are estimates that rank: int8 multiplies twice as many numbers a second as
float16 on these NPUs, and float16 tensors are twice the bytes; nothing here measures the NPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rkparity.flow.quantized.budget import Budget
from rkparity.toolkit.hybrid import Contribution, MixedModel, Operator, OutputError

MACS_PER_ELEMENT = 128
"""Moving one more byte per value weighs as much as this many multiplications (rk3588: 3 TMAC/s, about 20 GB/s)."""
SHORTLIST = 8
MAX_STEPS = 40
OUT_OF_TIME = "the time budget ended"
AT_ONCE = 4
"""Sets evaluated between two looks at the clock."""


@dataclass(frozen=True)
class Point:
    """One set of float operators: the output's error as predicted by mixing, and the cost over the int8 model's."""

    floats: tuple[int, ...]
    error: OutputError
    cost: float


class OperatorGraph:
    """Operators with who makes and who reads which tensor."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        self.operators = tuple(operators)
        self.maker = {name: item.index for item in operators for name in item.makes}
        self.readers: dict[str, list[int]] = {}
        for item in operators:
            for name in item.reads:
                self.readers.setdefault(name, []).append(item.index)

    def choosable(self, index: int) -> bool:
        """Whether the operator may be listed: quantised, and no conversion at the graph's ends."""
        operator = self.operators[index]
        return operator.quantised and not operator.is_conversion

    def neighbourhood(self, index: int) -> frozenset[int]:
        """The operators that must be float for the tensor of `index` to be stored in float16 and read as such."""
        wanted = {index}
        waiting = list(self.operators[index].reads)
        while waiting:
            maker = self.maker.get(waiting.pop())
            if maker is not None and self.operators[maker].fused and maker not in wanted:
                wanted.add(maker)
                waiting.extend(self.operators[maker].reads)
        for name in self.operators[index].makes:
            wanted.update(self.readers.get(name, []))
        return frozenset(item for item in wanted if self.choosable(item))

    def cost(self, floats: Iterable[int]) -> float:
        """Added work of these operators in float16 over the whole int8 model's, an estimate that ranks."""
        total = sum(item.macs + MACS_PER_ELEMENT * item.elements for item in self.operators)
        added = 0
        for index in floats:
            item = self.operators[index]
            read = sum(self.operators[self.maker[name]].elements for name in item.reads if name in self.maker)
            added += item.macs + MACS_PER_ELEMENT * (item.elements + read)
        return added / max(total, 1)

    def names(self, floats: Iterable[int]) -> tuple[str, ...]:
        """The tensors to list for these operators, in execution order."""
        return tuple(name for index in sorted(floats) for name in self.operators[index].makes)


@dataclass(frozen=True)
class Selection:
    """`points` are all sets measured, `chosen` the smallest that meets the limit, or the best one found."""

    points: tuple[Point, ...]
    chosen: Point
    meets: bool
    stopped: str = ""

    @property
    def curve(self) -> tuple[Point, ...]:
        """The accuracy/cost curve: the sets no other beats in both."""
        return tuple(pareto(self.points))

    def stricter(self, cosine: float) -> Point | None:
        """The cheapest set measured whose every output reaches `cosine`."""
        return min((item for item in self.points if item.error.cosine >= cosine), key=lambda p: p.cost, default=None)


def select(
    mixed: MixedModel,
    contributions: Sequence[Contribution],
    *,
    cosine: float,
    budget: Budget,
    say: Callable[[str], None] = lambda line: None,
) -> Selection:
    """Grows a set of float operators until every output reaches `cosine`, then drops what is not needed."""
    graph = OperatorGraph(mixed.operators)
    by_index = {item.index: item for item in contributions}
    bundles = _bundles(graph, by_index)
    current = Point((), mixed.error, 0.0)
    curve = [current]
    stopped = ""
    for _ in range(MAX_STEPS):
        if current.error.cosine >= cosine:
            break
        if budget.left <= 0:
            stopped = OUT_OF_TIME
            break
        step, measured = _best_step(mixed, graph, bundles, current, cosine, budget)
        curve.extend(measured)
        if step is None:
            stopped = "no further operator removes error"
            break
        current = step
        added = graph.names(current.floats)
        say(f"{len(added)} tensors in float16: output cosine {current.error.cosine:.5f} (predicted)")
    meets = current.error.cosine >= cosine
    if meets:
        dropped = _pruned(mixed, graph, current, cosine, budget)
        curve.extend(dropped)
        best = dropped[-1]
    else:
        best = min(curve, key=lambda item: item.error.squared)
    return Selection(tuple(curve), best, meets, stopped)


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points no other beats in both error and cost, by cost."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda item: (item.cost, item.error.squared)):
        if not kept or point.error.squared < kept[-1].error.squared:
            kept.append(point)
    return kept


def _bundles(graph: OperatorGraph, by_index: dict[int, Contribution]) -> list[tuple[frozenset[int], float]]:
    found: dict[frozenset[int], float] = {}
    for index, item in by_index.items():
        if graph.choosable(index) and item.weights > 0:
            key = frozenset((index,))
            found[key] = found.get(key, 0.0) + item.weights
        if item.storage > 0:
            key = graph.neighbourhood(index)
            if key:
                found[key] = found.get(key, 0.0) + item.storage
    # What a small neighbourhood gains, a larger one around it gains as well.
    return [(key, sum(gain for other, gain in found.items() if other <= key)) for key in found]


def _best_step(
    mixed: MixedModel,
    graph: OperatorGraph,
    bundles: Sequence[tuple[frozenset[int], float]],
    current: Point,
    cosine: float,
    budget: Budget,
) -> tuple[Point | None, list[Point]]:
    """The best of the most promising bundles by error removed per cost, and all that there was time to measure."""
    have = frozenset(current.floats)
    open_ = [(have | bundle, gain) for bundle, gain in bundles if not bundle <= have]
    if not open_:
        return None, []

    def promise(item: tuple[frozenset[int], float]) -> float:
        return item[1] / _added(graph, have, item[0])

    listed = sorted(open_, key=promise, reverse=True)[:SHORTLIST]
    listed += sorted(open_, key=lambda item: item[1], reverse=True)[: SHORTLIST // 2]
    sets = list(dict.fromkeys([*(item[0] for item in listed), *_larger(open_, promise)]))
    measured: list[Point] = []
    for start in range(0, len(sets), AT_ONCE):
        if start and budget.left <= 0:
            break
        part = sets[start : start + AT_ONCE]
        measured += [
            Point(tuple(sorted(floats)), error, graph.cost(floats))
            for floats, error in zip(part, mixed.evaluate([sorted(item) for item in part]))
        ]
    better = [point for point in measured if point.error.squared < current.error.squared * 0.999]
    if not better:
        return None, measured
    meeting = [point for point in measured if point.error.cosine >= cosine]
    if meeting:
        return min(meeting, key=lambda point: point.cost), measured

    def worth(point: Point) -> tuple[float, int]:
        gain = current.error.squared - point.error.squared
        first = min(frozenset(point.floats) - have)
        # Errors accumulate from layer to layer, so of equal worth the earlier one is taken (RKNN manual 7.1.2).
        return round(gain / _added(graph, have, frozenset(point.floats)), 9), -first

    return max(better, key=worth), measured


def _larger(
    open_: Sequence[tuple[frozenset[int], float]], promise: Callable[[tuple[frozenset[int], float]], float]
) -> list[frozenset[int]]:
    """Unions of the 2, 3, 5, 8, ... most promising: where many layers lose a little, none of them shows alone."""
    ordered = sorted(open_, key=promise, reverse=True)
    found = []
    size = 2
    while size < 1.5 * len(ordered):
        found.append(frozenset().union(*(item[0] for item in ordered[:size])))
        size = size * 3 // 2 + size % 2
    return found


def _added(graph: OperatorGraph, have: frozenset[int], floats: frozenset[int]) -> float:
    # A conversion is launched for every new float region, so that no operator is free.
    return graph.cost(floats) - graph.cost(have) + 1e-3 * len(floats - have)


def _pruned(mixed: MixedModel, graph: OperatorGraph, point: Point, cosine: float, budget: Budget) -> list[Point]:
    """Drops operators as long as every output keeps `cosine`: halves first, then smaller parts, dearest and late ones
    before the others. Gives every set that still fits, the smallest last."""
    fitting = [point]
    current = point
    size = max(len(point.floats) // 2, 1)
    while budget.left > 0:
        ordered = sorted(current.floats, key=lambda index: (graph.cost((index,)), index), reverse=True)
        parts = [frozenset(ordered[start : start + size]) for start in range(0, len(ordered), size)]
        dropped = False
        for part in parts if len(ordered) > size else []:
            floats = tuple(index for index in current.floats if index not in part)
            (error,) = mixed.evaluate([floats])
            if error.cosine >= cosine:
                current = Point(floats, error, graph.cost(floats))
                fitting.append(current)
                dropped = True
            if budget.left <= 0:
                break
        if size == 1 and not dropped:
            break
        size = max(size // 2, 1)
    return fitting
