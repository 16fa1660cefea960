"""Scoring a float32 pair, all scores, one thread: against sum loops over the same buffers and against NumPy + SciPy."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_rows.row import NotMeasured, Row, fastest
from rkparity.compare.kernels import ScoreOptions, score_arrays

ELEMENTS = 40_000_000
# The plain loop waits for every addition, as C prescribes; these let the compiler reorder them into vectors. No code of
# rkparity is compiled so: it would lose NaN. The two ratios show what is left to the memory's limit.
VECTORS = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")


def measure(work: Path) -> list[Row]:
    """Four sum loops, the kernels with and without options, NumPy + SciPy."""
    random = np.random.default_rng(0)
    reference = random.standard_normal(ELEMENTS, dtype=np.float32)
    test = reference + random.standard_normal(ELEMENTS, dtype=np.float32) * np.float32(0.01)
    loops = [
        sum_loop(work, "ordered", ()),
        sum_loop(work, "vectors", VECTORS),
        sum_loop(work, "native", (*VECTORS, "-march=native")),
    ]
    quantized = ScoreOptions(scale=0.02, saturation=(-2.56, 2.54))
    half = ScoreOptions(float16_ulp=True)
    *sums, plain, lsb, ulp = fastest(
        *(lambda loop=loop: loop(test, reference) for loop in loops),
        lambda: score_arrays(test, reference),
        lambda: score_arrays(test, reference, quantized),
        lambda: score_arrays(test, reference, half),
        rounds=9,
    )
    ordered, vectors, native = sums
    part = ELEMENTS // 4
    with_numpy, ours = fastest(
        lambda: numpy_scores(test[:part], reference[:part]),
        lambda: score_arrays(test[:part], reference[:part]),
        rounds=3,
    )
    size = 2 * test.nbytes / 1e9
    return [
        Row(
            "scoring: bandwidth / plain sum loop",
            f"{ordered / plain:.2f} ({size / plain:.1f} of {size / ordered:.1f} GB/s)",
            ">= 0.80",
            ordered / plain >= 0.8,
        ),
        Row("  with LSB and saturation, with ulp", f"{ordered / lsb:.2f}, {ordered / ulp:.2f}"),
        Row(
            "  / that loop let use vectors, SSE2 or native",
            f"{vectors / plain:.2f}, {native / plain:.2f} (of {size / vectors:.1f}, {size / native:.1f} GB/s)",
        ),
        Row("scoring: speed / NumPy + SciPy", f"{with_numpy / ours:.0f}", ">= 25", with_numpy / ours >= 25),
    ]


def sum_loop(work: Path, name: str, flags: tuple[str, ...]) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """sum_loop.c, compiled with -O3 and `flags`."""
    library = work / f"sum_loop_{name}.so"
    source = Path(__file__).with_name("sum_loop.c")
    try:
        subprocess.run(["cc", "-O3", *flags, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotMeasured(f"the C compiler cc cannot be used: {error}") from error
    function = ctypes.CDLL(str(library)).sum_loop
    function.restype = ctypes.c_float
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return lambda a, b: float(function(a.ctypes.data, b.ctypes.data, a.size))


def numpy_scores(test: NDArray[Any], reference: NDArray[Any]) -> dict[str, Any]:
    """The same scores as anyone would write them."""
    from scipy.spatial import distance

    a, b = test.astype(np.float64), reference.astype(np.float64)
    difference = a - b
    absolute = np.abs(difference)
    scores: dict[str, Any] = {
        "cosine": 1 - distance.cosine(a, b),
        "euclidean": distance.euclidean(a, b),
        "dot": np.dot(a, b),
        "norms": (np.linalg.norm(a), np.linalg.norm(b)),
        "max_abs_error": absolute.max(),
        "max_abs_index": absolute.argmax(),
        "mean_offset": difference.mean(),
        "over_tolerance": np.count_nonzero(absolute > 1e-5 + 1e-3 * np.abs(b)),
        "equal": np.count_nonzero(test == reference),
    }
    for name, side in (("test", test), ("reference", reference)):
        scores[name] = (
            np.count_nonzero(np.isnan(side)),
            np.count_nonzero(np.isposinf(side)),
            np.count_nonzero(np.isneginf(side)),
            np.count_nonzero(side == 0),
            side.min(),
            side.max(),
        )
    return scores
