"""Tensors that are no pictures of up to four channels: axes in another order, and channels of stacked pictures.

The axes of a tensor of rank 2, 3, 5 or 6 are tried in every order; of six, twelve or more channels the order is read
off the values, as there are too many to try.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.chains import Fit
from rkparity.diagnose.inputs.problem import Problem, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLES = 1 << 16
_PIXELS = 4096
_MOST_AXES, _MOST_CHANNELS = 5, 256
_BELIEVED = 0.97


def rearranged(problem: Problem, unit: float) -> list[tuple[tuple[Step, ...], Fit]]:
    """The expected elements in other orders that the observed ones are, with what each leaves in `unit`s."""
    import numpy as np

    expected = np.asarray(
        problem.runtime.given(problem.right_numbers(np.asarray(problem.base, np.float32), slice(None)), slice(None)),
        np.float32,
    )
    observed = np.asarray(problem.observed, np.float32)
    if len(problem.dims) == 4:
        return list(_channel_orders(observed, expected, unit)) if 4 < problem.shape[2] <= _MOST_CHANNELS else []
    return list(_axis_orders(_plain(observed), _plain(expected), problem.dims, unit))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) back in the tensor's own order, flat."""
    flat: NDArray[Any] = array.transpose(2, 0, 1).reshape(-1)
    return flat


def _axis_orders(
    observed: NDArray[Any], expected: NDArray[Any], dims: Sequence[int], unit: float
) -> Iterator[tuple[tuple[Step, ...], Fit]]:
    import numpy as np

    axes = [axis for axis, size in enumerate(dims) if size > 1]
    if not 2 <= len(axes) <= _MOST_AXES or observed.size != math.prod(dims):
        return
    places = np.unique(np.linspace(0, observed.size - 1, _SAMPLES).astype(np.int64))
    strides = [math.prod(dims[axis + 1 :]) for axis in range(len(dims))]
    for order in itertools.permutations(axes):
        if list(order) == axes:
            continue
        where = np.unravel_index(places, [dims[axis] for axis in order])
        source = sum(index * strides[axis] for index, axis in zip(where, order))
        fit = _fit(observed[places], expected[source], unit)
        if fit.matched < _BELIEVED:
            continue
        # Axes of one element stay where they are.
        full = list(range(len(dims)))
        for place, axis in zip(axes, order):
            full[place] = axis
        shape = "x".join(str(dims[axis]) for axis in full)
        text = (
            f"the axes are in another order: the buffer is transpose({', '.join(map(str, full))}) of the tensor, "
            f"{shape} where {'x'.join(map(str, dims))} is expected"
        )
        yield (Step("layout.axes", text, {f"axis_{place}": axis for place, axis in enumerate(full)}),), fit


def _channel_orders(
    observed: NDArray[Any], expected: NDArray[Any], unit: float
) -> Iterator[tuple[tuple[Step, ...], Fit]]:
    import numpy as np

    channels = observed.shape[2]
    seen, wanted = observed.reshape(-1, channels), expected.reshape(-1, channels)
    picked = np.unique(np.linspace(0, len(seen) - 1, _PIXELS).astype(np.int64))
    ours, theirs = seen[picked], wanted[picked]
    order: list[int] = []
    for channel in range(channels):
        away = np.abs(ours[:, channel, None] - theirs).mean(axis=0)
        # Of equal channels the one in its own place, then the first that is free.
        away[order] += 1e-3 * unit
        away[channel] -= 1e-3 * unit
        order.append(int(away.argmin()))
    if order == list(range(channels)) or len(set(order)) != channels:
        return
    fit = _fit(seen, wanted[:, order], unit)
    if fit.matched >= _BELIEVED:
        yield (_named(order),), fit


def _named(order: list[int]) -> Step:
    channels = len(order)
    numbers = {f"channel_{place}": channel for place, channel in enumerate(order)}
    triples = [place // 3 * 3 + 2 - place % 3 for place in range(channels)]
    if channels % 3 == 0 and order == triples:
        text = f"in each of the {channels // 3} pictures that are stacked the first and third channel are exchanged"
        return Step("channels.swapped", text, numbers)
    listed = ", ".join(map(str, order[:16])) + (", ..." if channels > 16 else "")
    return Step("channels.order", f"the channels come as {listed} where 0 to {channels - 1} are expected", numbers)


def _fit(observed: NDArray[Any], predicted: NDArray[Any], unit: float) -> Fit:
    import numpy as np

    away = np.abs(observed.astype(np.float64) - predicted)
    left = float(np.sqrt((away**2).mean()))
    spread = float(np.std(observed))
    matched = float((away <= 1.01 * unit).mean())
    return Fit(left / unit, matched, left / spread if spread > 0 else 0.0, unit)
