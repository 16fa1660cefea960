"""score_arrays against the NumPy reference, and what it says of special pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from score_reference import float16_ulps, reference_scores

from rkparity.compare.kernels import Quantization, ScoreOptions, ShapeMismatch, grid_ends, score_arrays, score_channels
from rkparity.compare.statistics import PairStatistics
from rkparity.errors import UsageError

DTYPES = [
    "float32",
    "float16",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
]


def assert_scores(got: PairStatistics, expected: dict[str, Any]) -> None:
    for name in ("n", "n_finite", "equal", "nonfinite_mismatch", "over_tolerance", "max_abs_index"):
        assert getattr(got, name) == expected[name], name
    if expected["n_finite"]:
        for name in ("norm_test", "norm_reference", "euclidean", "max_abs_error"):
            assert getattr(got, name) == pytest.approx(expected[name], rel=1e-11, abs=0), name
        size = expected["norm_test"] * expected["norm_reference"]
        assert got.dot == pytest.approx(expected["dot"], rel=1e-11, abs=1e-11 * size)
        assert got.mean_offset == pytest.approx(
            expected["mean_offset"], rel=1e-9, abs=1e-11 * (expected["norm_test"] + expected["norm_reference"])
        )
    for name in ("test", "reference"):
        side = getattr(got, name)
        for field, value in expected[name].items():
            assert getattr(side, field) == value or (math.isnan(value) and math.isnan(getattr(side, field))), field


def noisy_pair(dtype: str, shape: tuple[int, ...] = (3, 7, 501)) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(7)
    reference = rng.normal(40, 30, shape)
    test = reference + rng.normal(0, 2, shape) * (rng.random(shape) < 0.3)
    if dtype == "bool":
        return test > 40, reference > 40
    if dtype[0] == "u":
        return np.abs(test).astype(dtype), np.abs(reference).astype(dtype)
    return test.astype(dtype), reference.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", ["float32", "float64", "same"])
def test_scores_equal_numpy_for_every_type(dtype: str, other: str) -> None:
    test, reference = noisy_pair(dtype)
    reference = reference if other == "same" else reference.astype(other)
    options = ScoreOptions(atol=0.01, rtol=0.02)
    got = score_arrays(test, reference, options)
    assert_scores(got, reference_scores(test, reference, atol=0.01, rtol=0.02))
    assert got.finite


SPECIAL = [0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 65504.0, 3.4e38]
FLOATS = st.one_of(st.floats(width=32), st.sampled_from(SPECIAL))


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 70), elements=FLOATS), st.data())
def test_any_float32_pair_equals_numpy(reference: NDArray[np.float32], data: st.DataObject) -> None:
    test = data.draw(st.one_of(st.just(reference), hnp.arrays(np.float32, reference.shape, elements=FLOATS)))
    for implementation in range(6):
        got = score_arrays(test, reference, ScoreOptions(atol=1e-3, rtol=1e-2, implementation=implementation))
        assert_scores(got, reference_scores(test, reference, atol=1e-3, rtol=1e-2))
        assert got.finite == bool(np.isfinite(test).all() and np.isfinite(reference).all())


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1000, 1000, width=32)), st.floats(0.125, 8, width=32)
)
def test_cosine_has_its_invariants(values: NDArray[np.float32], gain: float) -> None:
    same = score_arrays(values, values)
    assert same.cosine == pytest.approx(1.0, abs=1e-12)
    assert (same.euclidean, same.max_abs_error, same.equal) == (0.0, 0.0, values.size)
    assert same.sqnr_db == math.inf
    opposite = score_arrays(-values, values)
    assert opposite.cosine == pytest.approx(-1.0 if values.any() else 1.0, abs=1e-12)
    scaled = score_arrays(values.astype(np.float64) * gain, values)
    assert scaled.scale_ratio == pytest.approx(gain if values.any() else 1.0, rel=1e-9)
    assert scaled.norm_ratio == pytest.approx(gain if values.any() else 1.0, rel=1e-9)
    assert -1.0 <= score_arrays(values[::-1], values).cosine <= 1.0


def test_scores_of_a_pair_worked_out_by_hand() -> None:
    got = score_arrays(np.float32([3, 0, 4]), np.float32([3, 4, 0]), ScoreOptions(atol=0.5, rtol=0.0))
    assert got.dot == 9.0
    assert got.norm_test == got.norm_reference == 5.0
    assert got.cosine == pytest.approx(9 / 25)
    assert got.euclidean == pytest.approx(math.sqrt(32))
    assert got.relative_euclidean == pytest.approx(math.sqrt(32) / 5)
    assert got.sqnr_db == pytest.approx(10 * math.log10(25 / 32))
    assert (got.max_abs_error, got.max_abs_index) == (4.0, 1)
    assert got.mean_offset == 0.0
    assert got.scale_ratio == pytest.approx(9 / 25)
    assert got.over_tolerance_fraction == pytest.approx(2 / 3)
    assert (got.test.zeros, got.reference.zeros, got.equal) == (1, 1, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_and_constant_tensors(dtype: str) -> None:
    zero, seven = np.zeros(5, dtype), np.full(5, 7, dtype)
    both = score_arrays(zero, zero)
    assert (both.cosine, both.euclidean, both.relative_euclidean, both.scale_ratio, both.norm_ratio) == (1, 0, 0, 1, 1)
    assert both.sqnr_db == math.inf
    lost = score_arrays(zero, seven)
    assert (lost.cosine, lost.scale_ratio, lost.norm_ratio, lost.relative_euclidean, lost.sqnr_db) == (0, 0, 0, 1, 0)
    made_up = score_arrays(seven, zero)
    assert (made_up.cosine, made_up.relative_euclidean, made_up.sqnr_db) == (0, math.inf, -math.inf)
    assert made_up.norm_ratio == made_up.scale_ratio == math.inf
    constant = score_arrays(seven, np.full(5, 2, dtype))
    assert constant.cosine == pytest.approx(1.0)
    assert constant.mean_offset == 5.0
    assert constant.scale_ratio == pytest.approx(3.5)


def test_empty_tensors_differ_nowhere() -> None:
    got = score_arrays(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert (got.n, got.cosine, got.euclidean, got.max_abs_error, got.mean_offset) == (0, 1.0, 0.0, 0.0, 0.0)
    assert got.max_abs_index is None
    assert got.finite
    assert got.over_tolerance_fraction == 0.0
    assert math.isnan(got.test.minimum)


def test_scalars_are_scored() -> None:
    got = score_arrays(np.array(2.0, np.float32), np.array(1.0, np.float32))
    assert (got.n, got.max_abs_error, got.max_abs_index) == (1, 1.0, 0)


def test_nonfinite_values_are_counted_and_kept_out_of_the_scores() -> None:
    test = np.float32([1, math.nan, math.inf, -math.inf, math.nan, 5, math.inf])
    reference = np.float32([1, 2, math.inf, math.inf, math.nan, math.inf, 6])
    got = score_arrays(test, reference)
    assert not got.finite
    assert (got.n, got.n_finite) == (7, 1)
    assert (got.cosine, got.euclidean, got.max_abs_error) == (1.0, 0.0, 0.0)
    assert got.equal == 3
    assert got.nonfinite_mismatch == 4
    assert got.over_tolerance == 4
    assert (got.test.nan, got.test.positive_inf, got.test.negative_inf, got.test.nonfinite) == (2, 2, 1, 5)
    assert (got.reference.nan, got.reference.positive_inf, got.reference.negative_inf) == (1, 3, 0)
    assert (got.test.minimum, got.test.maximum) == (1.0, 5.0)


def test_without_a_finite_pair_scores_are_not_defined() -> None:
    got = score_arrays(np.float32([math.nan, 1]), np.float32([1, math.inf]), ScoreOptions(scale=1.0, float16_ulp=True))
    assert not got.finite
    for name in (
        "cosine",
        "euclidean",
        "relative_euclidean",
        "sqnr_db",
        "max_abs_error",
        "mean_offset",
        "scale_ratio",
        "norm_ratio",
    ):
        assert math.isnan(getattr(got, name)), name
    assert got.max_abs_index is None
    json = got.to_json()
    assert json["cosine"] is None
    assert json["special"]["cosine"] == "nan"
    assert json["special"]["lsb.max_lsb"] == "nan"
    assert json["finite"] is False


def test_json_says_what_it_cannot_hold() -> None:
    json = score_arrays(np.float32([1, 2]), np.float32([1, 2])).to_json()
    assert json["sqnr_db"] is None
    assert json["special"] == {"sqnr_db": "inf"}
    assert json["test"] == {
        "nan": 0,
        "positive_inf": 0,
        "negative_inf": 0,
        "zeros": 0,
        "minimum": 1.0,
        "maximum": 2.0,
        "saturated_low": None,
        "saturated_high": None,
    }
    assert json["lsb"] is None


@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((6,), (2, 3)), ((1, 3), (3, 1)), ((3,), (1,)), ((2, 1), (2, 3))])
def test_other_shapes_are_not_comparable(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    test, reference = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ShapeMismatch, match=r"\(.*\) against \("):
        score_arrays(test, reference)


def test_unit_dims_may_be_ignored_on_request() -> None:
    test, reference = np.ones((1, 6, 1, 1), np.float32), np.ones((1, 6), np.float32)
    assert score_arrays(test, reference, ignore_unit_dims=True).equal == 6
    with pytest.raises(ShapeMismatch):
        score_arrays(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32), ignore_unit_dims=True)


def test_errors_in_lsb() -> None:
    scale = 0.0173
    steps = np.array([0, 1, -1, 2, -2, 3, 9, 0], np.float32)
    reference = (np.arange(8) * scale).astype(np.float32)
    test = (reference + steps * np.float32(scale)).astype(np.float32)
    got = score_arrays(test, reference, ScoreOptions(scale=scale)).lsb
    assert got is not None
    assert got.histogram == (2, 2, 2, 2)
    assert got.over_one == 4
    assert got.max_lsb == pytest.approx(9, rel=1e-5)


def test_histogram_equals_numpy_on_a_long_pair() -> None:
    test, reference = noisy_pair("float32")
    got = score_arrays(test, reference, ScoreOptions(scale=0.7)).lsb
    assert got is not None
    assert got.histogram == reference_scores(test, reference, atol=0, rtol=0, scale=0.7)["histogram"]


def test_dequantised_sides_and_saturation() -> None:
    quantization = Quantization(scale=0.05, zero_point=-11)
    rng = np.random.default_rng(3)
    stored = rng.integers(-128, 128, 4000).astype(np.int8)
    moved = np.clip(stored.astype(int) + rng.integers(-1, 2, 4000), -128, 127).astype(np.int8)
    values = ((stored.astype(np.float32) + 11) * np.float32(0.05)).astype(np.float32)
    options = ScoreOptions(scale=0.05, saturation=grid_ends("int8", quantization))
    got = score_arrays(moved, values, options, test_quantization=quantization)
    assert got.lsb is not None
    assert got.lsb.histogram == (int((moved == stored).sum()), int((moved != stored).sum()), 0, 0)
    assert got.test.saturated_low == int((moved == -128).sum())
    assert got.test.saturated_high == int((moved == 127).sum())
    assert got.reference.saturated_low == int((stored == -128).sum())
    both = score_arrays(moved, stored, options, test_quantization=quantization, reference_quantization=quantization)
    assert both.lsb == got.lsb
    assert both.euclidean == pytest.approx(got.euclidean, rel=1e-6)


@pytest.mark.parametrize("implementation", range(6))
def test_errors_in_float16_ulps(implementation: int) -> None:
    rng = np.random.default_rng(5)
    reference = (rng.normal(0, 1, 5000) * 10.0 ** rng.integers(-7, 5, 5000)).astype(np.float32)
    test = reference.astype(np.float16).astype(np.float32)
    test[::7] *= np.float32(1.002)
    keep = np.isfinite(test)
    test, reference = test[keep], reference[keep]
    options = ScoreOptions(float16_ulp=True, ulp_limit=0.5, implementation=implementation)
    got = score_arrays(test, reference, options).ulp
    expected = float16_ulps(test, reference)
    assert got is not None
    assert got.max_ulp == pytest.approx(expected.max())
    assert got.over == int((expected > 0.5).sum())
    assert 0 < got.over < reference.size


def test_memory_order_and_strides_do_not_matter() -> None:
    test, reference = noisy_pair("float32", (4, 5, 6, 7))
    expected = score_arrays(test, reference)
    assert score_arrays(np.asfortranarray(test), reference) == expected
    assert score_arrays(test.transpose(3, 1, 0, 2), reference.transpose(3, 1, 0, 2)).euclidean == pytest.approx(
        expected.euclidean
    )
    assert score_arrays(test[:, ::2], reference[:, ::2]).n == 4 * 3 * 6 * 7
    assert score_arrays(test.astype(">f4"), reference) == expected
    unaligned = np.frombuffer(b"\0" + test.tobytes(), np.uint8)[1:].view(np.float32).reshape(test.shape)
    assert not unaligned.flags.aligned
    assert score_arrays(unaligned, reference) == expected


def test_read_only_arrays_are_scored() -> None:
    test, reference = noisy_pair("float32")
    test.flags.writeable = False
    assert score_arrays(test, reference).n == test.size


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_are_scored_one_by_one(axis: int) -> None:
    test, reference = noisy_pair("float32", (2, 5, 11, 3))
    got = score_channels(test, reference, axis)
    assert len(got) == test.shape[axis]
    for channel, statistics in enumerate(got):
        a, b = np.take(test, channel, axis), np.take(reference, channel, axis)
        assert_scores(statistics, reference_scores(a, b, atol=1e-5, rtol=1e-3))


def test_large_sums_stay_accurate() -> None:
    n = 3_000_000
    values = np.full(n, 0.1, np.float32)
    got = score_arrays(values, values * np.float32(2))
    exact = float(np.float32(0.1))
    assert got.dot == pytest.approx(2 * n * exact * exact, rel=1e-13)
    assert got.cosine == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ScoreOptions(atol=-1), "atol"),
        (ScoreOptions(rtol=math.nan), "rtol"),
        (ScoreOptions(scale=0.0), "scale"),
        (ScoreOptions(scale=math.inf), "scale"),
        (ScoreOptions(ulp_limit=-1), "ulp_limit"),
    ],
)
def test_impossible_options_are_refused(options: ScoreOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score_arrays(np.zeros(1, np.float32), np.zeros(1, np.float32), options)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="c8"):
        score_arrays(np.zeros(1, np.complex64), np.zeros(1, np.complex64))
    with pytest.raises(UsageError, match="only integers"):
        score_arrays(np.zeros(1, np.float32), np.zeros(1, np.float32), test_quantization=Quantization(1.0, 0))
    with pytest.raises(UsageError, match="axis 4"):
        score_channels(np.zeros(1, np.float32), np.zeros(1, np.float32), 4)
    with pytest.raises(UsageError, match="float32"):
        grid_ends("float32", Quantization(1.0, 0))
