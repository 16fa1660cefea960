"""The search over readings of an output: no false alarms, the right name, and nothing confident where nothing fits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.diagnose.outputs.explain import OutputExplanation, explain_output
from rkparity.diagnose.outputs.findings import finding_of
from rkparity.diagnose.outputs.records import ExpectedOutput, ObservedOutput

SHAPES = [
    (1, 8, 8, 8),
    (1, 85, 10, 10),
    (1, 3, 17, 30),
    (1, 16, 7, 9),
    (2, 5, 6, 6),
    (1, 1000),
    (1, 84, 100),
    (1, 21, 1, 1),
]
SCALE, ZERO = 0.0375, -23


def expected(shape: tuple[int, ...], seed: int, *, dtype: str = "int8", exact: bool = True) -> ExpectedOutput:
    random = np.random.default_rng(seed)
    if dtype == "float16":
        values = random.standard_normal(shape).astype(np.float16).astype(np.float32)
        return ExpectedOutput(0, "y", values, "the dump", exact, dtype)
    low, high = (-128, 128) if dtype == "int8" else (0, 256)
    codes = np.clip(np.rint(random.normal((low + high) / 2, 40, shape)), low, high - 1)
    zero = ZERO if dtype == "int8" else 229
    values = ((codes - zero) * np.float32(SCALE)).astype(np.float32)
    return ExpectedOutput(0, "y", values, "the dump", exact, dtype, float(np.float32(SCALE)), zero)


def name(target: ExpectedOutput, values: NDArray[np.generic], **more: object) -> str | None:
    finding = finding_of(explain_output(ObservedOutput(0, values, "the application"), target, **more))  # type: ignore[arg-type]
    return None if finding is None else finding.id


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16"])
def test_right_outputs_have_no_finding(shape: tuple[int, ...], dtype: str) -> None:
    for seed in range(8):
        target = expected(shape, seed, dtype=dtype)
        given = [target.values, target.values.reshape(-1).astype(np.float32)]
        if target.is_quantized:
            given.append(target.codes.astype(dtype))
            by_hand = (target.codes.astype(np.float64) - target.zero_point) * (target.scale or 1)
            given.append(by_hand.astype(np.float32))
        for values in given:
            assert name(target, values) is None


@pytest.mark.parametrize("place", [0, 1, 7777, 230_399])
@pytest.mark.parametrize("value", [1e9, -0.5, float("nan"), float("inf")])
def test_one_wrong_value_of_many_is_no_right_output(place: int, value: float) -> None:
    for dtype in ("int8", "float16"):
        target = expected((1, 1, 480, 480), 1, dtype=dtype)
        values = target.values.copy()
        values.reshape(-1)[place] = value
        finding = finding_of(explain_output(ObservedOutput(0, values, "the application"), target))
        assert finding is not None
        assert finding.id == "output.elements"
        assert finding.evidence[0].numbers == {"wrong": 1.0, "first": float(place), "elements": 230400.0}
        assert ("NaN or Inf" in finding.cause) == (not np.isfinite(value))


@pytest.mark.parametrize("kept", [1, 100, 4000, 230_399])
def test_a_part_of_an_output_is_no_right_output(kept: int) -> None:
    target = expected((1, 1, 480, 480), 1)
    assert name(target, target.values.reshape(-1)[:kept].copy()) in ("output.short", "output.untouched")


def test_a_nan_is_wrong_where_the_simulators_output_is_the_measure() -> None:
    target = expected((1, 1, 480, 480), 1, exact=False)
    values = target.values.copy()
    values.reshape(-1)[5] = np.nan
    assert name(target, values) == "output.elements"


def test_an_output_kept_as_float16_is_right() -> None:
    for seed in range(8):
        target = expected((1, 8, 8, 8), seed)
        assert name(target, target.values.astype(np.float16)) is None
        assert name(target, (target.values + np.float32(4 * SCALE)).astype(np.float16)) is not None


def test_the_simulators_outputs_allow_one_step() -> None:
    for seed in range(8):
        target = expected((1, 8, 8, 8), seed, exact=False)
        off = target.values.copy()
        off.reshape(-1)[::3] += np.float32(SCALE)
        assert name(target, off) is None
        assert name(target, off + np.float32(3 * SCALE)) is not None


def blocks(array: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    n, c, h, w = array.shape
    groups = -(-c // size)
    out = np.zeros((n, groups, h, w, size), np.float32)
    for channel in range(c):
        out[:, channel // size, :, :, channel % size] = array[:, channel]
    return out.reshape(-1)[: array.size]


def rows(array: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    padded = np.zeros((*array.shape[:3], stride), np.float32)
    padded[..., : array.shape[3]] = array
    return padded.reshape(-1)[: array.size]


Mistake = Callable[[ExpectedOutput], NDArray[np.generic]]
MISTAKES: list[tuple[str, Mistake]] = [
    ("output.quantization.missing", lambda y: y.codes.astype(np.float32)),
    ("output.quantization.zero_point_missing", lambda y: (y.codes * (y.scale or 1)).astype(np.float32)),
    ("output.quantization.scale_missing", lambda y: (y.codes - y.zero_point).astype(np.float32)),
    (
        "output.quantization.signedness",
        lambda y: ((y.codes % 256 - y.zero_point) * (y.scale or 1)).astype(np.float32),
    ),
    (
        "output.want_float.raw_as_float",
        lambda y: np.frombuffer(y.codes.astype(np.int8).tobytes() + b"\0\0", np.uint8)[: y.codes.size // 4 * 4].view(
            np.float32
        ),
    ),
    ("output.want_float.float_as_raw", lambda y: np.frombuffer(y.values.tobytes(), np.int8)[: y.values.size]),
    ("output.layout.nhwc", lambda y: y.values.transpose(0, 2, 3, 1)),
    ("output.layout.nc1hwc2", lambda y: blocks(y.values, 16)),
    (
        "output.layout.nchw_as_nhwc",
        lambda y: y.values.reshape(y.values.shape[0], *y.values.shape[2:], -1).transpose(0, 3, 1, 2),
    ),
    (
        "output.partly_filled",
        lambda y: np.where(np.arange(y.values.size) < y.values.size // 3, y.values.reshape(-1), 0),
    ),
    ("output.untouched", lambda y: np.zeros(y.values.shape, np.float32)),
    (
        "output.layout.nhwc+output.quantization.zero_point_missing",
        lambda y: (y.codes.reshape(y.values.shape) * (y.scale or 1)).transpose(0, 2, 3, 1).astype(np.float32),
    ),
    (
        "output.layout.nc1hwc2+output.quantization.missing",
        lambda y: blocks(y.codes.reshape(y.values.shape).astype(np.float32), 16),
    ),
]


@pytest.mark.parametrize(("identity", "mistake"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_mistakes_on_every_shape(identity: str, mistake: Mistake) -> None:
    for seed, shape in enumerate([(1, 8, 8, 8), (1, 85, 10, 10), (1, 3, 17, 30), (2, 5, 6, 6)]):
        target = expected(shape, seed)
        assert name(target, mistake(target)) == identity, shape


def test_stride() -> None:
    target = expected((1, 3, 17, 30), 3)
    assert name(target, rows(target.values, 32)) == "output.layout.stride"


def test_lines_out_of_date() -> None:
    target = expected((1, 8, 32, 32), 4)
    seen = target.values.reshape(-1).copy()
    before = np.random.default_rng(8).standard_normal(seen.size).astype(np.float32)
    for line in range(0, seen.size // 16, 3):
        seen[line * 16 : line * 16 + 16] = before[line * 16 : line * 16 + 16]
    assert name(target, seen) == "output.cache"


def test_stale_and_linear() -> None:
    target, before = expected((1, 8, 8, 8), 1), expected((1, 8, 8, 8), 2).values
    assert name(target, before, earlier=[("the run before", before)]) == "output.stale"
    assert name(target, target.values * np.float32(1.7) + np.float32(0.3)) == "output.linear"


def outside(target: ExpectedOutput, kind: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Values that come about in no way known here."""
    values = target.values
    flat = values.reshape(-1)
    made = [
        random.standard_normal(values.shape),
        random.permutation(flat),
        np.tanh(values) ** 3,
        values + random.normal(0, SCALE * 20, values.shape),
        np.sort(flat),
        values * random.uniform(0.5, 2, values.shape),
        np.cumsum(flat),
        np.exp(values) / np.exp(values).sum(),
        np.roll(flat, 37) * values.reshape(-1)[::-1],
        np.abs(values) ** 0.5,
    ]
    return np.asarray(made[kind % len(made)], np.float32)


def test_nothing_is_claimed_about_what_nothing_explains() -> None:
    random = np.random.default_rng(11)
    claimed = []
    for seed in range(20):
        target = expected(SHAPES[seed % 5], seed)
        finding = finding_of(
            explain_output(ObservedOutput(0, outside(target, seed, random), "the application"), target)
        )
        assert finding is not None
        if finding.id != "output.unexplained" and finding.confidence > 0.3:
            claimed.append((seed, finding.id))
    assert len(claimed) <= 2, claimed


def test_few_values_make_little_confidence() -> None:
    target = ExpectedOutput(0, "y", np.array([[0.5, 0.5]], np.float32), "the dump", True, "int8", 0.5, 0)
    explanation = explain_output(ObservedOutput(0, np.array([[1.0, 1.0]], np.float32), "the application"), target)
    finding = finding_of(explanation)
    assert isinstance(explanation, OutputExplanation) and finding is not None
    assert finding.confidence <= 0.5
