"""A layer's own error: published boards' rows against the table of rules, and what each rule catches and lets pass."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.compare.judge import Kind
from rkparity.compare.kernels import ScoreOptions, score_arrays
from rkparity.compare.operator_rules import OPERATOR_RULES, OTHER_RULE, Family, rule_of
from rkparity.compare.own_error import OwnError, judge_own
from rkparity.compare.verdict import Verdict

ROWS = Path(__file__).resolve().parents[2] / "data" / "compare" / "board_rows.csv"
# The relative distance an int8 layer fails at; float16 layers have their family's.
INT8_RELATIVE = 0.06
SCALE = 0.05
Values = NDArray[np.float32]


def rows(half: int) -> list[dict[str, str]]:
    with ROWS.open(newline="") as file:
        return [row for number, row in enumerate(csv.DictReader(file)) if number % 2 == half]


@pytest.mark.parametrize("half", [0, 1], ids=["even rows", "odd rows"])
def test_published_boards_healthy_rows_are_within_their_rule_and_broken_ones_are_not(half: int) -> None:
    seen = {"healthy": 0, "broken": 0}
    for row in rows(half):
        if not row["relative"] or row["relative"].startswith("<="):
            continue
        limit = rule_of(row["op_type"]).relative if row["precision"] == "float16" else INT8_RELATIVE
        broken = row["verdict"] == "broken"
        assert (float(row["relative"]) > limit) is broken, row
        seen["broken" if broken else "healthy"] += 1
    assert seen["healthy"] > 50
    assert seen["broken"] >= 2


def test_published_boards_copy_exactly_in_float16_even_behind_a_fault() -> None:
    copies = [
        row
        for half in (0, 1)
        for row in rows(half)
        if row["precision"] == "float16"
        and rule_of(row["op_type"]).family is Family.MOVES
        and row["verdict"] != "broken"
    ]
    assert len(copies) > 60
    assert {float(row["single_sim_euc"] or 0) for row in copies} == {0.0}


@pytest.mark.parametrize(
    ("op_type", "family"),
    [
        ("Conv", Family.SUMS),
        ("ConvRelu", Family.FUSED),
        ("ConvAddRelu", Family.FUSED),
        ("ConvSigmoid", Family.TABLE),
        ("exSwish", Family.TABLE),
        ("exSoftmax13", Family.TABLE),
        ("exGelu", Family.TABLE),
        ("exNorm", Family.NORM),
        ("BatchNormalization", Family.SUMS),
        ("Reshape", Family.MOVES),
        ("Gather", Family.MOVES),
        ("TopK", Family.DISCRETE),
        ("SomethingNew", Family.OTHER),
    ],
)
def test_the_family_of_an_operator(op_type: str, family: Family) -> None:
    assert rule_of(op_type).family is family


def test_every_rule_says_where_it_is_from() -> None:
    assert all(rule.source for rule in (*OPERATOR_RULES, OTHER_RULE))


def values(seed: int = 0) -> Values:
    codes = np.random.default_rng(seed).integers(-90, 90, (1, 16, 24, 24))
    return (codes * np.float32(SCALE)).astype(np.float32)


def rounded(expected: Values, one: float = 0.2, two: float = 0.005, seed: int = 1) -> Values:
    """A healthy NPU's codes: a share `one` off by one, `two` by two."""
    random = np.random.default_rng(seed)
    draw = random.random(expected.shape)
    size = np.where(draw < two, 2, np.where(draw < two + one, 1, 0))
    sign = np.where(random.random(expected.shape) < 0.5, -1, 1)
    return (expected + size * sign * np.float32(SCALE)).astype(np.float32)


def quantized(board: Values, expected: Values, op_type: str = "Conv") -> OwnError:
    stats = score_arrays(board, expected, ScoreOptions(scale=SCALE))
    return judge_own(stats, Kind.QUANTIZED, rule_of(op_type), SCALE, board, expected)


def floating(board: Values, expected: Values, op_type: str = "Conv") -> OwnError:
    stats = score_arrays(board, expected, ScoreOptions())
    return judge_own(stats, Kind.FLOAT, rule_of(op_type), None, board, expected)


