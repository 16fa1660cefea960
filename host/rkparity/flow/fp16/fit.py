"""Which preprocessing turns the project's sample into what the original was fed: views of the sample, mean and std."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.flow.fp16.reference_outputs import in_graph_layout, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.toolkit.built_model import GraphInput
    from rkparity.toolkit.inputs import PreparedInput

FIT_LIMIT = 1e-3
"""The largest |difference| / |reference| of a fit that explains an input: float32 rounding stays far below."""
Numbers = tuple[float, ...]

# Normalisations in wide use, for pixels of 0 to 255; the third and fourth are ImageNet's.
USUAL: tuple[tuple[Numbers, Numbers], ...] = (
    ((0.0,), (255.0,)),
    ((127.5,), (127.5,)),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    ((0.0,), (1.0,)),
    ((127.5,), (128.0,)),
    ((128.0,), (128.0,)),
    ((103.94, 116.78, 123.68), (58.82,)),
    ((123.68, 116.78, 103.94), (58.82,)),
    ((104.0, 117.0, 123.0), (1.0,)),
)


@dataclass(frozen=True)
class InputView:
    """One way to read the sample: `array` in the graph's layout, channels reversed or the other layout assumed."""

    array: NDArray[Any]
    other_layout: bool
    reversed_channels: bool


@dataclass(frozen=True)
class Explanation:
    """The sample read as `view`, normalised with `mean` and `std` (one number per channel), explains the original.

    `residual` is |difference| / |reference| of what was compared: the input, or the outputs.
    """

    view: InputView
    mean: Numbers
    std: Numbers
    residual: float
    compared: str

    @property
    def array(self) -> NDArray[Any]:
        """What the graph's input must hold."""
        return normalise(self.view.array, self.mean, self.std)


def views(item: PreparedInput) -> Iterator[InputView]:
    """The sample as it is configured, then with channels reversed, then each in the other layout if the shape fits."""
    arrays = [(False, in_graph_layout(item))]
    if item.raw.ndim == 4:
        other = item.raw if item.layout == "NHWC" else item.raw.transpose(0, 3, 1, 2)
        if other.shape == arrays[0][1].shape:
            arrays.append((True, other))
    for other_layout, array in arrays:
        yield InputView(array, other_layout, False)
        if array.ndim == 4 and array.shape[1] == 3:
            yield InputView(array[:, ::-1], other_layout, True)


def fit_input(item: PreparedInput, wanted: NDArray[Any]) -> Explanation | None:
    """The view, mean and std that turn the sample into `wanted`, by least squares per channel; None when none fits."""
    for view in views(item):
        found = _fit(view, wanted)
        if found is not None:
            return found
    return None


def search(
    item: PreparedInput,
    graph: GraphInput,
    outputs_error: Callable[[NDArray[Any]], float],
    *,
    limit: float,
    more: Sequence[tuple[Numbers, Numbers]] = (),
) -> Explanation | None:
    """The first view and normalisation with which the outputs come right: `outputs_error` of a graph input <= `limit`.

    The settings at work and their likely mistakes are tried before the usual ones; the best of those that fit wins.
    """
    best: Explanation | None = None
    for mean, std in [*_likely(graph.mean, graph.std), *more, *USUAL]:
        for view in views(item):
            channels = view.array.shape[1] if view.array.ndim > 1 else 1
            if any(len(values) not in (0, 1, channels) for values in (mean, std)):
                continue
            error = outputs_error(normalise(view.array, mean, std))
            if error <= limit and (best is None or error < best.residual / 2):
                best = Explanation(view, spread(mean, channels, 0.0), spread(std, channels, 1.0), error, "outputs")
    return best


def spread(values: Numbers, channels: int, neutral: float) -> Numbers:
    """One number for each channel."""
    return (values or (neutral,)) * channels if len(values) <= 1 else values


def _fit(view: InputView, wanted: NDArray[Any]) -> Explanation | None:
    import numpy as np

    array = view.array
    if array.shape != wanted.shape or array.ndim < 2 or wanted.dtype.kind != "f":
        return None
    count = array.shape[1]
    given = np.moveaxis(array, 1, 0).reshape(count, -1).astype(np.float64)
    goal = np.moveaxis(wanted, 1, 0).reshape(count, -1).astype(np.float64)
    centred = given - given.mean(axis=1, keepdims=True)
    spread_of = np.sum(centred * centred, axis=1)
    if not np.all(spread_of > 0):
        return None
    slope = np.sum(centred * (goal - goal.mean(axis=1, keepdims=True)), axis=1) / spread_of
    offset = goal.mean(axis=1) - slope * given.mean(axis=1)
    norm = float(np.linalg.norm(goal))
    if norm == 0 or not np.all(slope > 0):
        return None
    residual = float(np.linalg.norm(given * slope[:, None] + offset[:, None] - goal)) / norm
    if residual > FIT_LIMIT:
        return None
    mean, std = -offset / slope, 1 / slope
    return Explanation(view, tuple(map(_neat, mean)), tuple(map(_neat, std)), residual, "input")


def _neat(value: float) -> float:
    """A fitted number without the noise of the fit: 127.4999996 is 127.5."""
    rounded = float(f"{value:.6g}")
    short = float(f"{value:.4g}")
    value = short if abs(short - value) <= 2e-6 * max(abs(value), 1.0) else rounded
    return 0.0 if abs(value) < 1e-5 else value


def _likely(mean: Numbers, std: Numbers) -> list[tuple[Numbers, Numbers]]:
    """The settings at work, then what they become without each usual mistake."""
    return [
        (mean, std),
        ((), ()),
        (mean[::-1], std[::-1]),
        (std, mean) if mean and all(mean) else ((), ()),
        (tuple(255 * value for value in mean), tuple(255 * value for value in std)),
        (tuple(value / 255 for value in mean), tuple(value / 255 for value in std)),
        (mean, tuple(1 / value for value in std)),
        (mean, ()),
        ((), std),
    ]
