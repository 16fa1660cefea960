"""Scores pairs of arrays with the compiled kernels; file_scores.py scores files.

Every element of every tensor is read once, whatever is asked about it. The kernels release the GIL, so pairs may be
scored in threads.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.compare.statistics import (
    LsbStatistics,
    PairStatistics,
    SideStatistics,
    UlpStatistics,
    cosine,
    ratio,
    signal_to_noise_db,
)
from rkparity.errors import DataError, UsageError
from rkparity_agent._native import ffi, lib

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK_ELEMENTS = 256 * 1024

_DTYPES: dict[str, int] = {
    "f4": lib.RKP_FLOAT32,
    "f2": lib.RKP_FLOAT16,
    "f8": lib.RKP_FLOAT64,
    "i1": lib.RKP_INT8,
    "u1": lib.RKP_UINT8,
    "i2": lib.RKP_INT16,
    "u2": lib.RKP_UINT16,
    "i4": lib.RKP_INT32,
    "u4": lib.RKP_UINT32,
    "i8": lib.RKP_INT64,
    "u8": lib.RKP_UINT64,
    "b1": lib.RKP_BOOL,
}


class ShapeMismatch(DataError):
    """Two tensors of different shape: not comparable, and never broadcast."""


@dataclass(frozen=True)
class Quantization:
    """An integer tensor's values are (q - zero_point) * scale."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class ScoreOptions:
    """What is counted besides the scores that need no parameter.

    `atol`/`rtol`: an element is over the tolerance when |test - reference| > atol + rtol * |reference|. `scale`: one
    step of the tensors' quantisation grid, for errors in LSB. `saturation`: the lowest and highest value of the grid;
    with a scale, values within half a step of an end count as on it. `float16_ulp`: errors in float16 ulps of the
    reference, counting those over `ulp_limit`. `implementation` chooses a kernel (0: the best this machine has).
    """

    atol: float = 1e-5
    rtol: float = 1e-3
    scale: float | None = None
    saturation: tuple[float, float] | None = None
    float16_ulp: bool = False
    ulp_limit: float = 1.0
    implementation: int = 0


DEFAULT_OPTIONS = ScoreOptions()


def grid_ends(dtype: str, quantization: Quantization) -> tuple[float, float]:
    """The lowest and highest value an integer tensor of `dtype` ("int8", "uint8", "int16") can hold."""
    ranges = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}
    if dtype not in ranges:
        raise UsageError(f"no quantisation grid is known for {dtype}")
    low, high = ranges[dtype]
    return ((low - quantization.zero_point) * quantization.scale, (high - quantization.zero_point) * quantization.scale)


class PairAccumulator:
    """One accumulator: options in, chunks in, PairStatistics out."""

    def __init__(self, options: ScoreOptions, test: Any, reference: Any) -> None:
        self._options = options
        self._test = test
        self._reference = reference
        self.handle = ffi.new("struct rkp_pair *")
        lib.rkp_pair_init(self.handle, _native_options(options))

    def update(self, test: Any, reference: Any, count: int) -> None:
        if lib.rkp_pair_update(self.handle, test, self._test, reference, self._reference, count) != 0:
            raise UsageError("the tensors' types cannot be scored")

    def statistics(self) -> PairStatistics:
        return _statistics(self.handle, self._options)


@functools.lru_cache(maxsize=1024)
def _native_options(options: ScoreOptions) -> Any:
    """Raises UsageError for a value that is out of range."""
    for name, value in (("atol", options.atol), ("rtol", options.rtol), ("ulp_limit", options.ulp_limit)):
        if not value >= 0:
            raise UsageError(f"{name} is {value}, it must be 0 or more")
    if options.scale is not None and not (math.isfinite(options.scale) and options.scale > 0):
        raise UsageError(f"scale is {options.scale}, it must be positive")
    low, high = options.saturation or (0.0, 0.0)
    slack = options.scale / 2 if options.scale is not None else 0.0
    return ffi.new(
        "struct rkp_pair_options *",
        {
            "atol": options.atol,
            "rtol": options.rtol,
            "lsb": options.scale or 0.0,
            "ulp_limit": options.ulp_limit,
            "saturation_low": low + slack,
            "saturation_high": high - slack,
            "with_ulp": options.float16_ulp,
            "with_saturation": options.saturation is not None,
            "implementation": options.implementation,
        },
    )


