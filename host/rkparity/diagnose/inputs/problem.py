"""The problem of an input's cause: what the search is given and answers, and what the runtime makes of numbers.

`prepare_problem` brings the observed and the expected input to one order and to pixels; where the model does not hold
the mean and std that were used, they are found from the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.findings.finding import Finding


@dataclass(frozen=True)
class ObservedInput:
    """What the runtime held: an InputOperator dump, or an application's buffer decoded as it was declared.

    `values`: (1, C, H, W) or (C, H, W) for pictures, any shape otherwise; uint8 for pixels before mean and std, floats
    for values after them (dequantised), int8 for codes. `scale` and `zero_point` are the input tensor's when the model
    is quantised; `float16` says that the model holds it in float16 (RKNN manual 7.2.2; evidence 160_gen_u8_nhwc_pt0).
    `before_normalization`: floats an application gave, not yet normalised by the runtime. `given_range`: the smallest
    and the largest number the application gave, in its own type, by the trace of its calls; None when not known.
    """

    values: NDArray[Any]
    scale: float | None = None
    zero_point: int = 0
    float16: bool = False
    before_normalization: bool = False
    given_range: tuple[float, float] | None = None
    name: str = ""
    file: str | None = None


@dataclass(frozen=True)
class ExpectedInput:
    """What the simulator was given: `raw` uint8 NHWC pixels, `normalized` float NCHW, or both.

    `mean` and `std` are what the compiled model does itself, (x - mean) / std, one value per channel or one for all;
    empty when it does nothing. `earlier` are raw inputs of earlier runs, to recognise a stale one.
    """

    raw: NDArray[Any] | None = None
    normalized: NDArray[Any] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    earlier: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing that was done wrong. `id` is stable ("channels.bgr"), `text` says it, `numbers` are its parameters."""

    id: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class InputHypothesis:
    """A chain of steps that turns the expected input into `predicted`.

    `residual` is the root mean square of observed - predicted in `unit`s of what one pixel value (or one code of the
    input's scale, if coarser) makes; `matched` the share of elements within the tolerance; `explained` the share of the
    difference from the expected input that it removes; `cost` ranks (lower is better): it grows with the residual
    and with every step; `relative`: what is left against the variation of the observed numbers.
    """

    steps: tuple[Step, ...]
    residual: float
    matched: float
    explained: float
    cost: float
    confidence: float = 0.0
    remaining: str = ""
    relative: float = 0.0

    @property
    def ids(self) -> tuple[str, ...]:
        """The steps' names, sorted."""
        return tuple(sorted(step.id for step in self.steps))

    @property
    def text(self) -> str:
        """The chain as one sentence part."""
        return "; then ".join(step.text for step in self.steps) or "nothing: it is the expected input"