@pytest.mark.parametrize("one", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("op_type", ["Conv", "ConvRelu", "exSwish", "exNorm", "Unknown"])
def test_rounding_either_way_is_no_fault(one: float, op_type: str) -> None:
    for seed in range(10):
        expected = values(seed)
        assert quantized(rounded(expected, one, one / 40, seed + 50), expected, op_type).verdict is not Verdict.FAIL


@pytest.mark.parametrize(
    ("op_type", "place"), [("Conv", (0, 3)), ("exSwish", (0, 3)), ("Conv", (0, slice(None), 5)), ("Reshape", (0, 0, 0))]
)
def test_three_steps_anywhere_are_a_fault(op_type: str, place: tuple[int | slice, ...]) -> None:
    expected = values()
    board = rounded(expected, 0.01, 0)
    board[place] += np.float32(3 * SCALE)
    assert quantized(board, expected, op_type).verdict is Verdict.FAIL


def test_two_steps_in_one_channel_are_named_as_that_channel() -> None:
    expected = values()
    board = rounded(expected, 0.05, 0)
    board[0, 7] = expected[0, 7] + np.float32(2 * SCALE)
    found = quantized(board, expected)
    assert found.verdict is Verdict.FAIL
    assert found.place == "channel 7"


def test_a_factor_below_every_step_limit_is_found_by_its_projection() -> None:
    codes = np.random.default_rng(4).integers(-30, 30, (1, 16, 24, 24)).astype(np.float32)
    expected = codes * np.float32(SCALE)
    board = np.rint(codes * np.float32(1.05)) * np.float32(SCALE)
    found = quantized(board.astype(np.float32), expected)
    assert found.verdict is Verdict.FAIL
    assert any("times what its own inputs give" in reason for reason in found.reasons)


def test_a_copy_that_is_not_exact_is_remarked() -> None:
    expected = values()
    board = expected.copy()
    board[0, 0, 0, 0] += np.float32(SCALE)
    assert quantized(board, expected, "Reshape").verdict is Verdict.WARN
    assert quantized(expected.copy(), expected, "Reshape").verdict is Verdict.PASS


def halves(seed: int = 0) -> Values:
    return np.random.default_rng(seed).standard_normal((1, 16, 24, 24)).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("ulps", [1, 2, 3])
@pytest.mark.parametrize("op_type", ["Conv", "exSwish", "exNorm", "Concat"])
def test_float16_steps_are_no_fault(ulps: int, op_type: str) -> None:
    expected = halves()
    step = np.spacing(expected.astype(np.float16)).astype(np.float32)
    board = expected + step * np.random.default_rng(1).integers(-ulps, ulps + 1, expected.shape).astype(np.float32)
    assert floating(board.astype(np.float32), expected, op_type).verdict is not Verdict.FAIL


@pytest.mark.parametrize("op_type", ["Conv", "exSwish", "Unknown"])
@pytest.mark.parametrize("fault", ["channel zero", "column zero", "x1.15", "shift", "element"])
def test_float16_faults(op_type: str, fault: str) -> None:
    expected = halves()
    board = expected.copy()
    if fault == "channel zero":
        board[0, 5] = 0
    elif fault == "column zero":
        board[..., 2] = 0
    elif fault == "x1.15":
        board *= np.float32(1.15)
    elif fault == "shift":
        board += np.float32(0.05)
    else:
        board[0, 1, 2, 3] += np.float32(1.0)
    assert floating(board, expected, op_type).verdict is Verdict.FAIL


def test_a_weak_dead_channel_is_found_though_the_cosine_does_not_see_it() -> None:
    expected = halves()
    expected[0, 9] *= np.float32(0.01)
    board = expected.copy()
    board[0, 9] = 0
    found = floating(board, expected)
    assert found.stats.cosine > 0.99999
    assert found.verdict is Verdict.FAIL
    assert found.place == "channel 9"


def test_nan_on_one_side_is_a_fault() -> None:
    expected = halves()
    board = expected.copy()
    board[0, 0, 0, 0] = np.nan
    assert floating(board, expected, "exSwish").verdict is Verdict.FAIL
