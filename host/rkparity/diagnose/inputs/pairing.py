"""Finds which view shows which candidate picture, whatever was done to colours and values: a statistic on samples."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.decoded_pictures import DecodedPicture
from rkparity.diagnose.inputs.geometry import Geometry

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
