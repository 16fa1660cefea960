"""How a buffer's elements can be misread, and the pictures that come of undoing it.

Every layout is one function from (row, column, channel) of the picture in the application's buffer to the position,
in NHWC order, at which the runtime read that element; positions outside [0, n) were not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.problem import HALF, QUANTIZED, UNTOUCHED, Problem, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

Place = Callable[..., Any]


@dataclass(frozen=True)
class Layout:
    """One reading of a buffer. `source`: (H, W, C) of the picture in it; no `steps`: the right one."""

    steps: tuple[Step, ...]
    source: tuple[int, int, int]
    place: Place

    def positions(self) -> NDArray[Any]:
        """The position of every element of the picture, flat in its own order."""
        import numpy as np

        height, width, channels = self.source
        rows = np.arange(height, dtype=np.int32)[:, None, None]
        columns = np.arange(width, dtype=np.int32)[None, :, None]
        where: NDArray[Any] = np.broadcast_to(
            self.place(rows, columns, np.arange(channels, dtype=np.int32)[None, None, :]), self.source
        )
        return where.reshape(-1)


def offset_layout(shape: tuple[int, int, int], offset: int) -> Layout:
    """The buffer read from another element than its first."""
    _, width, channels = shape
    step = Step(
        "layout.offset",
        f"the buffer was read from {abs(offset)} element(s) {'after' if offset > 0 else 'before'} its start",
        {"offset": offset},
    )
    return Layout((step,), shape, lambda h, w, c: (h * width + w) * channels + c - offset)


def layouts(shape: tuple[int, int, int], strides: tuple[int, ...], offsets: tuple[int, ...]) -> Iterator[Layout]:
    """Every layout worth trying. `strides` are row lengths in elements and `offsets` shifts seen in the data."""
    height, width, channels = shape
    yield Layout((), shape, _packed(shape))
    yield from _orders(shape)
    if height != width and min(height, width) > 1:
        yield Layout(
            (Step("layout.hw_transposed", "the picture is stored column by column (W, H, C)"),),
            shape,
            lambda h, w, c: (w * height + h) * channels + c,
        )
        text = f"height and width are swapped: the picture was made {height} wide and {width} high"
        swapped, source = Step("layout.hw_swapped", text), (width, height, channels)
        yield Layout((swapped,), source, _packed(source))
        for item in _orders(source):
            yield Layout((swapped, *item.steps), source, item.place)
    yield from _strided(shape, strides)
    for offset in offsets:
        yield offset_layout(shape, offset)


def _packed(shape: tuple[int, int, int]) -> Place:
    _, width, channels = shape
    return lambda h, w, c: (h * width + w) * channels + c


def _orders(shape: tuple[int, int, int]) -> Iterator[Layout]:
    """The orders of elements, and pixels that are wider than the model's."""
    height, width, channels = shape
    count = height * width * channels
    packed = _packed(shape)

    def as_planes(position: Any) -> Any:
        plane = height * width
        inside = position % plane
        return _keep((inside * channels + position // plane), position, count)

    def of(identifier: str, text: str, place: Place, **numbers: float) -> Layout:
        return Layout((Step(identifier, text, numbers),), shape, place)

    if channels > 1 and height * width > 1:
        yield of(
            "layout.nchw_as_nhwc",
            "the buffer is NCHW (planes) and was given as NHWC",
            lambda h, w, c: (c * height + h) * width + w,
        )
        yield of(
            "layout.nhwc_as_nchw",
            "the buffer is NHWC (interleaved) and was read as NCHW planes",
            lambda h, w, c: as_planes(packed(h, w, c)),
        )
    if channels == 3:
        for offset, what in ((0, "RGBX"), (1, "XRGB")):
            yield of(
                "layout.channel_padding",
                f"the buffer has four bytes per pixel ({what}), the model reads three",
                lambda h, w, c, o=offset: (h * width + w) * 4 + c + o,
                bytes_per_pixel=4,
                offset=offset,
            )
    for block in (16, 8):
        if count <= block or channels == block:
            continue

        def native(h: Any, w: Any, c: Any, block: int = block) -> Any:
            return ((c // block) * height * width + h * width + w) * block + c % block

        yield of("layout.nc1hwc2_as_nhwc", f"the buffer is NC1HWC2 with C2 = {block}, read as NHWC", native, c2=block)
        yield of(
            "layout.nc1hwc2_as_nchw",
            f"the buffer is NC1HWC2 with C2 = {block}, read as NCHW",
            lambda h, w, c, place=native: as_planes(place(h, w, c)),
            c2=block,
        )


def _strided(shape: tuple[int, int, int], strides: tuple[int, ...]) -> Iterator[Layout]:
    height, width, channels = shape
    count, row = height * width * channels, width * channels
    packed = _packed(shape)
    for stride in strides:
        if stride > row:
            text = f"rows are {stride} elements apart in the buffer but were read as {row} apart"
            yield Layout(
                (Step("layout.row_stride", text, {"stride": stride}),),
                shape,
                lambda h, w, c, s=stride: h * s + w * channels + c,
            )
        elif row < 2 * row - stride:
            text = f"the buffer's rows are packed ({row} elements) but were read {2 * row - stride} apart (w_stride)"
            yield Layout(
                (Step("layout.packed_rows", text, {"stride": 2 * row - stride}),),
                shape,
                lambda h, w, c, s=2 * row - stride: _unpadded(packed(h, w, c), s, row, count),
            )


def _keep(positions: Any, original: Any, count: int) -> Any:
    import numpy as np

    return np.where(original < count, positions, -1)


def _unpadded(position: Any, stride: int, row: int, count: int) -> Any:
    import numpy as np

    column = position % stride
    return np.where((column < row) & (position // stride * row < count), position // stride * row + column, -1)


@dataclass(frozen=True)
class BufferReading:
    """Elements as an application may have meant them. `elements` are in the order they lie in memory (NHWC).

    `kind`: "" for numbers as they are, "float32" or "float16" when the bytes read are such numbers. `codes`: the
    bytes are int8 codes, not pixels.
    """

    steps: tuple[Step, ...]
    elements: NDArray[Any]
    kind: str = ""
    codes: bool = False


def readings(observed: NDArray[Any], bytes_read: NDArray[Any] | None, *, codes: bool) -> Iterator[BufferReading]:
    """The numbers as they are, and the bytes behind them as float32 and float16 where that gives sane numbers."""
    import numpy as np

    yield BufferReading((), observed.reshape(-1))
    if bytes_read is None:
        return
    for kind, dtype in (("float32", "<f4"), ("float16", "<f2")):
        size = np.dtype(dtype).itemsize
        # A buffer that starts elsewhere need not start at a number's first byte.
        for phase in range(size):
            usable = bytes_read[phase:]
            usable = np.ascontiguousarray(usable[: usable.size // size * size])
            if not _are_sane(usable[: 4096 * size], dtype) or not _are_sane(usable, dtype):
                continue
            text = f"{kind} numbers were given as bytes" + (f", {phase} bytes into one" if phase else "")
            with np.errstate(over="ignore", invalid="ignore"):
                numbers = usable.view(dtype).astype(np.float32)
            yield BufferReading((Step(f"dtype.{kind}_as_uint8", text),), numbers, kind, codes)


def _are_sane(data: NDArray[Any], dtype: str) -> bool:
    """Whether bytes hold such numbers as pictures do."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        numbers = data.view(dtype).astype(np.float32)
    magnitude = np.abs(numbers)
    sane = np.isfinite(numbers) & (magnitude < 70000) & ((magnitude > 1e-5) | (numbers == 0))
    return bool(sane.size and sane.mean() > 0.995 and np.ptp(numbers[sane]) > 1e-3 and (numbers != 0).mean() > 0.05)


def row_strides(flat: NDArray[Any], row: int) -> tuple[int, ...]:
    """Row lengths in elements at which the data repeats best, other than the expected one: peaks of autocorrelation."""
    import numpy as np
    from scipy import fft

    if flat.size < 4 * row:
        return ()
    part = flat[: min(flat.size, 1 << 18, max(4 * row, flat.size))].astype(np.float32)
    part = np.diff(np.clip(np.nan_to_num(part, posinf=0.0, neginf=0.0), -1e6, 1e6))
    limit = float(np.percentile(np.abs(part), 98)) or 1.0
    part = np.clip(part, -limit, limit)
    size = fft.next_fast_len(part.size + 2 * row, real=True)
    spectrum = fft.rfft(part, size)
    correlation = fft.irfft(spectrum * spectrum.conj(), size)[: 2 * row]
    lags = np.arange(2 * row)
    window = np.where((lags > row // 2) & (np.abs(lags - row) > 0), correlation, 0.0)
    # scipy.signal.find_peaks would do, at the price of importing scipy.signal (0.5 s).
    peaks = np.flatnonzero((window[1:-1] > window[:-2]) & (window[1:-1] >= window[2:])) + 1
    best = peaks[np.argsort(window[peaks])[::-1][:4]]
    strong = [int(lag) for lag in best if correlation[lag] > 0.5 * correlation[row] and correlation[lag] > 0]
    return tuple(strong)


def flat_offsets(flat: NDArray[Any], wanted: NDArray[Any]) -> tuple[int, ...]:
    """How many elements the observed data are ahead of the wanted ones, by phase correlation of the two streams."""
    import numpy as np
    from scipy import fft

    count = min(flat.size, 1 << 18)
    # Floats read at the wrong byte can be huge.
    first = np.diff(np.clip(np.nan_to_num(flat[:count]).astype(np.float32), -1e6, 1e6))
    second = np.diff(wanted[:count].astype(np.float32))
    if not first.any() or not second.any():
        return ()
    size = fft.next_fast_len(2 * count, real=True)
    cross = fft.rfft(second, size) * fft.rfft(first, size).conj()
    correlation = fft.irfft(cross / (np.abs(cross) + 1e-3 * float(np.abs(cross).max()) + 1e-12), size)
    best = np.argsort(correlation)[::-1][:3]
    shifts = {int(lag) if lag < size // 2 else int(lag) - size for lag in best}
    return tuple(sorted((shift for shift in shifts if shift and abs(shift) < count // 2), key=abs))


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