def _side(side: Any, with_saturation: bool) -> SideStatistics:
    some = side.minimum <= side.maximum
    return SideStatistics(
        nan=side.nan,
        positive_inf=side.positive_inf,
        negative_inf=side.negative_inf,
        zeros=side.zeros,
        minimum=side.minimum if some else math.nan,
        maximum=side.maximum if some else math.nan,
        saturated_low=side.saturated_low if with_saturation else None,
        saturated_high=side.saturated_high if with_saturation else None,
    )


def _statistics(pair: Any, options: ScoreOptions) -> PairStatistics:
    n_finite: int = pair.n_finite
    # An empty pair differs nowhere; a pair without any finite element has no scores.
    defined = n_finite > 0 or pair.n == 0

    def total(name: str) -> float:
        return float(lib.rkp_sum_value(ffi.addressof(pair, name))) if defined else math.nan

    dot = total("dot")
    norm_test = math.sqrt(total("test_square"))
    norm_reference = math.sqrt(total("reference_square"))
    euclidean = math.sqrt(total("error_square"))
    same_zero = norm_test == 0 and norm_reference == 0
    max_abs_error = pair.max_abs_error if defined else math.nan
    over = tuple(pair.over_lsb)
    saturation = options.saturation is not None
    return PairStatistics(
        n=pair.n,
        n_finite=n_finite,
        equal=pair.equal,
        nonfinite_mismatch=pair.nonfinite_mismatch,
        dot=dot,
        norm_test=norm_test,
        norm_reference=norm_reference,
        cosine=cosine(dot, norm_test, norm_reference),
        euclidean=euclidean,
        relative_euclidean=ratio(euclidean, norm_reference),
        sqnr_db=signal_to_noise_db(norm_reference, euclidean),
        max_abs_error=max_abs_error,
        max_abs_index=pair.max_abs_index if n_finite else None,
        mean_offset=total("error") / max(n_finite, 1),
        scale_ratio=1.0 if same_zero else _scale_ratio(dot, norm_reference),
        norm_ratio=1.0 if same_zero else ratio(norm_test, norm_reference),
        atol=options.atol,
        rtol=options.rtol,
        over_tolerance=pair.over_tolerance,
        test=_side(pair.test, saturation),
        reference=_side(pair.reference, saturation),
        lsb=None
        if options.scale is None
        else LsbStatistics(
            options.scale,
            max_abs_error / options.scale,
            (n_finite - over[0], over[0] - over[1], over[1] - over[2], over[2]),
        ),
        ulp=UlpStatistics(pair.max_ulp if defined else math.nan, options.ulp_limit, pair.over_ulp)
        if options.float16_ulp
        else None,
    )


def _scale_ratio(dot: float, norm_reference: float) -> float:
    return dot / norm_reference / norm_reference if norm_reference != 0 else math.inf


def source_of(kind: str, quantization: Quantization | None, what: object) -> Any:
    """`kind` is the kind and size of a NumPy dtype text, "f4"."""
    if kind not in _DTYPES:
        raise UsageError(f"{what}: a tensor of type {kind} cannot be scored")
    if quantization is not None and kind[0] not in "iu":
        raise UsageError(f"{what}: is {kind}, only integers can be dequantised")
    return _native_source(kind, quantization)


