"""Verdicts on single pairs of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.compare.judge import Golden, Incoming, Judgement, Kind, judge
from rkparity.compare.kernels import ScoreOptions, score_arrays
from rkparity.compare.thresholds import Limits
from rkparity.compare.verdict import Verdict

SCALE = 0.05
EXACT = Incoming()


def quantized(
    errors: dict[int, float],
    *,
    n: int = 10_000,
    incoming: Incoming = EXACT,
    golden: Golden | None = None,
    limits: Limits | None = None,
) -> Judgement:
    """Judges a quantised tensor of which some elements are off by so many LSB."""
    codes = np.random.default_rng(1).integers(-100, 100, n).astype(np.float32)
    board = codes.copy()
    for index, steps in errors.items():
        board[index] += np.float32(steps)
    stats = score_arrays(board * np.float32(SCALE), codes * np.float32(SCALE), ScoreOptions(scale=SCALE))
    return judge(stats, Kind.QUANTIZED, limits or Limits(), scale=SCALE, incoming=incoming, golden=golden)


def floating(board: NDArray[np.float32], simulator: NDArray[np.float32], incoming: Incoming = EXACT) -> Judgement:
    """Judges a float tensor."""
    return judge(score_arrays(board, simulator), Kind.FLOAT, Limits(), scale=None, incoming=incoming)


def test_equal_tensors_have_nothing_to_remark() -> None:
    assert quantized({}) == Judgement(Verdict.PASS, ())


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        (dict.fromkeys(range(0, 2000), 1.0), Verdict.PASS),
        (dict.fromkeys(range(0, 10), 2.0), Verdict.PASS),
        (dict.fromkeys(range(0, 11), 2.0), Verdict.WARN),
        (dict.fromkeys(range(0, 50), 2.0), Verdict.WARN),
        (dict.fromkeys(range(0, 51), 2.0), Verdict.FAIL),
        ({5: 3.0}, Verdict.PASS),
        ({5: 4.0}, Verdict.WARN),
        ({5: 9.0}, Verdict.FAIL),
        (dict.fromkeys(range(100), 3.0), Verdict.FAIL),
        ({index: (-1.0) ** index for index in range(3000)}, Verdict.WARN),
        (dict.fromkeys(range(10_000), 1.0), Verdict.FAIL),
    ],
)
def test_quantized_limits(errors: dict[int, float], verdict: Verdict) -> None:
    assert quantized(errors).verdict is verdict


def test_one_of_few_elements_is_no_share() -> None:
    assert quantized({3: 2.0}, n=10).verdict is Verdict.WARN
    assert quantized({3: 2.0, 4: -2.0}, n=10).verdict is Verdict.FAIL
    assert quantized({3: 1.0}, n=1 + 3).verdict is Verdict.PASS


def test_reasons_begin_with_the_gravest() -> None:
    reasons = quantized({5: 50.0, **dict.fromkeys(range(100, 120), 2.0)}).reasons
    assert reasons[0] == "largest error 50 LSB at element 5"
    assert reasons[1].startswith("21 of 10000 elements (0.21 %) are off by more than 1 LSB")


def test_incoming_error_explains_so_much() -> None:
    errors = dict.fromkeys(range(0, 10_000, 100), 3.0)
    relative = 0.3 / np.sqrt(np.mean(np.random.default_rng(1).integers(-100, 100, 10_000) ** 2.0))
    assert quantized(errors).verdict is Verdict.FAIL
    assert quantized(errors, incoming=Incoming(relative / 3.9)).verdict is Verdict.WARN
    assert quantized(errors, incoming=Incoming(relative / 4.1)).verdict is Verdict.FAIL
    assert quantized(errors, incoming=Incoming(relative, failed=True)).verdict is Verdict.FAIL
    assert quantized(errors, incoming=Incoming(10.0), limits=Limits(accumulated_fail=0.0)).verdict is Verdict.FAIL


def test_golden_explains_accumulated_error_only_if_no_element_stands_out() -> None:
    errors = dict.fromkeys(range(0, 10_000, 100), 3.0)
    little = Incoming(1e-6)
    golden = Golden(0.011, 0.01, 3.0 * SCALE, 1.1)
    assert quantized(errors, incoming=little, golden=golden).verdict is Verdict.WARN
    assert quantized(errors, golden=golden).verdict is Verdict.FAIL
    assert quantized({**errors, 7: 7.0}, incoming=little, golden=golden).verdict is Verdict.FAIL


def test_error_against_golden_is_a_warning() -> None:
    judgement = quantized({5: 1.0}, golden=Golden(0.02, 0.01, SCALE, 2.0))
    assert judgement.verdict is Verdict.WARN
    assert judgement.reasons == ("error against golden is 2 times the simulator's",)


def test_ratio_of_two_roundings_means_nothing() -> None:
    simulator = np.random.default_rng(2).normal(0, 1, 5000).astype(np.float32)
    board = simulator.astype(np.float16).astype(np.float32)
    stats = score_arrays(board, simulator)
    golden = Golden(4e-4, 2e-4, 1e-3, 2.0)
    assert judge(stats, Kind.FLOAT, Limits(), scale=None, incoming=EXACT, golden=golden).verdict is Verdict.PASS


def test_float_limits() -> None:
    simulator = np.random.default_rng(2).normal(0, 1, 5000).astype(np.float32)
    rounded = simulator.astype(np.float16).astype(np.float32)
    assert floating(rounded, simulator).verdict is Verdict.PASS
    assert floating(simulator * np.float32(1.005), simulator).verdict is Verdict.WARN
    doubled = floating(simulator * 2, simulator)
    assert doubled.verdict is Verdict.FAIL
    assert "scale ratio 2 instead of 1" in doubled.reasons
    shifted = floating(simulator + np.float32(0.02), simulator)
    assert shifted.verdict is Verdict.FAIL
    spike = simulator.copy()
    spike[17] += np.float32(0.5)
    assert floating(spike, simulator).verdict is Verdict.FAIL


def test_values_below_the_precision_of_float16_are_equal() -> None:
    step = np.float32(2.0**-24)
    simulator = np.random.default_rng(4).uniform(0, 2e-6, 5000).astype(np.float32)
    rounded = simulator.astype(np.float16).astype(np.float32)
    assert floating(rounded, simulator).verdict is Verdict.PASS
    assert floating(np.zeros_like(simulator[:9]), np.full(9, 3 * step)).verdict is Verdict.PASS
    assert floating(np.zeros_like(simulator[:9]), np.full(9, 5 * step)).verdict is Verdict.FAIL
    assert floating(simulator + 40 * step, simulator).verdict is Verdict.FAIL


def test_special_values() -> None:
    ones = np.ones(100, np.float32)
    zeros = np.zeros(100, np.float32)
    nan, inf = ones.copy(), ones.copy()
    nan[3], inf[3] = np.nan, np.inf
    assert floating(zeros, zeros) == Judgement(Verdict.PASS, ())
    assert floating(ones, ones) == Judgement(Verdict.PASS, ())
    assert floating(zeros, ones).verdict is Verdict.FAIL
    assert floating(ones, zeros).verdict is Verdict.FAIL
    assert floating(nan, ones, Incoming(1.0)).verdict is Verdict.FAIL
    assert floating(ones, inf, Incoming(1.0)).verdict is Verdict.FAIL
    assert floating(inf, inf) == Judgement(Verdict.WARN, ("1 elements are NaN or Inf on both sides alike",))
    assert floating(nan, nan).verdict is Verdict.WARN
    assert floating(nan[3:4], nan[3:4]).verdict is Verdict.WARN
    empty = np.zeros((1, 0), np.float32)
    assert floating(empty, empty) == Judgement(Verdict.PASS, ("empty on both sides",))


def test_lone_step_in_a_zero_tensor_is_rounding() -> None:
    simulator = np.zeros(10_000, np.float32)
    simulator[4] = SCALE
    stats = score_arrays(np.zeros(10_000, np.float32), simulator, ScoreOptions(scale=SCALE))
    assert judge(stats, Kind.QUANTIZED, Limits(), scale=SCALE, incoming=EXACT).verdict is Verdict.PASS


def test_integers_must_be_equal() -> None:
    simulator = np.arange(100, dtype=np.int64)
    board = simulator.copy()
    assert (
        judge(score_arrays(board, simulator), Kind.INTEGER, Limits(), scale=None, incoming=EXACT).verdict
        is Verdict.PASS
    )
    board[9] = 0
    judgement = judge(score_arrays(board, simulator), Kind.INTEGER, Limits(), scale=None, incoming=Incoming(0.5))
    assert judgement == Judgement(Verdict.FAIL, ("1 of 100 integers (1 %) differ",))
