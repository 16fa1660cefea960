"""When two inputs count as equal, and what is wrong with one that is not: rules over whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_CHUNK = 1 << 18
_ROUNDING_CHUNK = 1 << 16
_FLOAT16_LARGEST = 65504.0
_FLOAT16_SMALLEST_NORMAL = 2.0**-14
# One rounding of x - mean and one of the quotient, each half a step of 2^-23, with a margin of four.
_FLOAT32_ROUNDING = 4 * 2.0**-23
_GRID_RUNS = 8
_GRID_RUN = 512
_MAX_CODES = 256


@dataclass(frozen=True)
class InputDifference:
    """How far two arrays are apart in the unit of a rule; `differing` elements are beyond what the rule allows."""

    max_error: float
    differing: int
    n: int
    exact: bool

    @property
    def equal(self) -> bool:
        """Whether the rule holds for every element."""
        return self.differing == 0


Rule = Callable[["Array"], InputDifference]
Transform = Callable[["Array"], "Array"]


def equality(target: Array) -> Rule:
    """Element by element the same number."""
    return lambda values: _fold(values, target, lambda a, b: abs(a - b), 0.0)


def within(target: Array, unit: float, allowed: float) -> Rule:
    """At most `allowed` times `unit` apart."""
    return lambda values: _fold(values, target, lambda a, b: abs(a - b) / unit, allowed)


def float16_steps(target: Array, allowed: float) -> Rule:
    """At most `allowed` steps of float16 at the target's magnitude apart."""
    import numpy as np

    def error(a: Array, b: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            step = np.abs(np.spacing(np.abs(b).astype(np.float16))).astype(np.float64)
        return np.asarray(abs(a - b) / step)

    return lambda values: _fold(values, target, error, allowed)


def rounded_to_float16(values: Array) -> Array:
    """`values` rounded to float16, as float32: what astype to float16 and back gives, in a quarter of its time.

    Not finite or too large for float16, or not float32: converted with astype.
    """
    import numpy as np

    if values.dtype != np.float32:
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    flat = values.reshape(-1)
    rounded = np.empty(values.shape, np.float32)
    for start in range(0, flat.size, _ROUNDING_CHUNK):
        chunk = flat[start : start + _ROUNDING_CHUNK]
        target = rounded.reshape(-1)[start : start + _ROUNDING_CHUNK]
        magnitude = np.abs(chunk)
        if not magnitude.max() < _FLOAT16_LARGEST:
            with np.errstate(over="ignore"):
                target[:] = chunk.astype(np.float16)
            continue
        # To nearest, ties to even: 13 bits of the mantissa go, and the carry may run into the exponent.
        bits = chunk.view(np.uint32)
        odd = bits >> np.uint32(13)
        odd &= np.uint32(1)
        odd += bits
        odd += np.uint32(0xFFF)
        np.bitwise_and(odd, np.uint32(0xFFFFE000), out=target.view(np.uint32))
        # Below the normal range steps are 2^-24 throughout, as are those of float32 between 1/2 and 1.
        small = magnitude < _FLOAT16_SMALLEST_NORMAL
        if small.any():
            target[small] = (chunk[small] + np.float32(0.75)) - np.float32(0.75)
    return rounded


def relative(target: Array, allowed: float) -> Rule:
    """Relative euclidean distance of at most `allowed`; all elements count as differing otherwise."""

    def rule(values: Array) -> InputDifference:
        import numpy as np

        error = reference = 0.0
        for a, b in _chunks(values, target):
            error += float(np.dot(a - b, a - b))
            reference += float(np.dot(b, b))
        distance = (error / reference) ** 0.5 if reference else (0.0 if error == 0 else float("inf"))
        return InputDifference(distance, 0 if distance <= allowed else values.size, values.size, error == 0)

    return rule


def normalized_pixels(target: Array, mean: Sequence[float], std: Sequence[float]) -> Rule:
    """(values - mean) / std per channel (axis 1) equals `target` within float32 rounding (the unit of the error)."""

    def rule(values: Array) -> InputDifference:
        parts = []
        for channel, (a, b) in enumerate(_by_channel(values, target, len(mean))):
            center, width = mean[channel], std[channel]

            def error(x: Array, y: Array, center: float = center, width: float = width) -> Array:
                allowance = _FLOAT32_ROUNDING * (abs(x) + abs(center)) / abs(width) + 1e-30
                return abs((x - center) / width - y) / allowance

            parts.append(_fold(a, b, error, 1.0))
        return _joined(parts)

    return rule


def affine(target: Array) -> Rule:
    """Every channel of the target is one linear function of the values, within float32 rounding (the unit)."""

    def rule(values: Array) -> InputDifference:
        parts = []
        for (a, b), (factor, offset) in zip(_by_channel(values, target, _channels(values)), affine_fit(values, target)):

            def error(x: Array, y: Array, factor: float = factor, offset: float = offset) -> Array:
                allowance = 2 * _FLOAT32_ROUNDING * (abs(factor * x) + abs(offset)) + 1e-30
                return abs(factor * x + offset - y) / allowance

            part = _fold(a, b, error, 1.0)
            # A negative factor would be a negative; a zero one means that the dump does not say anything.
            sound = factor > 0 or (factor == 0 and part.equal and bool((a.reshape(-1) == a.reshape(-1)[0]).all()))
            parts.append(part if sound else InputDifference(part.max_error, part.n, part.n, False))
        return _joined(parts)

    return rule


def affine_fit(values: Array, target: Array) -> tuple[tuple[float, float], ...]:
    """(a, b) per channel such that a * values + b comes closest to the target; a is 0 for a constant channel."""
    import numpy as np

    fits = []
    for a, b in _by_channel(values, target, _channels(values)):
        x, y = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
        x_mean, y_mean = float(x.mean()), float(y.mean())
        x -= x_mean
        spread = float(np.dot(x, x))
        factor = float(np.dot(x, y - y_mean)) / spread if spread else 0.0
        fits.append((factor, y_mean - factor * x_mean))
    return tuple(fits)


def reversals(
    shape: tuple[int, ...], mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> list[tuple[str, Transform]]:
    """The cheap explanations of a 4-D input that differs: each name with the change that would make it right.

    `mean` and `std` are given when the values are normalised: channels then have to be reversed before normalisation.
    """
    if len(shape) != 4:
        return []
    channels, height, width = shape[1:]
    found: list[tuple[str, Transform]] = []

    def reverse(values: Array) -> Array:
        import numpy as np

        if mean is None or std is None:
            return values[:, ::-1]
        center = np.asarray(mean, np.float64).reshape(1, -1, 1, 1)
        spread = np.asarray(std, np.float64).reshape(1, -1, 1, 1)
        return np.asarray(((values * spread + center)[:, ::-1] - center) / spread)

    if channels > 1:
        name = "the channel order is reversed (BGR given for RGB, or RGB for BGR)"
        found.append((name, reverse))
    if channels > 1 and height * width > 1:
        found.append(
            (
                "NCHW data was given as NHWC: the application's buffer must be NHWC",
                lambda values: values.transpose(0, 2, 3, 1).reshape(values.shape),
            )
        )
        found.append(
            (
                "NHWC data was taken as NCHW: it was never transposed",
                lambda values: values.reshape(shape[0], height, width, channels).transpose(0, 3, 1, 2),
            )
        )
    return found


def constant_text(values: Array) -> str:
    """What a constant input most likely means; empty if the values are not constant."""
    flat = values.reshape(-1)
    if flat.size < 2 or not bool((flat == flat[0]).all()):
        return ""
    return (
        f"every element is {flat[0]:g}: no data was set (rknn_inputs_set returns 0 for a buffer of the wrong size or "
        "a wrong fmt and copies nothing), the buffer was empty, or its numbers all became this one (normalised twice)"
    )


def linear_text(values: Array, target: Array, noise: float) -> str:
    """Says so when the values are a linear function of the target, not the identity: normalised twice or not at all.

    `noise` is the half-width of what quantisation may add to each value.
    """
    import numpy as np

    fits = affine_fit(target, values)
    for (x, y), (factor, offset) in zip(_by_channel(target, values, len(fits)), fits):
        allowance = noise + 2e-3 * max(float(np.abs(y).max()), 1e-30)
        if factor <= 0 or not float(np.abs(factor * x.astype(np.float64) + offset - y).max()) <= allowance:
            return ""
    if all(abs(factor - 1) < 0.01 and abs(offset) < 0.01 for factor, offset in fits):
        return ""
    said = ", ".join(f"{factor:.4g} * x {offset:+.4g}" for factor, offset in fits[:4])
    return (
        f"it is a linear function of the expected input x ({said}): normalised twice, not at all, "
        "or with another mean and std"
    )


def grid_step(values: Array) -> float | None:
    """The step of the quantisation grid the values lie on, judged by a sample; None if they lie on none.

    The toolkit stores quantised tensors dequantised, exactly on their scale (evidence toolkit/cnn_classifier/int8). The
    step is too large if no two neighbouring codes occur in the sample.
    """
    import numpy as np

    flat = values.reshape(-1)
    if flat.size < 16 or flat.dtype.kind != "f":
        return None
    # A few runs of neighbours, so that a large mapped file is not read page by page.
    step_over = max(flat.size // _GRID_RUNS, _GRID_RUN)
    runs = [flat[start : start + _GRID_RUN] for start in range(0, flat.size, step_over)]
    sample = np.unique(np.concatenate(runs).astype(np.float64))
    if not 4 <= sample.size <= _MAX_CODES or not bool(np.isfinite(sample).all()):
        return None
    step = float(np.diff(sample).min())
    codes = (sample - sample[0]) / step
    on_grid = bool((np.abs(codes - np.rint(codes)) < 0.02).all()) and codes[-1] < _MAX_CODES
    return step if on_grid else None


def _chunks(values: Array, target: Array, *, skip_equal: bool = False) -> Iterator[tuple[Array, Array]]:
    import numpy as np

    a, b = values.reshape(-1), target.reshape(-1)
    for start in range(0, a.size, _CHUNK):
        chunk, other = a[start : start + _CHUNK], b[start : start + _CHUNK]
        # Identical chunks, the usual case, are not worth a conversion; NaN is never equal and so goes on.
        if skip_equal and bool((chunk == other).all()):
            continue
        yield chunk.astype(np.float64), other.astype(np.float64)


def _fold(values: Array, target: Array, error: Callable[[Array, Array], Array], allowed: float) -> InputDifference:
    import numpy as np

    largest, differing, exact = 0.0, 0, True
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for a, b in _chunks(values, target, skip_equal=True):
            # Equal infinities and NaN on both sides are no error; infinity minus infinity would say NaN.
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            errors = np.where(same, 0.0, error(a, b))
            differing += int(np.count_nonzero(~(errors <= allowed)))
            exact = exact and bool(same.all())
            top = float(errors.max()) if errors.size else 0.0
            largest = top if top != top else (largest if largest != largest else max(largest, top))
    return InputDifference(largest, differing, int(values.size), exact)


def _joined(parts: Sequence[InputDifference]) -> InputDifference:
    errors = [part.max_error for part in parts]
    largest = float("nan") if any(error != error for error in errors) else max(errors, default=0.0)
    return InputDifference(
        largest, sum(part.differing for part in parts), sum(part.n for part in parts), all(part.exact for part in parts)
    )


def _channels(values: Array) -> int:
    return int(values.shape[1]) if values.ndim == 4 else 1


def _by_channel(values: Array, target: Array, channels: int) -> Iterator[tuple[Array, Array]]:
    if channels <= 1:
        yield values, target
        return
    target = target.reshape(values.shape)
    for channel in range(channels):
        yield values[:, channel], target[:, channel]
