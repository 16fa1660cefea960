"""What may have happened to an output's values between the NPU's integers and the application's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from rkparity.diagnose.outputs.records import ExpectedOutput

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class OutputValues:
    """One reading of the values: `values()` in the model's own order, float64. `step`: one LSB in these units."""

    id: str
    text: str
    cost: float
    values: Callable[[], NDArray[Any]]
    step: float
    detail: str = ""


def value_maps(
    expected: ExpectedOutput, others: Sequence[ExpectedOutput], observed_kind: str
) -> Iterator[OutputValues]:
    """The readings worth trying for values of NumPy kind `observed_kind` ("f", "i", "u"), the right one first."""
    import numpy as np

    real = expected.values.reshape(-1).astype(np.float64)
    if not expected.is_quantized:
        yield OutputValues("", "", 0.0, lambda: real, 0.0 if expected.exact else _float_step(real))
        return
    scale, zero = float(expected.scale or 1.0), expected.zero_point
    codes = expected.codes
    slack = 0.0 if expected.exact else 1.0
    if observed_kind == "f":
        yield OutputValues("", "", 0.0, lambda: real, slack * scale)
        yield OutputValues("not-dequantized", "the integers themselves", 1.0, lambda: codes, slack)
    else:
        # Integers are what want_float = 0 gives: right, as long as the application dequantises them afterwards.
        yield OutputValues("", "", 0.0, lambda: codes, slack)
    yield OutputValues(
        "zero-point-missing", "q * scale, without the zero point", 1.0, lambda: codes * scale, slack * scale
    )
    yield OutputValues("scale-missing", "q - zero point, without the scale", 1.0, lambda: codes - zero, slack)
    yield OutputValues(
        "zero-point-added", "(q + zero point) * scale", 1.1, lambda: (codes + zero) * scale, slack * scale
    )
    yield OutputValues(
        "dequantized-twice", "dequantised twice", 1.1, lambda: (real - zero) * scale, slack * scale * scale
    )
    if expected.dtype in ("int8", "uint8"):
        # The same bytes read with the other sign.
        swapped = (
            np.where(codes < 0, codes + 256, codes)
            if expected.dtype == "int8"
            else np.where(codes > 127, codes - 256, codes)
        )
        read = "uint8" if expected.dtype == "int8" else "int8"
        yield OutputValues("sign", f"the bytes read as {read}", 1.05, lambda: swapped, slack)
        yield OutputValues(
            "sign-dequantized",
            f"the bytes read as {read}, then dequantised",
            1.0,
            lambda: (swapped - zero) * scale,
            slack * scale,
        )
        if expected.dtype == "int8":
            # A UINT8 asked of an INT8 output is q + 128 (evidence 160_zc_out_native_u8).
            yield OutputValues(
                "offset-128", "q + 128", 0.0 if observed_kind == "u" else 1.1, lambda: codes + 128, slack
            )
            yield OutputValues(
                "offset-128-dequantized",
                "q + 128 dequantised with the INT8 zero point",
                1.05,
                lambda: (codes + 128 - zero) * scale,
                slack * scale,
            )
    seen = {(scale, zero)}
    for other in others:
        if other.is_quantized and (other.scale, other.zero_point) not in seen:
            seen.add((float(other.scale or 1.0), other.zero_point))
            theirs, offset = float(other.scale or 1.0), other.zero_point
            yield OutputValues(
                f"parameters-of-{other.index}",
                f"dequantised with scale and zero point of output {other.index} ({other.name})",
                1.0,
                partial(_affine, codes, offset, theirs),
                slack * theirs,
                other.name,
            )
            yield OutputValues(
                f"scale-of-{other.index}",
                f"dequantised with the scale of output {other.index} ({other.name})",
                1.1,
                partial(_affine, codes, zero, theirs),
                slack * theirs,
                other.name,
            )
            yield OutputValues(
                f"zero-point-of-{other.index}",
                f"dequantised with the zero point of output {other.index} ({other.name})",
                1.1,
                partial(_affine, codes, offset, scale),
                slack * scale,
                other.name,
            )


def _affine(codes: NDArray[Any], zero_point: int, scale: float) -> NDArray[Any]:
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        values: NDArray[Any] = (codes.astype(np.float64) - zero_point) * scale
    return values


def _float_step(real: NDArray[Any]) -> float:
    import numpy as np

    finite = real[np.isfinite(real)]
    return float(np.abs(finite).max(initial=0.0)) * 2.0**-9


@dataclass(frozen=True)
class Reinterpretation:
    """The runtime's buffer read as another type: `values` from its start, and what would have been right."""

    id: str
    text: str
    cost: float
    values: Callable[[], NDArray[Any]]


def reinterpretations(expected: ExpectedOutput) -> Iterator[Reinterpretation]:
    """The output's buffer, in each type the runtime can have written, read as each other type."""
    import numpy as np

    buffers: dict[str, NDArray[Any]] = {"float32": expected.values.reshape(-1).astype("<f4")}
    if expected.is_quantized:
        buffers[expected.dtype] = expected.codes.astype(expected.dtype)
    if expected.dtype == "float16":
        with np.errstate(over="ignore"):
            buffers["float16"] = expected.values.reshape(-1).astype("<f2")
    scale, zero = expected.scale, expected.zero_point
    for written, buffer in buffers.items():
        raw = buffer.tobytes()
        for read in ("float32", "float16", "int8", "uint8", "int16", "uint16"):
            if read == written or {read, written} == {"int8", "uint8"}:
                continue
            count = len(raw) // np.dtype(read).itemsize
            if not count:
                continue
            seen = np.frombuffer(raw, dtype=read, count=count)
            text = f"{written} values read as {read}"
            yield Reinterpretation(f"{written}-as-{read}", text, 1.0, partial(_affine, seen, 0, 1.0))
            if scale is not None and read in ("int8", "uint8"):
                yield Reinterpretation(
                    f"{written}-as-{read}-dequantized",
                    f"{text} and dequantised",
                    1.2,
                    partial(_affine, seen, zero, scale),
                )
