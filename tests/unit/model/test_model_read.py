from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from alignment_data import CASES, DATA, load_case
from rkparity.errors import DataError
from rkparity.model import TensorKind, read_model
from rkparity.runs.dump_names import parse_dump_name, sanitize

MODELS = DATA / "models"


def test_what_a_quantised_classifier_says_about_itself() -> None:
    path = MODELS / "cnn_classifier_int8.rknn"
    model = read_model(path)
    assert (model.file_version, model.platform, model.source_framework) == (6, "rk3588", "ONNX")
    assert model.compiler_version.startswith("2.5.0(compiler version: 2.5.0")
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [node.op_type for node in model.nodes] == [
        "InputOperator",
        "ConvRelu",
        "MaxPool",
        "ConvRelu",
        "ConvRelu",
        "Conv",
        "Conv",
        "Conv",
        "exDataConvert",
        "exSoftmax13",
        "Reshape",
        "OutputOperator",
    ]
    (normalization,) = model.normalization
    assert normalization.mean == (123.675, 116.28, 103.53)
    assert normalization.std == (58.395, 57.12, 57.375)
    assert (normalization.name, normalization.shape, normalization.layout) == ("input", (1, 3, 64, 64), "nchw")
    assert not normalization.rgb2bgr
    assert not normalization.is_identity
    (given,) = model.input_tensors
    assert (given.name, given.dtype, given.layout, given.kind) == ("input", "int8", "NC1HWC2", TensorKind.INPUT)
    assert (given.shape, given.native_dims, given.size) == ((1, 3, 64, 64), (1, 1, 64, 64, 3), 12288)
    assert given.zero_point == (-14,)
    assert list(given.scale) == pytest.approx([0.018658448], rel=1e-6)
    assert given.is_quantized
    assert model.output_tensors[0].dtype == "float16"
    assert not model.output_tensors[0].is_quantized
    assert model.is_quantized
    assert model.warnings == ()
    assert model.trailer["target_platform"] == ["rk3588"]


@pytest.mark.parametrize("name", CASES)
def test_expected_dumps_are_what_the_runtime_wrote(name: str) -> None:
    case = load_case(name)
    written = [parse_dump_name(entry.name.raw) for entry in case.dumps]
    expected = read_model(case.model).expected_dumps()
    assert [item.stem for item in expected] == [dump.raw.rpartition("_")[0] for dump in written]
    assert [sanitize(item.tensor.name) for item in expected] == [dump.tensor for dump in written]


def test_an_operator_with_two_outputs_dumps_both() -> None:
    # evidence 160_b25_split_int8
    stems = [item.stem for item in read_model(MODELS / "b25_split_int8_rk3588.rknn").expected_dumps()]
    assert stems == [
        "000_InputOperator_x_shape_1_3_8_8",
        "001_Conv_c_shape_1_8_8_8",
        "002_Split_s_0_shape_1_4_8_8",
        "002_Split_s_1_shape_1_4_8_8",
        "003_Relu_r0_shape_1_4_8_8",
        "004_Sigmoid_r1_shape_1_4_8_8",
        "005_OutputOperator_r0_shape_1_4_8_8",
        "006_OutputOperator_r1_shape_1_4_8_8",
        "007_OutputOperator_c_shape_1_8_8_8",
    ]


@pytest.mark.parametrize("name", CASES)
def test_inputs_and_outputs_agree_with_what_the_runtime_answers(name: str) -> None:
    case = load_case(name)
    model = read_model(case.model)
    sides = {"input": model.input_tensors, "output": model.output_tensors}
    assert len(case.attributes) == len(model.inputs) + len(model.outputs)
    for attribute in case.attributes:
        tensor = sides[attribute["side"]][attribute["index"]]
        assert tensor.name == attribute["name"]
        assert {"int8": "INT8", "float16": "FP16", "int64": "INT64"}[tensor.dtype] == attribute["type"]
        dims = list(tensor.shape)
        if attribute["fmt"] == "NHWC":
            dims = [dims[0], dims[2], dims[3], dims[1]]
        assert dims == attribute["dims"]
        if tensor.is_quantized:
            assert tensor.scale[0] == pytest.approx(attribute["scale"], rel=1e-6)
            assert tensor.zero_point[0] == attribute["zp"]


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("int8")])
def test_scales_agree_with_the_toolkits_own_quantisation_file(name: str) -> None:
    case = load_case(name)
    model = read_model(case.model)
    by_name = {tensor.name: tensor for tensor in model.tensors if tensor.is_quantized}
    compared = 0
    for row in case.quantization:
        tensor = by_name.get(row["name"].removesuffix("_int8"))
        if tensor is None:
            continue
        assert list(tensor.scale) == pytest.approx(row["scale"], rel=1e-6), row["name"]
        assert list(tensor.zero_point) == row["zero_point"], row["name"]
        compared += 1
    assert compared >= 7


