"""Complete chains for a view and its picture: colours and values named, judged on samples, then on every element."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.colour import Colour, grey, mixes, orders
from rkparity.diagnose.inputs.geometry import Geometry
from rkparity.diagnose.inputs.pairing import Pair
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.runtime import Problem
from rkparity.diagnose.inputs.values import ValueMap, fitted_maps, float_maps, value_maps
from rkparity.diagnose.inputs.views import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = 4000
# Weight of the residual against the number of steps; chosen on the corpus of scripts/diagnosis-corpus.
_RESIDUAL, _UNMATCHED, _RELATIVE = 6.0, 10.0, 12.0


@dataclass(frozen=True)
class Fit:
    """How well numbers were predicted. `unit`: what one pixel value makes; `rms` in units."""

    rms: float
    matched: float
    relative: float
    unit: float

    @property
    def cost(self) -> float:
        """Grows with what is left."""
        return (
            _RESIDUAL * math.log2(1 + self.rms / 0.5)
            + _UNMATCHED * (1 - self.matched)
            + _RELATIVE * min(1.0, self.relative) ** 2
        )


@dataclass(frozen=True)
class Chain:
    """Geometry, colour, values and reading of one hypothesis, and how well it does."""

    view: View
    geometry: Geometry
    colour: Colour
    values: ValueMap
    fit: Fit
    score: float = 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order they were made: picture, colour, values, memory."""
        return (*self.geometry.steps, *self.colour.steps, *self.values.steps, *self.view.steps)

    @property
    def weight(self) -> float:
        """What the steps cost in ranking."""
        plain = len(self.geometry.steps) + len(self.colour.steps) + len(self.view.steps)
        extra = 0.3 * sum(step.id == "geometry.transposed_180" for step in self.geometry.steps)
        return 1.5 * (plain + self.values.weight) + extra

    @property
    def cost(self) -> float:
        return self.fit.cost + self.weight


