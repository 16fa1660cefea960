"""Inputs that are no pictures of three channels: axes in another order, and channels of stacked pictures."""

from __future__ import annotations

import numpy as np
import pytest

from rkparity.diagnose.inputs import ExpectedInput, InputExplanation, ObservedInput, explain_input


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def explain(seen: np.ndarray, wanted: np.ndarray) -> InputExplanation:
    return explain_input(ObservedInput(seen, float16=True), ExpectedInput(normalized=wanted))


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((1, 40, 16), (0, 2, 1)),
        ((3, 40, 16), (0, 2, 1)),
        ((3, 40, 16), (2, 0, 1)),
        ((12, 9), (1, 0)),
        ((1, 4, 5, 6, 7), (0, 2, 3, 4, 1)),
        ((1, 4, 5, 6, 7), (0, 4, 1, 2, 3)),
        ((2, 3, 4, 5, 6), (0, 1, 4, 3, 2)),
        ((1, 2, 3, 4, 5, 6), (0, 5, 1, 2, 3, 4)),
        ((1, 2, 3, 4, 5, 6), (0, 1, 3, 2, 5, 4)),
    ],
)
def test_axes_in_another_order(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    wanted = values(shape)
    half = wanted.astype(np.float16).astype(np.float32)
    answer = explain(half.transpose(order).reshape(shape), wanted)
    best = answer.hypotheses[0]
    assert (best.ids, answer.unexplained, answer.tied) == (("layout.axes",), False, ())
    assert f"transpose({', '.join(map(str, order))})" in best.text
    assert best.confidence > 0.6
    (finding,) = answer.findings
    assert finding.id == "input.layout.axes" and "original model" in finding.fix


def test_noise_of_rank_five_is_not_explained_by_axes() -> None:
    answer = explain(values((1, 4, 5, 6, 7), 1), values((1, 4, 5, 6, 7), 2))
    assert answer.unexplained
    assert all("layout.axes" not in item.ids for item in answer.hypotheses)


def test_the_right_tensor_is_healthy_in_every_rank() -> None:
    for shape in ((7,), (4, 5), (3, 4, 5), (1, 2, 3, 4, 5), (1, 2, 3, 2, 3, 4)):
        wanted = values(shape)
        assert explain(wanted.astype(np.float16).astype(np.float32), wanted).healthy


def test_a_uint8_tensor_of_rank_three_has_no_layout() -> None:
    wanted = np.random.default_rng(5).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    assert explain_input(ObservedInput(wanted), ExpectedInput(raw=wanted)).healthy


def stacked(channels: int) -> np.ndarray:
    """Pictures of three channels on top of each other, (1, C, H, W) uint8."""
    y, x = np.mgrid[0:24, 0:32]
    planes = [90 + 60 * np.sin(x / (3.0 + c)) + 40 * np.cos(y / (2.0 + c)) + 3 * c for c in range(channels)]
    return np.clip(np.stack(planes)[None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [6, 12])
@pytest.mark.parametrize(
    ("order", "name"),
    [
        (lambda c: [i // 3 * 3 + 2 - i % 3 for i in range(c)], "channels.swapped"),
        (lambda c: list(range(c))[::-1], "channels.order"),
        (lambda c: [*range(3, c), 0, 1, 2], "channels.order"),
        (lambda c: [i % 3 * (c // 3) + i // 3 for i in range(c)], "channels.order"),
    ],
)
def test_channels_of_stacked_pictures(channels: int, order: object, name: str) -> None:
    assert callable(order)
    wanted = stacked(channels)
    answer = explain_input(
        ObservedInput(np.ascontiguousarray(wanted[:, order(channels)])),
        ExpectedInput(raw=wanted.transpose(0, 2, 3, 1)),
    )
    best = answer.hypotheses[0]
    assert (best.ids, best.residual, answer.unexplained) == ((name,), 0.0, False)
    assert [best.steps[0].numbers[f"channel_{place}"] for place in range(channels)] == order(channels)


@pytest.mark.parametrize("channels", [6, 12])
def test_nchw_of_many_channels(channels: int) -> None:
    wanted = stacked(channels)
    seen = wanted.reshape(1, 24, 32, channels).transpose(0, 3, 1, 2)
    answer = explain_input(ObservedInput(np.ascontiguousarray(seen)), ExpectedInput(raw=wanted.transpose(0, 2, 3, 1)))
    assert (answer.hypotheses[0].ids, answer.unexplained) == (("layout.nchw_as_nhwc",), False)
