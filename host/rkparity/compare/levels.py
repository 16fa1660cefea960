"""Whether an output's one scale leaves levels to all its parts: with boxes and scores in one tensor, scores vanish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Scores, probabilities and the like live within 1: a scale above this leaves them 8 levels or fewer.
COARSE_SCALE = 0.125
_MOST_STEPS = 2.5
_LOST_SPAN = 3.0
_WIDER = 20.0
_FEWEST = 16


@dataclass(frozen=True)
class ErasedGroup:
    """A block of channels that quantisation left with three values at most while others set the scale.

    Channels `first` to `last` of `channels` along `axis`; `spread` is the widest of the block in golden, `widest` that
    of the others; `scale` is one step. `levels` is how many values the block has left, at most.
    """

    axis: int
    first: int
    last: int
    channels: int
    spread: float
    widest: float
    scale: float
    levels: int

    @property
    def text(self) -> str:
        """One sentence."""
        left = "one value" if self.levels == 1 else f"{self.levels} values"
        return (
            f"rows {self.first} to {self.last} of {self.channels} have {left} left: they vary by at most "
            f"{self.spread:.3g} in float, one step of the common scale is {self.scale:.3g}, and the other rows "
            f"set it, which vary by up to {self.widest:.4g}"
        )


def erased_group(golden: NDArray[Any], simulated: NDArray[Any], scale: float) -> ErasedGroup | None:
    """The block of channels that is lost, at the start or the end of axis 1 or of the last axis; None if none is.

    `golden` and `simulated` have as many elements, the shape is `golden`'s. One picture without anything to find is not
    enough to say so of scores with a scale of their own; so only a scale no score can live with counts.
    """
    import numpy as np

    if scale <= COARSE_SCALE or golden.size != simulated.size:
        return None
    shape = tuple(size for place, size in enumerate(golden.shape) if size != 1 or place == 0)
    if len(shape) < 2 or not np.isfinite(golden).all() or not np.isfinite(simulated).all():
        return None
    wanted, found = golden.reshape(shape), simulated.reshape(shape)
    for axis in dict.fromkeys((1, len(shape) - 1)):
        if shape[axis] < 2 or wanted.size // shape[axis] < _FEWEST:
            continue
        others = tuple(place for place in range(len(shape)) if place != axis)
        spread = wanted.max(axis=others) - wanted.min(axis=others)
        kept = found.max(axis=others) - found.min(axis=others)
        lost = (kept < _MOST_STEPS * scale) & (spread < _LOST_SPAN * scale) & (spread > 0)
        places = np.flatnonzero(lost)
        if not places.size or places.size == lost.size:
            continue
        block = places[-1] - places[0] + 1 == places.size and (places[0] == 0 or places[-1] == lost.size - 1)
        widest = float(spread[~lost].min())
        if block and widest > _WIDER * float(spread[lost].max()):
            return ErasedGroup(
                axis,
                int(places[0]),
                int(places[-1]),
                int(lost.size),
                float(spread[lost].max()),
                float(spread[~lost].max()),
                scale,
                1 + round(float(kept[lost].max()) / scale),
            )
    return None
