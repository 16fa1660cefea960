"""rounded_to_float16 against NumPy's own conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rkparity.compare.input_rules import rounded_to_float16


def numpys(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def borders() -> np.ndarray:
    """Every finite float16 value, every middle between two, and the float32 values next to each middle."""
    codes = np.arange(0x10000, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.unique(codes[np.isfinite(codes)])
    middles = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
    above, below = np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))
    return np.concatenate([values, middles, above, below])


def test_every_border_is_rounded_as_numpy_does() -> None:
    values = borders()
    assert values.size > 250_000
    assert np.array_equal(rounded_to_float16(values), numpys(values))
    # Without the largest ones no part of the array goes NumPy's way.
    within = values[np.abs(values) < 65504]
    assert np.array_equal(rounded_to_float16(within), numpys(within))
    random = np.random.default_rng(1)
    spread = (random.standard_normal(200_000) * 10.0 ** random.integers(-46, 4, 200_000)).astype(np.float32)
    assert np.array_equal(rounded_to_float16(spread), numpys(spread))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 65504.0, 65519.9, 65520.0, -1e30])
def test_large_and_non_finite_values(odd: float) -> None:
    values = np.linspace(-3, 3, 200_000, dtype=np.float32)
    values[100_000] = odd
    assert np.array_equal(rounded_to_float16(values), numpys(values), equal_nan=True)


def test_shapes_types_and_read_only_files(tmp_path: Path) -> None:
    values = np.random.default_rng(2).standard_normal((1, 5, 7, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    moved, empty = values.transpose(0, 3, 1, 2), values[:0]
    for array in (mapped, moved, empty, values.astype(np.float64), values.astype(np.float16)):
        rounded = rounded_to_float16(array)
        assert rounded.dtype == np.float32
        assert rounded.shape == array.shape
        assert np.array_equal(rounded, numpys(array))
    assert rounded_to_float16(np.array(0.1, np.float32)) == np.float32(np.float16(0.1))
