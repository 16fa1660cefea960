"""Pairs of a decoded picture and a candidate, and complete chains: picture, geometry, colours and values.

Pairs are scored by a statistic that holds whatever was done to colours and values; a chain predicts every element.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import DecodedPicture
from rkparity.diagnose.inputs.colour import Colour
from rkparity.diagnose.inputs.geometry import Geometry
from rkparity.diagnose.inputs.problem import Problem, Step
from rkparity.diagnose.inputs.values import PixelMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = 3000
_BINS = 32


@dataclass(frozen=True)
class PicturePair:
    """A view and the picture it may show; `score` is the share of the view's variance that the picture explains."""

    view: DecodedPicture
    geometry: Geometry
    score: float

    @property
    def rank(self) -> float:
        """The score, less a little for every step."""
        return self.score - 0.004 * (len(self.view.steps) + len(self.geometry.steps))


def score_pairs(views: list[DecodedPicture], geometries: list[Geometry]) -> list[PicturePair]:
    """Every view against every geometry of its shape, the best first.

    The score is the larger of two: the correlation ratio (any function of each channel's value, channels matched in the
    best order), and R squared of a linear mix of the channels. Both need only sums over samples.
    """
    import numpy as np

    pairs: list[PicturePair] = []
    for shape in sorted({view.layout.source[:2] for view in views}):
        own = [view for view in views if view.layout.source[:2] == shape]
        fitting = [geometry for geometry in geometries if geometry.shape == shape]
        if not fitting:
            continue
        generator = np.random.default_rng(7)
        rows, columns = generator.integers(0, shape[0], SAMPLES), generator.integers(0, shape[1], SAMPLES)
        data = [view.at(rows, columns) for view in own]
        channels = own[0].layout.source[2]
        usable = [bool(seen.all(axis=1).sum() >= 100) for _, seen in data]
        weights = np.stack([seen.all(axis=1) for _, seen in data], axis=1).astype(np.float32)
        values = np.stack([_standard(values, np.asarray(seen.all(axis=1))) for values, seen in data], axis=1)
        totals = np.einsum("sv,svc->vc", weights, values**2)
        flat = (values * weights[:, :, None]).reshape(SAMPLES, -1)
        for geometry in fitting:
            picture, inside = geometry.sample(rows, columns)
            score = _correlation_ratio(picture, inside, flat, weights, totals, channels)
            if channels <= 4:
                score = np.maximum(score, _mixed(picture, inside, values, weights, totals))
            pairs += [PicturePair(view, geometry, float(value)) for view, value, use in zip(own, score, usable) if use]
    # Among equals the one with fewer steps comes first.
    return sorted(pairs, key=lambda pair: -pair.rank)


