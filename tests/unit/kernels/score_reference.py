"""Every score in straightforward NumPy: slow, in float64, as the kernels' tests want it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def reference_scores(
    test: NDArray[Any], reference: NDArray[Any], *, atol: float, rtol: float, scale: float | None = None
) -> dict[str, Any]:
    """The scores of two equally shaped arrays whose values float32 or float64 holds."""
    narrow = all(
        array.dtype in (np.float16, np.float32, np.int8, np.uint8, np.int16, np.uint16, np.bool_)
        for array in (test, reference)
    )
    work = np.float32 if narrow else np.float64
    a, b = test.astype(work).ravel(), reference.astype(work).ravel()
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(a - b)[finite].astype(np.float64)
        over = error > (work(atol) + work(rtol) * np.abs(b[finite])).astype(np.float64)
    af, bf = a[finite].astype(np.float64), b[finite].astype(np.float64)
    wide = af - bf
    error = np.where(np.isinf(error), np.abs(wide), error)
    dot, aa, bb, dd = (math.fsum(values) for values in (af * bf, af * af, bf * bf, wide * wide))
    result: dict[str, Any] = {
        "n": a.size,
        "n_finite": int(finite.sum()),
        "equal": int(same.sum()),
        "nonfinite_mismatch": int((~finite & ~same).sum()),
        "over_tolerance": int(over.sum()) + int((~finite & ~same).sum()),
        "dot": dot,
        "norm_test": math.sqrt(aa),
        "norm_reference": math.sqrt(bb),
        "euclidean": math.sqrt(dd),
        "max_abs_error": float(error.max()) if error.size else math.nan,
        "max_abs_index": int(np.flatnonzero(finite)[np.argmax(error)]) if error.size else None,
        "mean_offset": math.fsum(wide) / error.size if error.size else math.nan,
    }
    if scale is not None:
        steps = [int((error > work(limit * scale)).sum()) for limit in (0.5, 1.5, 2.5)]
        result["histogram"] = (error.size - steps[0], steps[0] - steps[1], steps[1] - steps[2], steps[2])
    for name, side in (("test", a), ("reference", b)):
        values = side[np.isfinite(side)]
        result[name] = {
            "nan": int(np.isnan(side).sum()),
            "positive_inf": int((side == np.inf).sum()),
            "negative_inf": int((side == -np.inf).sum()),
            "zeros": int((values == 0).sum()),
            "minimum": float(values.min()) if values.size else math.nan,
            "maximum": float(values.max()) if values.size else math.nan,
        }
    return result


def float16_ulps(test: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """|test - reference| in float16 units in the last place of the reference, for finite float32 arrays."""
    exponent = np.floor(np.log2(np.maximum(np.abs(reference.astype(np.float64)), 2.0**-14)))
    size: NDArray[np.float64] = 2.0 ** (np.minimum(exponent, 15) - 10)
    error: NDArray[np.float64] = np.abs(test - reference).astype(np.float64)
    return error / size
