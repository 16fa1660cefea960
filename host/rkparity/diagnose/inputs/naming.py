"""Names the colours and values that make a view's numbers from a picture's, on samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import DecodedPicture
from rkparity.diagnose.inputs.chains import Chain, Fit, PicturePair, encoded, given, measure
from rkparity.diagnose.inputs.colour import Colour, grey, mixes, orders
from rkparity.diagnose.inputs.geometry import Geometry
from rkparity.diagnose.inputs.problem import QUANTIZED, Problem
from rkparity.diagnose.inputs.values import PixelMap, fitted_maps, float_maps, value_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = 4000
# So much of what the channels leave must a mix of them explain before mixes are tried; noise explains 0.1 %.
_MIXED = 0.005
_EXACT = 0.05
_JUDGED = 10
_MIX_SAMPLES = 2000


@dataclass(frozen=True)
class Samples:
    """What a view shows and what a picture holds at the same places: (n, C) each.

    `landing`: as in DecodedPicture.landing.
    """

    observed: NDArray[Any]
    picture: NDArray[Any]
    seen: NDArray[Any]
    landing: NDArray[Any] | slice


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
        self._tables: dict[str, tuple[list[PixelMap], NDArray[Any]]] = {}

    def chains(self, pair: PicturePair, *, fitted: bool = True) -> list[Chain]:
        """The best few chains for this view and this picture, judged on samples."""
        samples = self._samples(pair.view, pair.geometry, SAMPLES)
        if samples.seen.sum() < 100:
            return []
        named = self._judge_colours(pair, self._orders_of(samples), samples)
        named.sort(key=lambda chain: chain.cost)
        best = {id(chain.colour): chain.colour for chain in named[:1]}
        if named and named[0].fit.rms < _EXACT and named[0].fit.relative < 0.1:
            return named[:6]
        mixed = self._mixes_of(samples) if self._may_be_mixed(samples, named) else []
        named += self._judge_colours(pair, mixed[:8], samples)
        named.sort(key=lambda chain: chain.cost)
        if fitted and not pair.view.reading.kind and named and named[0].fit.rms >= _EXACT:
            best.update((id(chain.colour), chain.colour) for chain in named[:1])
            for colour in [*best.values(), *mixed[:3]]:
                pixels = colour.apply(samples.picture)
                weights = samples.seen.astype("float32")
                for values in fitted_maps(self.problem, pixels, samples.observed, weights, samples.landing):
                    named.append(self._judged(pair, colour, values, pixels, samples))
        return sorted(named, key=lambda chain: chain.cost)[:6]

    def again(self, chain: Chain, geometry: Geometry) -> Chain:
        """The same chain with another picture, judged on samples."""
        samples = self._samples(chain.view, geometry, SAMPLES // 4)
        if not samples.seen.any():
            return replace(chain, geometry=geometry, fit=Fit(32.0, 0.0, 1.0, 1.0))
        mixed = chain.colour.apply(samples.picture)
        return self._judged(PicturePair(chain.view, geometry, 1.0), chain.colour, chain.values, mixed, samples)

    def _samples(self, view: DecodedPicture, geometry: Geometry, count: int) -> Samples:
        import numpy as np

        height, width, _ = view.layout.source
        generator = np.random.default_rng(11)
        rows, columns = generator.integers(0, height, count), generator.integers(0, width, count)
        observed, seen = view.at(rows, columns)
        picture, inside = geometry.sample(rows, columns)
        return Samples(observed, picture, seen & inside[:, None], view.landing(rows, columns, self.problem))

    def _judge_colours(self, pair: PicturePair, colours: Iterable[Colour], samples: Samples) -> list[Chain]:
        """The best of all named maps on all colours, first by tables, then by what is really predicted."""
        found: list[tuple[float, float, PixelMap, Colour, NDArray[Any]]] = []
        for colour in colours:
            mixed = colour.apply(samples.picture)
            found += [(*entry, colour, mixed) for entry in self._named(pair.view, mixed, samples)]
        chosen = sorted(range(len(found)), key=lambda index: found[index][0])[:_JUDGED]
        chosen += sorted(range(len(found)), key=lambda index: found[index][1])[:2]
        result = []
        for index in dict.fromkeys(chosen):
            _, _, values, colour, mixed = found[index]
            result.append(self._judged(pair, colour, values, mixed, samples))
        return result

    def _judged(
        self, pair: PicturePair, colour: Colour, values: PixelMap, mixed: NDArray[Any], samples: Samples
    ) -> Chain:
        predicted = given(self.problem, pair.view, values, mixed, samples.landing)
        fit = measure(self.problem, pair.view, predicted, mixed, samples.observed, samples.seen)
        return Chain(pair.view, pair.geometry, colour, values, fit)

    def _orders_of(self, samples: Samples) -> Iterator[Colour]:
        """The likeliest channel orders."""
        import numpy as np

        channels = samples.picture.shape[1]
        used = samples.seen.all(axis=1)
        if channels == 1 or channels > 4 or used.sum() < 50:
            yield self._orders[0]
            return
        ratio = self._ratios(samples.picture[used], samples.observed[used])
        scored = [(float(np.mean([ratio[i, j] for i, j in enumerate(item.order)])), item) for item in self._orders]
        scored.sort(key=lambda entry: -entry[0])
        for number, (score, item) in enumerate(scored):
            if number < 2 or score > scored[0][0] - 0.03:
                yield item

    def _ratios(self, made: NDArray[Any], shown: NDArray[Any]) -> NDArray[Any]:
        """(channels shown, channels made): how much of each shown channel any function of each made one explains."""
        import numpy as np

        result = np.zeros((shown.shape[1], made.shape[1]))
        centred = shown.astype(np.float64) - shown.mean(axis=0, dtype=np.float64)
        totals = (centred**2).sum(axis=0)
        for column in range(made.shape[1]):
            levels = self._index(made[:, column]) >> 1
            sizes = np.maximum(np.bincount(levels, minlength=128), 1)
            for row in range(shown.shape[1]):
                sums = np.bincount(levels, centred[:, row], minlength=128)
                result[row, column] = float((sums**2 / sizes).sum()) / totals[row] if totals[row] > 0 else 0.0
        return result

    def _may_be_mixed(self, samples: Samples, named: list[Chain]) -> bool:
        """Whether a mix of channels explains clearly more than one channel each does, or nothing is explained yet."""
        import numpy as np

        if not self._mixes:
            return False
        if not named or named[0].fit.matched < 0.98 or named[0].fit.relative > 0.1:
            return True
        used = samples.seen.all(axis=1)
        picture, shown = samples.picture[used], samples.observed[used].astype(np.float64)
        pixels = named[0].colour.apply(picture)
        predicted = given(
            self.problem,
            named[0].view,
            named[0].values,
            pixels,
            samples.landing if isinstance(samples.landing, slice) else samples.landing[used],
        )
        left = shown - np.asarray(predicted, np.float64)
        design = np.concatenate([picture, np.ones((picture.shape[0], 1))], axis=1).astype(np.float64)
        gram = design.T @ design + 1e-6 * np.eye(design.shape[1])
        after = left - design @ np.linalg.solve(gram, design.T @ left)
        before = left - left.mean(axis=0)
        total = float((before**2).sum())
        return total > 0 and 1 - float((after**2).sum()) / total > _MIXED

    def _mixes_of(self, samples: Samples) -> list[Colour]:
        """The mixes of channels, in every order of the result, the likeliest first.

        Likely is what any function of each mixed channel's value explains, so that values may be changed as well.
        """
        import numpy as np

        used = samples.seen.all(axis=1)
        if used.sum() < 50:
            return []
        picture, shown = samples.picture[used][:_MIX_SAMPLES], samples.observed[used][:_MIX_SAMPLES]
        scored = []
        for item in self._mixes:
            ratio = self._ratios(item.apply(picture), shown)
            for order in self._orders:
                picked = order.order
                colour = Colour((*item.steps, *order.steps), item.stages, order.order)
                score = float(np.mean([ratio[i, j] for i, j in enumerate(picked)]))
                scored.append((-score + 0.002 * len(order.steps), colour))
        return [colour for score, colour in sorted(scored, key=lambda entry: entry[0]) if score < -0.2]

    def _index(self, pixels: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        scale = 255.0 / max(self._high - self._low, 1e-9)
        return np.clip(np.rint((pixels - self._low) * scale), 0, 255).astype(np.int64)

    def _named(
        self, view: DecodedPicture, mixed: NDArray[Any], samples: Samples
    ) -> list[tuple[float, float, PixelMap]]:
        """The named maps that fit best, by their tables of 256 values: what each leaves, twice, and the map.

        Codes given as they are, are compared as codes: what they stand for depends on the channel they are read as.
        """
        import numpy as np

        result: list[tuple[float, float, PixelMap]] = []
        shown = [(view.reading.kind, samples.observed)]
        if not view.reading.kind and self.problem.runtime.kind == QUANTIZED:
            shown.append(("codes", self.problem.runtime.codes(samples.observed, samples.landing)))
        for kind, observed in shown:
            moved = None if kind or isinstance(samples.landing, slice) else samples.landing
            maps, tables = self._table(kind, moved is not None)
            if not maps:
                continue
            score, relative = _table_scores(tables, self._index(mixed), observed, samples.seen, moved)
            score = score + 0.02 * np.array([item.weight for item in maps])
            for index in dict.fromkeys([*np.argsort(score)[:5], *np.argsort(relative)[:1]]):
                result.append((float(score[index]), float(relative[index]), maps[index]))
        return result

    def _table(self, kind: str, moved: bool = False) -> tuple[list[PixelMap], NDArray[Any]]:
        """Maps and their tables, (maps, 256, channels); `moved`: (maps, 256, channels, channel read as)."""
        import numpy as np

        key = f"{kind} {moved}"
        if key not in self._tables:
            levels, problem = self._levels, self.problem
            count = levels.shape[1]
            maps = [item for item in value_maps(problem) if item.codes == bool(kind)]
            if kind == "codes":
                rows = [item.numbers(levels) for item in maps]
            elif kind:
                maps = list(float_maps(problem))
                rows = [encoded(kind, item.numbers(levels)) for item in maps]
            elif moved:
                every = [np.full(count, channel) for channel in range(count)]
                rows = [np.stack([item.observed(levels, problem, read) for read in every], axis=2) for item in maps]
            else:
                rows = [item.observed(levels, problem) for item in maps]
            self._tables[key] = (maps, np.nan_to_num(np.stack(rows)) if rows else np.zeros((0, 256, count)))
        return self._tables[key]


def _table_scores(
    tables: NDArray[Any],
    index: NDArray[Any],
    observed: NDArray[Any],
    seen: NDArray[Any],
    landing: NDArray[Any] | None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Per table: what it leaves against the observed variation, and against its own."""
    import numpy as np

    channels = index.shape[1]
    squares, spread = np.zeros(len(tables)), np.zeros(len(tables))
    for channel, read in itertools.product(range(channels), range(channels) if landing is not None else (0,)):
        used = seen[:, channel] if landing is None else seen[:, channel] & (landing[:, channel] == read)
        values = observed[used, channel].astype(np.float64)
        sizes = np.bincount(index[used, channel], minlength=256)
        sums, powers = np.bincount(index[used, channel], values, minlength=256), float((values**2).sum())
        table = tables[:, :, channel] if landing is None else tables[:, :, channel, read]
        squares += powers - 2 * table @ sums + (table**2) @ sizes
        mean = table @ sizes / max(sizes.sum(), 1)
        spread += (table**2) @ sizes - mean**2 * sizes.sum()
    count = max(int(seen.sum()), 1)
    rms = np.sqrt(np.maximum(squares, 0) / count)
    relative = rms / np.maximum(np.sqrt(np.maximum(spread, 0) / count), 1e-9)
    return rms / max(float(observed[seen].std()), 1e-9), relative