def test_a_file_of_the_mini_runtime_gives_its_operators_and_scales() -> None:
    model = read_model(MODELS / "b25_c3w30_int8_rv1106.rknn")
    assert (model.file_version, model.platform, model.warnings) == (4100, "rv1106", ())
    assert model.compiler_version.startswith("2.5.0(compiler version")
    # The names of evidence mrt232_zc_u8's dumps, the attributes of mrt232_*: q.
    assert [dump.stem for dump in model.expected_dumps()] == [
        "000_InputOperator_x_shape_1_3_9_30",
        "001_Conv_y_shape_1_5_9_30",
        "002_OutputOperator_y_shape_1_5_9_30",
    ]
    (given,) = model.input_tensors
    assert (given.name, given.dtype, given.shape, given.zero_point) == ("x", "int8", (1, 3, 9, 30), (-4,))
    assert given.scale == pytest.approx((0.0572583526,), rel=1e-7)
    (answer,) = model.output_tensors
    assert (answer.name, answer.shape, answer.native_dims, answer.zero_point) == (
        "y",
        (1, 5, 9, 30),
        (1, 1, 9, 30, 16),
        (9,),
    )
    assert [(item.name, item.mean, item.std) for item in model.normalization] == [("x", (0.0,), (1.0,))]


def test_a_damaged_file_of_the_mini_runtime_is_refused(tmp_path: Path) -> None:
    data = bytearray((MODELS / "b25_c3w30_int8_rv1106.rknn").read_bytes())
    data[64:68] = (1 << 31).to_bytes(4, "little")
    path = tmp_path / "damaged.rknn"
    path.write_bytes(data)
    with pytest.raises(DataError, match="its payload should end with 2147483648 bytes of model data"):
        read_model(path)


def test_several_inputs_come_in_the_order_of_the_api() -> None:
    model = read_model(MODELS / "multi_input_int8.rknn")
    assert [tensor.name for tensor in model.input_tensors] == ["image", "aux", "meta"]
    assert [(item.name, item.mean[0], item.std[0]) for item in model.normalization] == [
        ("image", 127.5, 127.5),
        ("aux", 0.0, 255.0),
        ("meta", 0.0, 1.0),
    ]
    assert model.normalization[2].is_identity
    assert [node.op_type for node in model.nodes if node.op_type == "InputOperator"] == ["InputOperator"] * 3
    producer = model.producer("relu0")
    assert producer is not None
    assert (producer.index, producer.op_type) == (4, "ConvAddRelu")
    inputs = [model.tensors[index].name for index in producer.inputs]
    assert inputs == ["aux", "aux_conv_i1", "aux_conv_i2", "image_conv"]
    assert model.producer("no such tensor") is None


def test_an_integer_input_is_not_quantised() -> None:
    model = read_model(MODELS / "b25_ids_fp16_rk3588.rknn")
    assert [(tensor.dtype, tensor.is_quantized) for tensor in model.input_tensors] == [("int64", False)]
    assert not model.is_quantized


def test_weights_are_not_copied(tmp_path: Path) -> None:
    """A payload with 200 MB behind it reads in the memory of its tables."""
    import tracemalloc

    data = bytearray((MODELS / "b25_ids_fp16_rk3588.rknn").read_bytes())
    payload = int.from_bytes(data[16:24], "little")
    path = tmp_path / "large.rknn"
    with path.open("wb") as file:
        file.write(data[:16] + (payload + 200_000_000).to_bytes(8, "little") + data[24 : 64 + payload])
        file.seek(200_000_000, 1)
        file.write(data[64 + payload :])
    tracemalloc.start()
    model = read_model(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(model.nodes) == 8
    assert peak < 5_000_000


def test_a_file_of_toolkit_2_2_0_has_the_same_tables() -> None:
    """The multi_input model again, built by the oldest supported toolkit: it copies image inputs by a convolution."""
    old, new = read_model(MODELS / "multi_input_int8_toolkit220.rknn"), read_model(MODELS / "multi_input_int8.rknn")
    assert old.compiler_version.startswith("2.2.0(")
    assert old.normalization[:2] == new.normalization[:2]
    assert old.normalization[2].mean == (0.0,) * 8
    assert [(tensor.name, tensor.scale, tensor.zero_point) for tensor in old.input_tensors] == [
        (tensor.name, tensor.scale, tensor.zero_point) for tensor in new.input_tensors
    ]
    stems = [item.stem for item in old.expected_dumps()]
    assert stems[2:5] == [
        "002_InputOperator_meta_shape_1_8",
        "003_Conv_New_input_image_shape_1_3_32_32",
        "004_Conv_New_input_aux_shape_1_1_32_32",
    ]
