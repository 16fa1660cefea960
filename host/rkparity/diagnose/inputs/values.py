"""Named things that happen to numbers between the picture and the runtime: normalisation, scaling, casts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.problem import HALF, KNOWN, QUANTIZED, Problem, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers = Callable[..., Any]
# A larger share at one end of the values than pictures have there.
_CUT = 0.004


@dataclass(frozen=True)
class PixelMap:
    """What is given for a pixel. `numbers` maps pixels (..., C), channels last, to numbers given to the runtime;

    `codes`: they are int8 codes, taken as already quantised. `weight` is how many steps it counts for in ranking.
    """

    steps: tuple[Step, ...]
    numbers: Numbers
    codes: bool = False
    weight: float = 0.0

    def observed(
        self, pixels: NDArray[Any], problem: Problem, channels: NDArray[Any] | slice = slice(None)
    ) -> NDArray[Any]:
        """What the runtime then holds, in pixel units. `channels`: which channel it takes each number for."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            numbers = self.numbers(pixels)
            if self.codes:
                return problem.runtime.dequantized(numbers, channels)
            return problem.runtime.given(numbers, channels)


def value_maps(problem: Problem) -> Iterator[PixelMap]:
    """Every named map for this model; the first is the right one."""
    import numpy as np

    yield PixelMap((), lambda x: problem.right_numbers(x, slice(None)))
    kind = problem.runtime.kind
    raw_bytes = problem.runtime.pixels or (kind in (QUANTIZED, HALF))
    floats = list(_normalizations(problem))
    if not problem.runtime.pixels:
        for step, numbers in floats:
            yield PixelMap((step,), numbers, weight=1.0)
    direct = is_direct(problem)
    if raw_bytes:
        for step, numbers in _byte_maps():
            # For models that get floats the bytes are not what is given; only float maps apply.
            if direct:
                yield PixelMap((step,), numbers, weight=1.0)
        for step, numbers in floats:
            if problem.runtime.pixels and not direct:
                break
            for text, cast in _casts():
                yield PixelMap((step, Step("dtype.truncated", text)), lambda x, f=numbers, c=cast: c(f(x)), weight=1.4)
    if kind == QUANTIZED:
        yield from _code_maps(problem, floats, direct)
    if not direct and kind == QUANTIZED:
        yield PixelMap(
            (Step("dtype.saturated", "numbers above 127 were cut to 127"),), lambda x: np.minimum(x, 127), weight=1.5
        )


def float_maps(problem: Problem) -> Iterator[PixelMap]:
    """What numbers an application may hold as floats whose bytes were then misread; any of them may be meant."""
    yield PixelMap((), lambda x: problem.right_numbers(x, slice(None)))
    for step, numbers in _normalizations(problem):
        yield PixelMap((step,), numbers, weight=0.5)


def is_direct(problem: Problem) -> bool:
    """Whether a right application gives plain pixels: the model normalises, or nobody does."""
    runtime = problem.runtime
    return bool((problem.wanted_mean == runtime.mean).all() and (problem.wanted_std == runtime.std).all())


def _normalizations(problem: Problem) -> Iterator[tuple[Step, Numbers]]:
    mean, std = problem.wanted_mean, problem.wanted_std
    reverse_mean, reverse_std = mean[::-1], std[::-1]
    trivial = bool((mean == 0).all() and (std == 1).all())
    symmetric = bool((mean == reverse_mean).all() and (std == reverse_std).all())
    seen: list[tuple[Any, Any]] = [] if trivial else [(mean, std)]
    direct = is_direct(problem)
    if direct and not trivial:
        yield (
            Step("values.normalized_twice", "the application normalises, and the model does it again"),
            lambda x: (x - mean) / std,
        )
    if not direct:
        yield Step("values.not_normalized", "nothing was normalised: plain pixels were given"), lambda x: x
        yield (
            Step("values.normalized_twice", "the input was normalised twice"),
            lambda x: ((x - mean) / std - mean) / std,
        )
    if not (not direct and (mean == 0).all() and (std == 255).all()) and not (
        direct and (mean == 0).all() and (std == 255).all()
    ):
        yield Step("values.div255", "the pixels were divided by 255"), lambda x: x / 255.0
        seen.append(((0.0,), (255.0,)))
    yield Step("values.div255_twice", "the pixels were divided by 255 twice"), lambda x: x / 65025.0
    if not trivial:
        if (mean != 0).any() and (std != 1).any():
            yield Step("values.mean_only", "only the mean was subtracted"), lambda x: x - mean
            yield Step("values.std_only", "the values were only divided by std"), lambda x: x / std
        if (mean != 0).any():
            yield (
                Step("values.div255_missing_in_mean", "pixels divided by 255 were normalised with mean/std for 0..255"),
                lambda x: (x / 255.0 - mean) / std,
            )
            yield (
                Step("values.div255_missing", "mean/std for 0..1 were applied to pixels 0..255"),
                lambda x: (x - mean / 255.0) / (std / 255.0),
            )
        if not symmetric:
            yield (
                Step("values.mean_std_order", "mean and std were used in the reverse channel order"),
                lambda x: (x - reverse_mean) / reverse_std,
            )
            seen.append((reverse_mean, reverse_std))
            if (mean != reverse_mean).any() and (std != reverse_std).any():
                yield (
                    Step("values.mean_order", "the mean was used in the reverse channel order"),
                    lambda x: (x - reverse_mean) / std,
                )
    yield from _other_normalizations(mean.size, seen)


