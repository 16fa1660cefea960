"""Complete chains: a view, its picture, colours and values; how well they predict samples, and every element."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.colour import Colour
from rkparity.diagnose.inputs.decoded_pictures import DecodedPicture
from rkparity.diagnose.inputs.geometry import Geometry
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.runtime import Problem
from rkparity.diagnose.inputs.values import PixelMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
