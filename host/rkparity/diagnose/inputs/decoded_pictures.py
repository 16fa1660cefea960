"""The observed elements put back into pictures, one for every way the buffer may have been misread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import BufferReading, Layout, flat_offsets, layouts, readings, row_strides
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.runtime import HALF, QUANTIZED, UNTOUCHED, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VIEWS = 10
# A wrong reading of a picture has far less alike neighbours than the right one.
_FAR_LESS_ALIKE = 0.35


@dataclass(frozen=True)
class DecodedPicture:
    """One reading in one layout. Elements from `limit` on are not looked at; `steps` says what was done wrong."""

    reading: BufferReading
    layout: Layout
    limit: int
    partial: tuple[Step, ...] = ()
    likeness: float = 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*self.reading.steps, *self.layout.steps, *self.partial)

    def at(self, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n, C) float32 values of the picture at positions, and which are visible."""
        import numpy as np

        channels = np.arange(self.layout.source[2])
        where = np.broadcast_to(
            self.layout.place(rows[:, None], columns[:, None], channels[None, :]), (rows.size, channels.size)
        )
        seen = (where >= 0) & (where < min(self.limit, self.reading.elements.size))
        values = self.reading.elements[np.where(seen, where, 0)].astype(np.float32)
        return np.where(seen & np.isfinite(values), values, 0), seen

    def landing(self, rows: NDArray[Any], columns: NDArray[Any], problem: Problem) -> NDArray[Any] | slice:
        """Which channel each of the values of `at` was read as; a slice where that is the picture's own channel."""
        import numpy as np

        runtime, channels = problem.runtime, self.layout.source[2]
        same = bool((runtime.mean == runtime.mean[0]).all() and (runtime.std == runtime.std[0]).all())
        if same or runtime.kind == UNTOUCHED or not self.layout.steps:
            return slice(None)
        where = self.layout.place(rows[:, None], columns[:, None], np.arange(channels)[None, :])
        return np.asarray(np.broadcast_to(where, (rows.size, channels)) % channels)

    def plane(self, channel: int) -> NDArray[Any]:
        """One channel of the whole picture, (H, W) float32; what is not visible holds the mean."""
        import numpy as np

        height, width, _ = self.layout.source
        where = self.layout.place(np.arange(height)[:, None], np.arange(width)[None, :], channel)
        seen = (where >= 0) & (where < min(self.limit, self.reading.elements.size))
        values = self.reading.elements[np.where(seen, where, 0)].astype(np.float32)
        values = np.nan_to_num(values)
        if not seen.all():
            values = np.where(seen, values, values[seen].mean() if seen.any() else 0)
        return values


def bytes_behind(problem: Problem) -> tuple[NDArray[Any] | None, bool]:
    """The bytes the application gave, flat in the order given, and whether they are int8 codes; None if not known."""
    import numpy as np

    runtime = problem.runtime
    if runtime.pixels:
        return problem.observed.reshape(-1), False
    if runtime.kind == QUANTIZED:
        return runtime.codes(problem.observed).astype(np.int8).view(np.uint8).reshape(-1), True
    if runtime.kind == HALF:
        numbers = problem.observed.reshape(-1)
        whole = np.clip(np.rint(np.nan_to_num(numbers)), 0, 255)
        if np.abs(whole - numbers).max() < 0.3:
            return whole.astype(np.uint8), False
    return None, False


def decoded_pictures(problem: Problem) -> list[DecodedPicture]:
    """The most picture-like views, the best first; the plain one is always among them."""
    import numpy as np

    found: list[DecodedPicture] = []
    behind, codes = bytes_behind(problem)
    _, width, channels = problem.shape
    wanted = problem.base.reshape(-1)
    for reading in readings(problem.observed, behind, codes=codes):
        tail = _constant_tail(reading.elements)
        strides = row_strides(reading.elements, width * channels) if problem.is_picture else ()
        offsets = flat_offsets(reading.elements, wanted) if problem.is_picture else ()
        for layout in layouts(problem.shape, strides, offsets):
            entire = DecodedPicture(reading, layout, reading.elements.size)
            found.append(replace(entire, likeness=_likeness(entire)))
            if tail is not None:
                step = Step(
                    "stale.partly_filled",
                    f"only the first {tail} of {reading.elements.size} elements were filled",
                    {"filled": tail, "elements": reading.elements.size},
                )
                cut = DecodedPicture(reading, layout, tail, (step,))
                found.append(replace(cut, likeness=_likeness(cut) - 0.02))
    plain = [view for view in found if not view.layout.steps]
    ranked = sorted((view for view in found if view.layout.steps), key=lambda view: -view.likeness)
    ranked = [view for view in ranked[:MOST_VIEWS] if np.isfinite(view.likeness)]
    least = max((view.likeness for view in found if np.isfinite(view.likeness)), default=0.0) - _FAR_LESS_ALIKE
    return [*plain, *(view for view in ranked if view.likeness >= least)]


def _constant_tail(elements: NDArray[Any]) -> int | None:
    """How many elements come before the last run of one value, if that run is long; None otherwise."""
    import numpy as np

    different = np.flatnonzero(elements != elements[-1])
    if different.size == 0:
        return None
    filled = int(different[-1]) + 1
    return filled if elements.size - filled > max(24, elements.size // 50) and filled > elements.size // 50 else None


def _likeness(view: DecodedPicture) -> float:
    """How much neighbours are alike, -1 to 1: the smaller of the correlations along rows and along columns."""
    import numpy as np

    height, width, channels = view.layout.source
    if height < 2 or width < 2:
        return 1.0
    generator = np.random.default_rng(1)
    count = 1500
    rows, columns = generator.integers(0, height - 1, count), generator.integers(0, width - 1, count)
    here, seen = view.at(rows, columns)
    results = []
    for down, right in ((0, 1), (1, 0)):
        there, also = view.at(rows + down, columns + right)
        both = seen & also
        per_channel = []
        for channel in range(min(channels, 4)):
            used = both[:, channel]
            if used.sum() < 40:
                continue
            first, second = here[used, channel], there[used, channel]
            limits = np.percentile(first, [2, 98])
            first, second = np.clip(first, *limits), np.clip(second, *limits)
            if limits[1] - limits[0] <= 0:
                continue
            first, second = first - first.mean(), second - second.mean()
            scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
            per_channel.append(float((first * second).sum()) / scale if scale > 0 else 0.0)
        if not per_channel:
            return -1.0
        results.append(float(np.mean(per_channel)))
    return min(results)