def _other_normalizations(channels: int, seen: list[tuple[Any, Any]]) -> Iterator[tuple[Step, Numbers]]:
    import numpy as np

    for known_mean, known_std in KNOWN[:-1]:
        if channels != 3 and len(set(known_mean)) > 1:
            continue
        other_mean, other_std = np.resize(known_mean, channels), np.resize(known_std, channels)
        if any(np.allclose(other_mean, m, atol=0.6) and np.allclose(other_std, s, atol=0.6) for m, s in seen):
            continue
        text = f"normalised with another mean {_text(other_mean)} and std {_text(other_std)}"
        yield Step("values.other_normalization", text), lambda x, m=other_mean, s=other_std: (x - m) / s


def _byte_maps() -> Iterator[tuple[Step, Numbers]]:
    import numpy as np

    yield Step("dtype.offset_128", "128 was added or subtracted (the sign bit is flipped)"), lambda x: (x + 128) % 256
    yield (
        Step("dtype.saturated", "values above 127 were cut to 127: pixels were converted to int8"),
        lambda x: np.minimum(x, 127),
    )
    yield Step("values.minus_128", "128 was subtracted, negative values became 0"), lambda x: np.maximum(x - 128, 0)
    yield Step("values.halved", "the values were halved"), lambda x: np.floor(x / 2)
    yield Step("dtype.wrapped", "values were doubled and wrapped around at 256"), lambda x: (x * 2) % 256
    yield Step("values.doubled", "the values were doubled and cut at 255"), lambda x: np.minimum(x * 2, 255)
    yield Step("values.inverted", "the values are inverted (255 - x)"), lambda x: 255 - x
    yield (
        Step("colour.limited_range", "full-range values were squeezed into 16..235"),
        lambda x: np.rint(x * (219.0 / 255.0) + 16),
    )
    yield (
        Step("colour.full_range", "values 16..235 were expected, full-range ones were stretched"),
        lambda x: np.clip(np.rint((x - 16) * (255.0 / 219.0)), 0, 255),
    )


def _casts() -> Iterator[tuple[str, Numbers]]:
    import numpy as np

    yield "cast to uint8: fractions dropped, negative values become 0", lambda x: np.clip(np.trunc(x), 0, 255)
    yield "cast to uint8: fractions dropped, negative values wrap around", lambda x: np.trunc(x) % 256
    yield "rounded to uint8 and cut to 0..255", lambda x: np.clip(np.rint(x), 0, 255)


def _code_maps(problem: Problem, floats: list[tuple[Step, Numbers]], direct: bool) -> Iterator[PixelMap]:
    import numpy as np

    runtime = problem.runtime

    def wanted(x: Any) -> Any:
        return (x - problem.wanted_mean) / problem.wanted_std

    def of(identifier: str, text: str, numbers: Numbers, weight: float = 1.0) -> PixelMap:
        return PixelMap((Step(identifier, text),), numbers, True, weight)

    yield of("dtype.int8_for_uint8", "uint8 pixels were given with type INT8", lambda x: (x + 128) % 256 - 128)
    yield of("dtype.saturated", "pixels were cut to 127 and given with type INT8", lambda x: np.minimum(x, 127))
    yield of("dtype.offset_128", "pixels minus 128 were given with type INT8", lambda x: x - 128, 1.1)
    yield of("dtype.halved_int8", "halved pixels were given with type INT8", lambda x: np.floor(x / 2))
    yield of(
        "values.zero_point_missing",
        "the application quantised without the zero point",
        lambda x: np.clip(np.rint(wanted(x) / runtime.scale), -128, 127),
    )
    yield of(
        "values.scale_missing",
        "the application rounded normalised values to int8 without the scale",
        lambda x: np.clip(np.rint(wanted(x)) + runtime.zero_point, -128, 127),
    )
    yield of(
        "values.quantized_wrapped",
        "the application quantised and the codes wrapped around instead of saturating",
        lambda x: (np.rint(wanted(x) / runtime.scale) + runtime.zero_point + 128) % 256 - 128,
    )
    for step, numbers in [] if direct and (problem.wanted_std == 1).all() else floats:
        yield PixelMap(
            (step, Step("dtype.truncated", "cast to int8 and given with type INT8")),
            lambda x, f=numbers: np.clip(np.trunc(f(x)), -128, 127),
            True,
            1.5,
        )


