"""Booleans in a compiled model: int8 of scale 1 without a range; they make no model a quantised one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alignment_data import DATA
from rkparity.model import Model, ModelTensor, TensorKind, read_model


@pytest.fixture(scope="module")
def float_model() -> Model:
    return read_model(DATA / "models" / "cnn_classifier_fp16.rknn")


@pytest.fixture(scope="module")
def int8() -> ModelTensor:
    """A calibrated tensor of the quantised build."""
    return read_model(DATA / "models" / "cnn_classifier_int8.rknn").input_tensors[0]


def test_a_calibrated_int8_tensor_is_no_boolean(int8: ModelTensor) -> None:
    assert int8.is_quantized and not int8.is_boolean
    assert not replace(int8, scale=(1.0,), zero_point=(0,)).is_boolean  # it has a range
    assert not replace(int8, minimum=(), maximum=()).is_boolean


def test_a_float16_model_with_a_boolean_stays_one(float_model: Model, int8: ModelTensor) -> None:
    boolean = replace(int8, name="mask", kind=TensorKind.ACTIVATION, scale=(1.0,), zero_point=(0,), minimum=())
    assert boolean.is_boolean and not boolean.is_quantized
    assert not replace(float_model, tensors=(*float_model.tensors, boolean)).is_quantized
    assert replace(float_model, tensors=(*float_model.tensors, int8)).is_quantized
