"""What the runtime makes of numbers an application gives: the last step between an application and its dump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.records import ExpectedInput, ObservedInput
from rkparity.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    application gave.
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

    from rkparity.diagnose.inputs.base_pixels import find_normalization

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
