"""Fault orders: what is read, what is refused, what an alteration does to values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkparity.emulator.description import layer_tensors
from rkparity.emulator.faults import Alteration, FaultKind, make_plan
from rkparity.errors import UsageError
from rkparity.model import Model, read_model

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"
STEM, FC = "/stem/Relu_output_0", "/fc/Gemm_output_0_mm__float16"


@pytest.fixture(scope="module")
def classifier() -> Model:
    return read_model(MODELS / "cnn_classifier_int8.rknn")


def test_every_kind_in_one_text(classifier: Model) -> None:
    plan = make_plan(
        f"nan:{FC}; noise:{STEM}:0.25;slow:200ms\nfail-run:-2;stuck-output:0; fail-layer:_pool_MaxPool_output_0\n"
        f"dump-dir-full:{STEM};",
        classifier,
    )
    assert [(item.kind, item.layer.tensor.name, item.amount) for item in plan.alterations] == [
        (FaultKind.NOISE, STEM, 0.25),
        (FaultKind.NAN, FC, 0.0),
    ]
    assert (plan.slow_s, plan.fail_code, plan.failing_node, plan.full_node) == (0.2, -2, 2, 1)
    assert plan.stuck_outputs == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("melt:conv", "'melt' is not known"),
        ("wrong", "'' names no layer"),
        ("wrong:conv", "'conv' names no layer of cnn_classifier_int8.rknn"),
        (f"noise:{STEM}", "names no layer"),
        (f"noise:{STEM}:-1", "'-1' is no positive number"),
        (f"noise:{STEM}:nan", "'nan' is no positive number"),
        (f"nan:{STEM}", f"{STEM} is int8, which has no NaN"),
        ("stuck-output:1", "'1' is no number from 0 to 0"),
        ("fail-run:0", "'0' is no number from -13 to -1"),
        ("slow:fast", "'fast' is no duration up to 60s"),
        ("slow:61s", "'61s' is no duration"),
        (f"wrong:{STEM};melt", "'melt' is not known"),
    ],
)
def test_refusals(classifier: Model, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")) as caught:
        make_plan(text, classifier)
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    model = read_model(MODELS / "cnn_classifier_int8.rknn")
    try:
        make_plan(text, model)
    except UsageError:
        return


def test_values_stay_what_the_tensor_can_hold(classifier: Model) -> None:
    layer = next(item for item in layer_tensors(classifier) if item.tensor.name == STEM)
    scale, zero_point = layer.tensor.scale[0], layer.tensor.zero_point[0]
    levels = np.random.default_rng(1).integers(-128, 128, (1, 16, 32, 32))
    values = ((levels - zero_point).astype(np.float32) * np.float32(scale)).astype(np.float32)
    noisy = Alteration(FaultKind.NOISE, layer, 0.1).apply(values)
    grid = noisy / np.float32(scale) + zero_point
    np.testing.assert_allclose(grid, np.rint(grid), atol=1e-3)
    assert np.rint(grid).min() >= -128 and np.rint(grid).max() <= 127
    ratio = float(np.std(noisy - values) / np.sqrt(np.mean(values.astype(np.float64) ** 2)))
    assert 0.08 < ratio < 0.105 and noisy.dtype == np.float32
    np.testing.assert_array_equal(noisy, Alteration(FaultKind.NOISE, layer, 0.1).apply(values))
    wrong = Alteration(FaultKind.WRONG, layer).apply(values)
    np.testing.assert_array_equal(wrong.reshape(-1), values.reshape(-1)[::-1])


def test_one_nan(classifier: Model) -> None:
    layer = next(item for item in layer_tensors(classifier) if item.tensor.name == FC)
    values = np.arange(10, dtype=np.float32).reshape(1, 10, 1, 1)
    changed = Alteration(FaultKind.NAN, layer).apply(values).reshape(-1)
    assert np.isnan(changed[5]) and np.isnan(changed).sum() == 1 and values[0, 5, 0, 0] == 5