class Naming:
    """Names colours and values for pairs; what does not depend on the pair is made once."""

    def __init__(self, problem: Problem) -> None:
        import numpy as np

        self.problem = problem
        channels = problem.shape[2]
        self._orders = orders(channels)
        self._mixes = [*mixes(), *grey(channels)] if channels == 3 and problem.whole else []
        base = problem.base
        self._low, self._high = (0.0, 255.0) if problem.whole else (float(base.min()), float(base.max()))
        levels = np.linspace(self._low, self._high, 256)
        self._levels = np.repeat(levels[:, None], channels, axis=1)
        self._tables: dict[str, tuple[list[ValueMap], NDArray[Any]]] = {}

    def chains(self, pair: Pair, *, fitted: bool = True) -> list[Chain]:
        """The best few chains for this view and this picture, judged on samples."""
        import numpy as np

        height, width, _ = pair.view.layout.source
        generator = np.random.default_rng(11)
        rows, columns = generator.integers(0, height, SAMPLES), generator.integers(0, width, SAMPLES)
        observed, seen = pair.view.at(rows, columns)
        picture, inside = pair.geometry.sample(rows, columns)
        seen = seen & inside[:, None]
        if seen.sum() < 100:
            return []
        named = self._judge_colours(pair, self._orders_of(picture, observed, seen), picture, observed, seen)
        named.sort(key=lambda chain: chain.cost)
        if named and (named[0].fit.matched > 0.98 and named[0].fit.relative < 0.1):
            return named[:6]
        named += self._judge_colours(pair, self._mixes_of(picture, observed, seen), picture, observed, seen)
        if fitted and not pair.view.reading.kind and named:
            for colour in {id(chain.colour): chain.colour for chain in named[:2]}.values():
                mixed = colour.apply(picture)
                for values in fitted_maps(self.problem, mixed, observed, seen.astype(np.float32)):
                    named.append(self._judged(pair, colour, values, mixed, observed, seen))
        return sorted(named, key=lambda chain: chain.cost)[:6]

    def again(self, chain: Chain, geometry: Geometry) -> Chain:
        """The same chain with another picture, judged on samples."""
        import numpy as np

        height, width, _ = chain.view.layout.source
        generator = np.random.default_rng(11)
        rows, columns = generator.integers(0, height, SAMPLES // 2), generator.integers(0, width, SAMPLES // 2)
        observed, seen = chain.view.at(rows, columns)
        picture, inside = geometry.sample(rows, columns)
        seen = seen & inside[:, None]
        if not seen.any():
            return replace(chain, geometry=geometry, fit=Fit(32.0, 0.0, 1.0, 1.0))
        mixed = chain.colour.apply(picture)
        return self._judged(Pair(chain.view, geometry, 1.0), chain.colour, chain.values, mixed, observed, seen)

    def _judge_colours(
        self,
        pair: Pair,
        colours: Iterable[Colour],
        picture: NDArray[Any],
        observed: NDArray[Any],
        seen: NDArray[Any],
    ) -> list[Chain]:
        found = []
        for colour in colours:
            mixed = colour.apply(picture)
            for values, _ in self._named(pair.view, mixed, observed, seen):
                found.append(self._judged(pair, colour, values, mixed, observed, seen))
        return found

    def _judged(
        self,
        pair: Pair,
        colour: Colour,
        values: ValueMap,
        mixed: NDArray[Any],
        observed: NDArray[Any],
        seen: NDArray[Any],
    ) -> Chain:
        predicted = given(self.problem, pair.view, values, mixed)
        return Chain(
            pair.view, pair.geometry, colour, values, measure(self.problem, pair.view, predicted, mixed, observed, seen)
        )

    def _orders_of(self, picture: NDArray[Any], observed: NDArray[Any], seen: NDArray[Any]) -> Iterator[Colour]:
        """The likeliest channel orders."""
        import numpy as np

        channels = picture.shape[1]
        used = seen.all(axis=1)
        if channels == 1 or channels > 4 or used.sum() < 50:
            yield self._orders[0]
            return
        ratio = np.zeros((channels, channels))
        for wanted in range(channels):
            levels = self._index(picture[used, wanted]) >> 1
            sizes = np.maximum(np.bincount(levels, minlength=128), 1)
            for shown in range(channels):
                values = observed[used, shown].astype(np.float64)
                values = values - values.mean()
                total = float((values**2).sum())
                between = float((np.bincount(levels, values, minlength=128) ** 2 / sizes).sum())
                ratio[shown, wanted] = between / total if total > 0 else 0.0
        scored = [
            (float(np.mean([ratio[i, j] for i, j in enumerate(item.order or ())])), item) for item in self._orders
        ]
        scored.sort(key=lambda entry: -entry[0])
        for number, (score, item) in enumerate(scored):
            if number < 2 or score > scored[0][0] - 0.03:
                yield item

    def _mixes_of(self, picture: NDArray[Any], observed: NDArray[Any], seen: NDArray[Any]) -> list[Colour]:
        """The mixes of channels, in every order of the result, nearest to the one that fits best."""
        import numpy as np

        used = seen.all(axis=1)
        if not self._mixes or used.sum() < 50:
            return []
        design = np.concatenate([picture[used], np.ones((int(used.sum()), 1))], axis=1).astype(np.float64)
        shown = observed[used].astype(np.float64)
        gram = design.T @ design + 1e-6 * np.eye(design.shape[1])
        solution = np.linalg.solve(gram, design.T @ shown)
        left = float(((shown - design @ solution) ** 2).sum())
        total = float(((shown - shown.mean(axis=0)) ** 2).sum())
        if total <= 0 or 1 - left / total < 0.85:
            return []
        fitted = solution[:3].T
        scored = []
        for item, order in itertools.product(self._mixes, self._orders):
            picked = list(order.order or ())
            rows = item.matrix[picked]
            size = float(np.linalg.norm(rows) * np.linalg.norm(fitted)) or 1.0
            colour = Colour((*item.steps, *order.steps), rows, item.offset[picked], None)
            scored.append((-float((rows * fitted).sum()) / size + 0.002 * len(order.steps), colour))
        return [colour for _, colour in sorted(scored, key=lambda entry: entry[0])[:10]]

    def _index(self, pixels: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        scale = 255.0 / max(self._high - self._low, 1e-9)
        return np.clip(np.rint((pixels - self._low) * scale), 0, 255).astype(np.int64)

    def _named(
        self, view: View, mixed: NDArray[Any], observed: NDArray[Any], seen: NDArray[Any]
    ) -> list[tuple[ValueMap, float]]:
        """The named maps that fit best, by their tables of 256 values: (map, rms in pixel units)."""
        import numpy as np

        maps, tables = self._table(view.reading.kind)
        channels = mixed.shape[1]
        squares = np.zeros(len(maps))
        spread = np.zeros(len(maps))
        for channel in range(channels):
            used = seen[:, channel]
            index, values = self._index(mixed[used, channel]), observed[used, channel].astype(np.float64)
            sizes = np.bincount(index, minlength=256)
            sums, powers = np.bincount(index, values, minlength=256), float((values**2).sum())
            table = tables[:, :, channel]
            squares += powers - 2 * table @ sums + (table**2) @ sizes
            mean = table @ sizes / max(sizes.sum(), 1)
            spread += (table**2) @ sizes - mean**2 * sizes.sum()
        count = max(int(seen.sum()), 1)
        rms = np.sqrt(np.maximum(squares, 0) / count)
        relative = rms / np.maximum(np.sqrt(np.maximum(spread, 0) / count), 1e-9)
        score = rms / max(float(observed[seen].std()), 1e-9) + 0.02 * np.array([item.weight for item in maps])
        best = np.argsort(score)[:5]
        also = np.argsort(relative)[:2]
        return [(maps[index], float(rms[index])) for index in dict.fromkeys([*best, *also])]

    def _table(self, kind: str) -> tuple[list[ValueMap], NDArray[Any]]:
        import numpy as np

        if kind not in self._tables:
            maps = list(float_maps(self.problem)) if kind else list(value_maps(self.problem))
            rows = [
                encoded(kind, item.numbers(self._levels)) if kind else item.observed(self._levels, self.problem)
                for item in maps
            ]
            self._tables[kind] = (maps, np.nan_to_num(np.stack(rows)))
        return self._tables[kind]


def encoded(kind: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers as they come back from float32 or float16 memory."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.asarray(numbers).astype(np.float16 if kind == "float16" else np.float32).astype(np.float32)


def given(problem: Problem, view: View, values: ValueMap, mixed: NDArray[Any]) -> NDArray[Any]:
    """The elements of the view that these pixels make."""
    if view.reading.kind:
        return encoded(view.reading.kind, values.numbers(mixed))
    return values.observed(mixed, problem)


def measure(
    problem: Problem,
    view: View,
    predicted: NDArray[Any],
    pixels: NDArray[Any],
    observed: NDArray[Any],
    seen: NDArray[Any],
) -> Fit:
    """Judges predicted against observed numbers (n, C), both in the view's elements, where `seen`."""
    import numpy as np

    difference = np.abs(np.asarray(predicted, np.float32) - observed)[seen]
    spread, variation = float(observed[seen].std()), float(pixels[seen].std())
    slope = float(np.asarray(predicted)[seen].std()) / variation if variation > 0 else 0.0
    quantum = 0.0 if view.reading.kind else problem.runtime.quantum()
    unit = max(slope, quantum, 1e-9)
    scaled = np.minimum(difference / unit, 32.0)
    rms = float(np.sqrt(np.mean(scaled**2)))
    relative = float(np.sqrt(np.mean(difference**2))) / spread if spread > 0 else (1.0 if rms > 0 else 0.0)
    return Fit(rms, float((scaled <= 1.01).mean()), relative, unit)


def whole(problem: Problem, chain: Chain) -> tuple[Chain, NDArray[Any]]:
    """The chain judged on every element, and what it predicts, flat in the order of the reading's elements.

    Padding takes the value the observed padding has most often; elements the buffer did not reach are NaN in the
    prediction and count as matched when they hold one value.
    """
    import numpy as np

    elements = chain.view.reading.elements
    picture, inside = chain.geometry.full()
    mixed = chain.colour.apply(picture)
    predicted = np.ascontiguousarray(given(problem, chain.view, chain.values, mixed), np.float32)
    where = chain.view.layout.positions()
    ok = (where >= 0) & (where < min(chain.view.limit, elements.size))
    if not inside.all():
        outside = np.repeat(~inside.reshape(-1), predicted.shape[2])
        padding = elements[where[ok & outside]]
        channel = np.tile(np.arange(predicted.shape[2]), inside.size)[ok & outside]
        flat = predicted.reshape(-1)
        places = np.flatnonzero(ok & outside)
        for index in range(predicted.shape[2]):
            own = padding[channel == index]
            if own.size:
                flat[places[channel == index]] = np.median(own)
    full = np.full(elements.size, np.nan, np.float32)
    full[where[ok]] = predicted.reshape(-1)[ok]
    pixels = np.zeros(elements.size, np.float32)
    pixels[where[ok]] = mixed.reshape(-1)[ok]
    rest = np.isnan(full)
    if rest.any():
        left = elements[rest]
        full[rest] = np.median(left) if np.isfinite(left).any() else 0
    # A row stride read from memory beyond the buffer is unknown, not wrong: only what was written is judged.
    judged = ~rest if 0.05 < rest.mean() < 0.95 or chain.view.steps else np.ones(elements.size, bool)
    fit = measure(
        problem, chain.view, full[:, None], pixels[:, None], np.nan_to_num(elements)[:, None], judged[:, None]
    )
    return replace(chain, fit=fit), full