def fitted_maps(
    problem: Problem,
    pixels: NDArray[Any],
    observed: NDArray[Any],
    weights: NDArray[Any],
    channels: NDArray[Any] | slice = slice(None),
) -> Iterator[PixelMap]:
    """One linear function per channel, fitted robustly: pixels, observed, weights are (n, C)."""
    import numpy as np

    runtime = problem.runtime
    if runtime.kind == QUANTIZED:
        codes = runtime.codes(observed, channels)
        right = (pixels - problem.wanted_mean) / problem.wanted_std / runtime.scale
        free = (np.abs(codes) < 127) & (weights > 0)
        if free.sum() > 50:
            yield from _fitted_codes(problem, *robust_line(right[free], codes[free]))
    factors, offsets = [], []
    for channel in range(pixels.shape[1]):
        used = weights[:, channel] > 0
        # Values that were cut off lie at the ends and are on no line.
        shown = observed[used, channel]
        if shown.size:
            low, high = float(shown.min()), float(shown.max())
            ends = (shown == low) & ((shown == low).mean() > _CUT) | (shown == high) & ((shown == high).mean() > _CUT)
            used[used] = ~ends
        line = robust_line(pixels[used, channel], observed[used, channel]) if used.sum() > 20 else (1.0, 0.0)
        factors.append(line[0])
        offsets.append(line[1])
    if min(abs(factor) for factor in factors) < 1e-4:
        return
    factor_array, offset_array = np.asarray(factors), np.asarray(offsets)
    said = ", ".join(f"{a:.4g} * x {b:+.4g}" for a, b in zip(factors[:4], offsets[:4]))
    step = Step("values.linear", f"each channel is a * x + b of the right pixels: {said}")
    if runtime.pixels or is_direct(problem):
        yield PixelMap((step,), lambda x: np.clip(np.rint(x * factor_array + offset_array), 0, 255), weight=2.5)
    if not runtime.pixels:
        yield PixelMap((step,), lambda x: x * factor_array + offset_array, weight=2.5)


def _fitted_codes(problem: Problem, factor: float, offset: float) -> Iterator[PixelMap]:
    """Codes that an application made with another scale or zero point: factor * x / scale + offset."""
    import numpy as np

    runtime = problem.runtime
    if abs(factor - 1) < 0.02:
        kind, factor, offset = "values.zero_point_wrong", 1.0, float(round(offset))
    else:
        kind = "values.scale_wrong"
        # The zero point is a whole number, most often the right one.
        offset = float(runtime.zero_point if abs(offset - runtime.zero_point) < 0.3 else offset)
    said = f"codes = {factor:.4g} * x / scale {offset:+.4g} (right: x / scale {runtime.zero_point:+d})"
    what = "zero point" if kind == "values.zero_point_wrong" else "scale"
    step = Step(kind, f"the application quantised with another {what}: {said}", {"factor": factor, "offset": offset})
    mean, std, scale = problem.wanted_mean, problem.wanted_std, runtime.scale
    yield PixelMap(
        (step,),
        lambda x: np.clip(np.rint((x - mean) / std / scale * factor + offset), -128, 127),
        True,
        1.8,
    )


def robust_line(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """a, b of y = a * x + b: least squares, then again without what lies far off (saturated, wrong)."""
    import numpy as np

    if x.size < 3 or np.ptp(x) == 0:
        return 1.0, 0.0
    used = np.ones(x.size, bool)
    factor, offset = 1.0, 0.0
    for _ in range(4):
        centre_x, centre_y = x[used].mean(), y[used].mean()
        spread = float(((x[used] - centre_x) ** 2).sum())
        if spread <= 0:
            break
        factor = float(((x[used] - centre_x) * (y[used] - centre_y)).sum() / spread)
        offset = float(centre_y - factor * centre_x)
        away = np.abs(y - factor * x - offset)
        limit = max(3 * float(np.median(away)), 1e-6 * float(np.ptp(y)) + 1e-9)
        used = away <= limit
        if used.sum() < 3:
            break
    return factor, offset


def _text(values: NDArray[Any]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values[:4]) + "]"