def _standard(values: NDArray[Any], seen: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if not seen.any():
        return np.zeros_like(values)
    used = values[seen]
    spread = used.std(axis=0)
    standard: NDArray[Any] = np.where(spread > 0, (values - used.mean(axis=0)) / np.where(spread > 0, spread, 1), 0)
    return standard


def _correlation_ratio(
    picture: NDArray[Any],
    inside: NDArray[Any],
    flat: NDArray[Any],
    weights: NDArray[Any],
    totals: NDArray[Any],
    channels: int,
) -> NDArray[Any]:
    """(views,) variance between bins of the picture's values, over all of it; channels in their best order."""
    import numpy as np

    count = weights.shape[1]
    ratio = np.zeros((count, channels, channels))
    limited = min(channels, 4) if channels > 4 else channels
    for source in range(channels):
        column = picture[:, source]
        low, high = (column[inside].min(), column[inside].max()) if inside.any() else (0.0, 1.0)
        bins = np.clip((column - low) * (_BINS / max(high - low, 1e-9)), 0, _BINS - 1).astype(np.int64)
        bins[~inside] = _BINS
        hot = np.zeros((SAMPLES, _BINS + 1), np.float32)
        hot[np.arange(SAMPLES), bins] = 1
        sums = (hot.T @ flat).reshape(_BINS + 1, count, channels)
        sizes = hot.T @ weights
        between = (sums**2 / np.maximum(sizes, 1)[:, :, None]).sum(axis=0)
        ratio[:, :, source] = between / np.maximum(totals, 1e-9)
        if channels > 4:
            ratio[:, :, source] *= 1.0
    if channels > 4:
        return np.asarray(ratio[:, range(channels), range(channels)].mean(axis=1))
    orders = list(itertools.permutations(range(limited)))
    return np.asarray(np.max([ratio[:, range(channels), list(order)].mean(axis=1) for order in orders], axis=0))


def _mixed(
    picture: NDArray[Any], inside: NDArray[Any], values: NDArray[Any], weights: NDArray[Any], totals: NDArray[Any]
) -> NDArray[Any]:
    """(views,) R squared of every view's channels on all channels of the picture."""
    import numpy as np

    design = np.concatenate([picture / 128.0 * inside[:, None], inside[:, None], ~inside[:, None]], axis=1)
    design = design.astype(np.float64)
    result = np.zeros(weights.shape[1])
    known: dict[bytes, tuple[NDArray[Any], NDArray[Any]]] = {}
    for view in range(weights.shape[1]):
        key = weights[:, view].tobytes()
        if key not in known:
            used = design * weights[:, view][:, None]
            known[key] = (used, used.T @ used + 1e-6 * np.eye(design.shape[1]))
        used, gram = known[key]
        product = used.T @ values[:, view]
        explained = (product * np.linalg.solve(gram, product)).sum(axis=0)
        result[view] = (explained / np.maximum(totals[view], 1e-9)).mean()
    return result


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

    view: DecodedPicture
    geometry: Geometry
    colour: Colour
    values: PixelMap
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


def encoded(kind: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers as they come back from float32 or float16 memory."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.asarray(numbers).astype(np.float16 if kind == "float16" else np.float32).astype(np.float32)


def given(
    problem: Problem, view: DecodedPicture, values: PixelMap, mixed: NDArray[Any], channels: NDArray[Any] | slice
) -> NDArray[Any]:
    """The elements of the view that these pixels make; `channels`: which channel the runtime takes each for."""
    if view.reading.kind:
        return encoded(view.reading.kind, values.numbers(mixed))
    return values.observed(mixed, problem, channels)


def measure(
    problem: Problem,
    view: DecodedPicture,
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

    Each region of padding takes the value the observed one has most often; elements the buffer did not reach are NaN in
    the prediction and count as matched when they hold one value.
    """
    import numpy as np

    elements = chain.view.reading.elements
    picture, region = chain.geometry.full()
    mixed = chain.colour.apply(picture)
    height, width, channels = mixed.shape
    where = chain.view.layout.positions()
    landing = chain.view.landing(np.arange(height).repeat(width), np.tile(np.arange(width), height), problem)
    numbers = mixed.reshape(-1, channels)
    predicted = np.ascontiguousarray(given(problem, chain.view, chain.values, numbers, landing), np.float32)
    flat = predicted.reshape(-1)
    ok = (where >= 0) & (where < min(chain.view.limit, elements.size))
    for number in (1, 2) if region.any() else ():
        outside = ok & np.repeat(region.reshape(-1) == number, channels)
        places = np.flatnonzero(outside)
        # Padding went through the runtime as well, which may take its elements for other channels.
        channel = places % channels if isinstance(landing, slice) else landing.reshape(-1)[places]
        own_channel = places % channels
        padding = elements[where[places]]
        for index in np.unique(own_channel * channels + channel):
            own = own_channel * channels + channel == index
            flat[places[own]] = np.median(padding[own])
    full = np.full(elements.size, np.nan, np.float32)
    full[where[ok]] = flat[ok]
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