@dataclass(frozen=True)
class InputExplanation:
    """The answer. `hypotheses` are ranked; empty when the input is the expected one or nothing comes near.

    `healthy`: the observed input is the expected one. `unexplained`: no hypothesis explains it well enough to be
    believed. `tied` are hypotheses that predict the same as the first. `residual` and `remaining` are the first one's.
    """

    hypotheses: tuple[InputHypothesis, ...]
    healthy: bool
    unexplained: bool
    residual: float
    unit: str
    remaining: str
    tied: tuple[InputHypothesis, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


UNTOUCHED, QUANTIZED, HALF = "untouched", "quantised", "float16"


@dataclass(frozen=True)
class Runtime:
    """The conversions of one model input (evidence 160_gen_*: see docs/diagnose-inputs.md).

    `mean`, `std`: one value per channel. `kind`: UNTOUCHED keeps numbers as given (uint8 dumps, buffers), QUANTIZED is
    int8 on `scale` and `zero_point`, HALF is float16. All results are in pixel units: v * std + mean.
    """

    kind: str
    mean: NDArray[Any]
    std: NDArray[Any]
    scale: float
    zero_point: int
    pixels: bool

    def quantum(self) -> float:
        """The smallest step of an observed number, in pixel units; 0 for float16."""
        import numpy as np

        if self.kind == QUANTIZED:
            return float(self.scale * np.max(self.std))
        return 1.0 if self.pixels else 0.0

    def given(self, numbers: NDArray[Any], channels: NDArray[Any] | slice) -> NDArray[Any]:
        """What numbers given as float32 (or as uint8) become; `channels` says which channel each last-axis entry is."""
        import numpy as np

        if self.kind == UNTOUCHED:
            return numbers
        mean, std = self.mean[channels], self.std[channels]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.kind == HALF:
                return np.asarray(((numbers - mean) / std).astype(np.float16).astype(np.float32) * std + mean)
            # Fixed-point factor and offset of the runtime (evidence 160_c25_multi_input_int8).
            fraction, exponent = np.frexp(1.0 / (std * self.scale))
            factor = np.ldexp(np.rint(fraction * 2**15) / 2**15, exponent)
            offset = np.rint(self.zero_point - mean / (std * self.scale))
            codes = np.clip(np.rint(np.nan_to_num(numbers) * factor + offset), -128, 127)
        return self.dequantized(codes, channels)

    def dequantized(self, codes: NDArray[Any], channels: NDArray[Any] | slice) -> NDArray[Any]:
        """int8 codes as pixel units."""
        scaled: NDArray[Any] = (codes - self.zero_point) * (self.scale * self.std[channels]) + self.mean[channels]
        return scaled

    def codes(self, numbers: NDArray[Any], channels: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
        """The int8 codes behind dequantised numbers in pixel units, channels last."""
        import numpy as np

        codes = np.rint((numbers - self.mean[channels]) / (self.std[channels] * self.scale)) + self.zero_point
        return np.asarray(np.clip(codes, -128, 127))


@dataclass(frozen=True)
class Problem:
    """The two sides in one space: pictures (H, W, C) in pixel units.

    `base` holds whole numbers 0..255 where `whole`; `wanted_mean` and `wanted_std` lead from it to the expected
    normalised input. `shape` is (H, W, C). What is no picture is (1, N, 1). `given_range`: the ends of the numbers the
    application gave. `dims`: the tensor's own shape, (N, C, H, W) for pictures.
    """

    runtime: Runtime
    observed: NDArray[Any]
    base: NDArray[Any]
    whole: bool
    wanted_mean: NDArray[Any]
    wanted_std: NDArray[Any]
    is_picture: bool
    earlier: tuple[NDArray[Any], ...]
    given_range: tuple[float, float] | None = None
    dims: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.base.shape
        return height, width, channels

    def right_numbers(self, base: NDArray[Any], channels: NDArray[Any] | slice) -> NDArray[Any]:
        """What a right application gives the runtime for these pixels."""
        runtime = self.runtime
        if (self.wanted_mean == runtime.mean).all() and (self.wanted_std == runtime.std).all():
            return base
        wanted: NDArray[Any] = (base - self.wanted_mean[channels]) / self.wanted_std[channels]
        if runtime.kind == UNTOUCHED:
            return wanted
        right: NDArray[Any] = wanted * runtime.std[channels] + runtime.mean[channels]
        return right


def prepare_problem(observed: ObservedInput, expected: ExpectedInput, picture: NDArray[Any] | None) -> Problem:
    """Brings both sides into one space; DataError when they do not belong together."""
    import numpy as np

    values = _planar(observed.values)
    channels = values.shape[0]
    mean, std = _per_channel(expected, channels)
    identity = bool((mean == 0).all() and (std == 1).all())
    pixels = values.dtype == np.uint8
    if pixels or observed.before_normalization:
        kind = UNTOUCHED
    elif observed.scale is not None or values.dtype == np.int8:
        kind = QUANTIZED
    else:
        kind = HALF if observed.float16 else UNTOUCHED
    runtime = Runtime(kind, mean, std, observed.scale or 1.0, observed.zero_point, pixels)
    seen = np.ascontiguousarray(values.transpose(1, 2, 0))
    if values.dtype == np.int8:
        seen = runtime.dequantized(seen.astype(np.float32), slice(None)).astype(np.float32)
    elif not pixels and not observed.before_normalization:
        seen = (seen.astype(np.float32) * std + mean).astype(np.float32)
    elif not pixels:
        seen = seen.astype(np.float32)
    raw = None if expected.raw is None else _interleaved(expected.raw)
    if expected.raw is not None and expected.raw.ndim == 3 and expected.raw.shape == observed.values.shape:
        # A tensor of rank 3 and no picture: it has no layout of its own.
        raw = _planar(expected.raw).transpose(1, 2, 0)
    normalized = None if expected.normalized is None else _planar(expected.normalized).transpose(1, 2, 0)
    if raw is None and normalized is None:
        raise DataError("the reference holds no such input", hint="simulate again with this version, which keeps it")
    wanted_mean, wanted_std = mean, std
    if raw is not None and raw.dtype == np.uint8:
        base, whole = raw, True
        if normalized is not None and normalized.shape == raw.shape and identity:
            wanted_mean, wanted_std = find_normalization(normalized, raw) or (mean, std)
    else:
        given = normalized if normalized is not None else (np.asarray(raw, np.float32) - mean) / std
        found = None if not identity else find_normalization(np.asarray(given), None)
        if found is not None:
            wanted_mean, wanted_std = found
        numbers = np.asarray(given, np.float32) * wanted_std + wanted_mean
        rounded = np.clip(np.rint(numbers), 0, 255)
        whole = bool(np.abs(numbers - rounded).max() < 0.05)
        base = rounded.astype(np.uint8) if whole else numbers.astype(np.float32)
    if base.size != seen.size:
        raise DataError(f"the dump holds {seen.size} elements, the reference's input {base.size}")
    is_picture = values.shape[1] > 1 and values.shape[2] > 1 and base.shape == seen.shape
    if not is_picture:
        base = base.reshape(seen.shape)
    earlier = tuple(item.reshape(base.shape) for item in map(_interleaved, expected.earlier) if item.size == base.size)
    return Problem(
        runtime,
        seen,
        np.ascontiguousarray(base),
        whole,
        wanted_mean,
        wanted_std,
        is_picture,
        earlier,
        observed.given_range,
        tuple(observed.values.shape),
    )


def _planar(array: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if array.ndim == 4 and array.shape[0] == 1:
        return np.asarray(array[0])
    if array.ndim == 4:
        # A batch is one tall picture: what goes wrong is the same for each of its pictures.
        batch, channels, height, width = array.shape
        return np.asarray(array.transpose(1, 0, 2, 3).reshape(channels, batch * height, width))
    return array if array.ndim == 3 else array.reshape(1, 1, -1)


def _interleaved(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 4:
        return array.reshape(-1, array.shape[2], array.shape[3])
    return array if array.ndim == 3 else array.reshape(1, -1, 1)


def _per_channel(expected: ExpectedInput, channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    mean, std = np.asarray(expected.mean or (0.0,), np.float64), np.asarray(expected.std or (1.0,), np.float64)
    if mean.size not in (1, channels) or std.size not in (1, channels) or not std.all():
        mean, std = np.zeros(1), np.ones(1)
    return (np.resize(mean, channels), np.resize(std, channels))


# Mean and std in common use, in pixel values: 0..1, -1..1 in three spellings, ImageNet, Caffe's means.
KNOWN = (
    ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    ((128.0, 128.0, 128.0), (128.0, 128.0, 128.0)),
    ((127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    ((123.68, 116.78, 103.94), (58.393, 57.12, 57.375)),
    ((103.94, 116.78, 123.68), (1.0, 1.0, 1.0)),
    ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    ((123.0, 117.0, 104.0), (1.0, 1.0, 1.0)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
)


def find_normalization(
    normalized: NDArray[Any], pixels: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Mean and std, one value per channel, such that normalized * std + mean are whole numbers 0..255; None if none.

    `normalized` and `pixels` are (H, W, C). With pixels they are fitted, without they are looked for among common ones.
    """
    import numpy as np

    channels = normalized.shape[2]
    flat = normalized.reshape(-1, channels)[:: max(1, normalized.size // (channels * 4096))].astype(np.float64)
    if pixels is not None:
        picked = pixels.reshape(-1, channels)[:: max(1, normalized.size // (channels * 4096))].astype(np.float64)
        mean, std = np.zeros(channels), np.ones(channels)
        for channel in range(channels):
            x, y = flat[:, channel], picked[:, channel]
            if np.ptp(x) == 0:
                return None
            std[channel], mean[channel] = np.polyfit(x, y, 1)
            if np.abs(x * std[channel] + mean[channel] - y).max() > 0.05:
                return None
        for known_mean, known_std in KNOWN:
            if channels == 3 and np.allclose(mean, known_mean, atol=0.02) and np.allclose(std, known_std, rtol=1e-3):
                return np.asarray(known_mean), np.asarray(known_std)
        return mean, std
    for known_mean, known_std in KNOWN:
        if channels != 3 and len(set(known_mean)) > 1:
            continue
        mean, std = np.resize(known_mean, channels), np.resize(known_std, channels)
        numbers = flat * std + mean
        whole = np.abs(numbers - np.rint(numbers)).max() < 0.02
        if whole and numbers.min() > -0.5 and numbers.max() < 255.5 and np.ptp(numbers) > 16:
            return np.asarray(mean, np.float64), np.asarray(std, np.float64)
    return None