@functools.lru_cache(maxsize=1024)
def _native_source(kind: str, quantization: Quantization | None) -> Any:
    # The kernels only read it, so pairs may share it.
    return ffi.new(
        "struct rkp_source *",
        {
            "dtype": _DTYPES[kind],
            "quantized": quantization is not None,
            "zero_point": quantization.zero_point if quantization else 0,
            "scale": quantization.scale if quantization else 1.0,
        },
    )


def check_shapes(
    test: tuple[int, ...], reference: tuple[int, ...], test_name: object, reference_name: object, ignore_unit_dims: bool
) -> None:
    if test == reference:
        return
    if ignore_unit_dims and [dim for dim in test if dim != 1] == [dim for dim in reference if dim != 1]:
        return
    raise ShapeMismatch(
        f"{test_name} against {reference_name}: shape {test} against {reference}",
        hint="the two files are not the same tensor, or one is in another layout (NCHW against NHWC)",
    )


def score_arrays(
    test: NDArray[Any],
    reference: NDArray[Any],
    options: ScoreOptions = DEFAULT_OPTIONS,
    *,
    test_quantization: Quantization | None = None,
    reference_quantization: Quantization | None = None,
    ignore_unit_dims: bool = False,
) -> PairStatistics:
    """All scores of two arrays of equal shape, of any number type, in any memory order.

    With a Quantization an integer side is dequantised first. With `ignore_unit_dims` shapes may differ in dimensions
    of 1. Raises ShapeMismatch for other shapes, UsageError for types that are not plain numbers.
    """
    check_shapes(test.shape, reference.shape, "test", "reference", ignore_unit_dims)
    pair = PairAccumulator(
        options,
        source_of(_kind(test), test_quantization, "test"),
        source_of(_kind(reference), reference_quantization, "reference"),
    )
    if _is_plain(test) and _is_plain(reference):
        pair.update(_pointer(test), _pointer(reference), test.size)
    else:
        for start in range(0, test.size, _CHUNK_ELEMENTS):
            test_chunk = _chunk(test, start)
            reference_chunk = _chunk(reference, start)
            pair.update(_pointer(test_chunk), _pointer(reference_chunk), test_chunk.size)
    return pair.statistics()


def score_channels(
    test: NDArray[Any],
    reference: NDArray[Any],
    axis: int,
    options: ScoreOptions = DEFAULT_OPTIONS,
    *,
    test_quantization: Quantization | None = None,
    reference_quantization: Quantization | None = None,
) -> tuple[PairStatistics, ...]:
    """The scores of every channel along `axis`; an index in them is the flat index within the channel.

    Raises as score_arrays does, and UsageError if there is no such axis.
    """
    check_shapes(test.shape, reference.shape, "test", "reference", False)
    if not -test.ndim <= axis < test.ndim:
        raise UsageError(f"axis {axis}: the tensor has {test.ndim} dimensions")
    import numpy as np

    test_channels, reference_channels = np.moveaxis(test, axis, 0), np.moveaxis(reference, axis, 0)
    return tuple(
        score_arrays(
            np.asarray(test_channel),
            np.asarray(reference_channel),
            options,
            test_quantization=test_quantization,
            reference_quantization=reference_quantization,
        )
        for test_channel, reference_channel in zip(test_channels, reference_channels)
    )


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype.kind}{array.dtype.itemsize}"


def _is_plain(array: NDArray[Any]) -> bool:
    return bool(array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative)


def _chunk(array: NDArray[Any], start: int) -> NDArray[Any]:
    """_CHUNK_ELEMENTS elements from `start` in C order, in this machine's byte order."""
    if array.flags.c_contiguous:
        chunk = array.reshape(-1)[start : start + _CHUNK_ELEMENTS]
    else:
        chunk = array.flat[start : start + _CHUNK_ELEMENTS]
    if _is_plain(chunk):
        return chunk
    return chunk.astype(array.dtype.newbyteorder("="), copy=True)


def _pointer(array: NDArray[Any]) -> Any:
    # from_buffer would refuse a scalar's and an empty array's memory on some versions.
    return ffi.cast("void *", array.ctypes.data)
