from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_data import DATA, compose_dump_name
from rkparity.errors import DataError
from rkparity.runs.dump_names import (
    DumpSuffix,
    parse_dump_name,
    sanitize,
)


def test_a_name_of_the_real_runtime() -> None:
    name = parse_dump_name("001_ConvRelu__stem_Relu_output_0_shape_1_16_32_32_float.npy")
    assert (name.index, name.op_type, name.tensor) == (1, "ConvRelu", "_stem_Relu_output_0")
    assert (name.shape, name.suffix, name.suffix.dtype) == ((1, 16, 32, 32), DumpSuffix.FLOAT, "float32")
    assert not name.is_text
    assert not name.is_input
    assert not name.is_output


@pytest.mark.parametrize(
    ("filename", "op_type", "tensor", "shape", "suffix"),
    [
        ("000_InputOperator_x_shape_20_float.npy", "InputOperator", "x", (20,), DumpSuffix.FLOAT),
        ("000_InputOperator_ids_shape_1_16_int64.npy", "InputOperator", "ids", (1, 16), DumpSuffix.INT64),
        ("001_InputOperator_m_shape_1_16_int8.npy", "InputOperator", "m", (1, 16), DumpSuffix.INT8),
        ("002_ArgMax_am_shape_1_1_8_8_int64.npy", "ArgMax", "am", (1, 1, 8, 8), DumpSuffix.INT64),
        ("001_Conv_c_shape_1_5_8_8_float16.npy", "Conv", "c", (1, 5, 8, 8), DumpSuffix.FLOAT16),
        ("001_Reshape_a_rs_shape_1_16_1_1_int32.npy", "Reshape", "a_rs", (1, 16, 1, 1), DumpSuffix.INT32),
        ("006_Tanh_with space_shape_1_4_8_8_float.npy", "Tanh", "with space", (1, 4, 8, 8), DumpSuffix.FLOAT),
        ("009_Sigmoid_模型_输出_shape_1_4_8_8_float.npy", "Sigmoid", "模型_输出", (1, 4, 8, 8), DumpSuffix.FLOAT),
        (
            "010_Tanh_q\"uote's|<>*?\\__shape_1_4_8_8_float.npy",
            "Tanh",
            "q\"uote's|<>*?\\_",
            (1, 4, 8, 8),
            DumpSuffix.FLOAT,
        ),
        (
            "008_exDataConvert__fc_mm__float16_shape_1_10_1_1_float.npy",
            "exDataConvert",
            "_fc_mm__float16",
            (1, 10, 1, 1),
            DumpSuffix.FLOAT,
        ),
        ("003_Conv_a_shape_1_2_float_shape_3_4_int8.npy", "Conv", "a_shape_1_2_float", (3, 4), DumpSuffix.INT8),
        ("003_Conv_a_shape_shape_3_uint8.npy", "Conv", "a_shape", (3,), DumpSuffix.UINT8),
        ("1000_Conv_c_shape_1_float.npy", "Conv", "c", (1,), DumpSuffix.FLOAT),
        (
            "000_InputOperator_input_shape_1_3_224_224_uint8.npy",
            "InputOperator",
            "input",
            (1, 3, 224, 224),
            DumpSuffix.UINT8,
        ),
        ("001_ConvClip_317_shape_1_32_112_112_float.npy", "ConvClip", "317", (1, 32, 112, 112), DumpSuffix.FLOAT),
    ],
)
def test_names_parse_from_the_right(
    filename: str, op_type: str, tensor: str, shape: tuple[int, ...], suffix: DumpSuffix
) -> None:
    name = parse_dump_name(filename)
    assert (name.op_type, name.tensor, name.shape, name.suffix) == (op_type, tensor, shape, suffix)
    assert name.raw == filename


def test_text_dumps_are_recognised() -> None:
    name = parse_dump_name("003_Conv_7_shape_1_8_128_128_to_1_1_128_128_16_sa4_int8.tensor")
    assert name.is_text
    assert (name.tensor, name.shape, name.native) == ("7", (1, 8, 128, 128), (1, 1, 128, 128, 16))
    mini_runtime = parse_dump_name("001_Conv_y_shape_1_5_9_30_float.tensor")
    assert (mini_runtime.is_text, mini_runtime.native) == (True, ())


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "manifest.json",
        "Conv_a_shape_1_float.npy",
        "01_Conv_a_shape_1_float.npy",
        "001_Conv_shape_1_float.npy",
        "001_Conv_a_shape_1_double.npy",
        "001_Conv_a_1_2_float.npy",
        "001_Conv_a_shape_1_-2_float.npy",
        "001_Conv_a_shape_1_float.npy.part",
        "../001_Conv_a_shape_1_float.npy",
        "001_Conv_a/b_shape_1_float.npy",
        "001_Conv_a\0_shape_1_float.npy",
        "001_Conv_" + "x" * 300 + "_shape_1_float.npy",
        "001__a_shape_1_float.npy",
    ],
)
def test_other_names_are_refused(filename: str) -> None:
    with pytest.raises(DataError, match="is not the name of a librknnrt dump"):
        parse_dump_name(filename)


def test_exactly_four_characters_are_replaced() -> None:
    assert sanitize("a/b:c.d;e") == "a_b_c_d_e"
    kept = " \"'|<>*?\\-#+,@~模型"
    assert sanitize(kept) == kept


def test_every_name_of_the_evidence_composes_back() -> None:
    count = 0
    for file in sorted((DATA / "alignment").glob("*.json")):
        for raw in json.loads(file.read_text(encoding="utf-8"))["dumps"]:
            name = parse_dump_name(raw)
            assert compose_dump_name(name.index, name.op_type, name.tensor, name.shape, name.suffix) == raw
            count += 1
    assert count == 99


names = st.text(st.characters(blacklist_characters="\0\ud800"), min_size=1, max_size=40)
types = st.from_regex(r"(ex)?[A-Z][A-Za-z0-9]{0,12}", fullmatch=True)
shapes = st.lists(st.integers(0, 99999), max_size=6).map(tuple)


@given(st.integers(0, 99999), types, names, shapes, st.sampled_from(DumpSuffix))
def test_what_is_composed_parses_back(
    index: int, op_type: str, tensor: str, shape: tuple[int, ...], suffix: DumpSuffix
) -> None:
    name = parse_dump_name(compose_dump_name(index, op_type, tensor, shape, suffix))
    assert (name.index, name.op_type, name.tensor) == (index, op_type, sanitize(tensor))
    assert (name.shape, name.suffix) == (shape, suffix)


@given(st.from_regex(r"cst[A-Za-z0-9_]{0,10}", fullmatch=True), names, shapes)
def test_a_model_settles_the_type_of_a_custom_operator(op_type: str, tensor: str, shape: tuple[int, ...]) -> None:
    name = parse_dump_name(compose_dump_name(3, op_type, tensor, shape, DumpSuffix.FLOAT))
    resolved = name.resolved(op_type, tensor)
    assert resolved is not None
    assert (resolved.op_type, resolved.tensor) == (op_type, sanitize(tensor))
    assert (op_type, sanitize(tensor)) in name.candidates()
    assert name.resolved("Conv", tensor) is None


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(DataError):
        assert parse_dump_name(text).raw == text


def test_only_custom_operators_have_several_readings() -> None:
    assert parse_dump_name("003_Conv_image_conv_shape_1_float.npy").candidates() == (("Conv", "image_conv"),)
    assert parse_dump_name("003_cst_x1_out_shape_1_float.npy").candidates() == (("cst", "x1_out"), ("cst_x1", "out"))
