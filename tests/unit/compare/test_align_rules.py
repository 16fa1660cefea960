"""The match rules below the exact name, what is refused, and what is reported as missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alignment_data import entries, load_case, reference, tensor
from rkparity.compare.align import align
from rkparity.compare.alignment import Alignment, MatchRule, PairRole, Reason
from rkparity.errors import UsageError
from rkparity.model import read_model
from rkparity.runs.manifest import FUSED_BEFORE_QUANTIZATION, Engine, Manifest

INPUT = "000_InputOperator_x_shape_1_3_8_8_float.npy"
OUTPUT = "009_OutputOperator_y_shape_1_4_float.npy"


def simple(*tensors: tuple[str, str, tuple[int, ...]]) -> Manifest:
    return reference(
        tensor("x", "Input", (1, 3, 8, 8), 0),
        *(tensor(name, op_type, shape, order) for order, (name, op_type, shape) in enumerate(tensors, 1)),
    )


def partner(alignment: Alignment, raw: str) -> tuple[str, MatchRule] | Reason:
    for pair in alignment.pairs:
        if pair.dump.name.raw == raw:
            return pair.tensor.name, pair.match_rule
    return next(item.reason for item in alignment.unmatched_dumps if item.dump.name.raw == raw)


@pytest.mark.parametrize(
    ("dump", "row", "expected"),
    [
        # The toolkit's reshapes hold the same values.
        ("001_Sigmoid_p-rs_shape_1_4_1_1_float.npy", ("p", "Sigmoid", (1, 4)), ("p", MatchRule.SYNTHETIC)),
        ("001_Sigmoid_p_shape_1_4_float.npy", ("p-rs", "Sigmoid", (1, 4, 1, 1)), ("p-rs", MatchRule.SYNTHETIC)),
        ("001_Reshape_p_rs_shape_1_4_1_7_float.npy", ("p", "Add", (1, 4, 7)), ("p", MatchRule.SYNTHETIC)),
        ("001_Conv_p_mm_shape_1_4_1_1_float.npy", ("p", "Gemm", (1, 4)), ("p", MatchRule.SYNTHETIC)),
        # A matrix product as convolution is transposed against it, unless there is one dimension only.
        ("001_Conv_p_mm_shape_1_8_1_8_float.npy", ("p", "MatMul", (1, 8, 8)), Reason.BOARD_ONLY),
        # Other order of values: not the same tensor.
        ("001_Reshape_p_rs_shape_1_7_1_4_float.npy", ("p", "Add", (1, 4, 7)), Reason.BOARD_ONLY),
        ("001_Transpose_p_tp_shape_1_4_1_1_float.npy", ("p", "Add", (1, 4, 1, 1)), Reason.BOARD_ONLY),
        ("001_Conv_p_2conv0_shape_1_4_1_1_float.npy", ("p", "Conv", (1, 4, 1, 1)), Reason.BOARD_ONLY),
        # A part of a word is not a name.
        ("001_Conv_image_conv_shape_1_4_1_1_float.npy", ("conv", "Conv", (1, 4, 1, 1)), Reason.BOARD_ONLY),
        ("001_Conv_conv_shape_1_4_1_1_float.npy", ("image_conv", "Conv", (1, 4, 1, 1)), Reason.BOARD_ONLY),
        # A path with one more part in front is, when its shape and operator fit.
        (
            "001_ConvRelu__stem_Relu_shape_1_4_1_1_float.npy",
            ("/model/stem/Relu", "Relu", (1, 4, 1, 1)),
            ("/model/stem/Relu", MatchRule.SYNTHETIC),
        ),
        (
            "001_ConvRelu__stem_Relu_shape_1_4_1_1_float.npy",
            ("/model/stem/Relu", "Relu", (1, 4, 2, 2)),
            Reason.BOARD_ONLY,
        ),
        (
            "001_ConvRelu__stem_Relu_shape_1_4_1_1_float.npy",
            ("/model/stem/Relu", "Tanh", (1, 4, 1, 1)),
            Reason.BOARD_ONLY,
        ),
        # Custom operators: the tensor decides where the type ends.
        ("001_cst_x1_out_shape_1_4_float.npy", ("out", "cst_x1", (1, 4)), ("out", MatchRule.EXACT_NAME)),
        ("001_cst_x1_out_shape_1_4_float.npy", ("x1_out", "cst", (1, 4)), ("x1_out", MatchRule.EXACT_NAME)),
    ],
)
def test_names_that_differ(
    dump: str, row: tuple[str, str, tuple[int, ...]], expected: tuple[str, MatchRule] | Reason
) -> None:
    assert partner(align(entries(INPUT, dump), simple(row)), dump) == expected


def test_two_paths_with_one_end_are_not_a_partner() -> None:
    dump = "001_Conv__stem_c_shape_1_4_1_1_float.npy"
    rows = [(f"/{root}/stem/c", "Conv", (1, 4, 1, 1)) for root in "ab"]
    alignment = align(entries(INPUT, dump), simple(*rows))
    assert partner(alignment, dump) is Reason.BOARD_ONLY


def test_one_dump_and_two_reference_names_is_refused() -> None:
    dump = "001_Conv_a_b_shape_1_4_float.npy"
    alignment = align(entries(INPUT, dump), simple(("a/b", "Conv", (1, 4)), ("a.b", "Conv", (1, 4))))
    assert partner(alignment, dump) is Reason.NAME_COLLISION
    assert [item.reason for item in alignment.unmatched_tensors] == [Reason.NAME_COLLISION] * 2
    assert "'a/b', 'a.b'" in alignment.unmatched_tensors[0].text
    assert alignment.warnings[-1] == "1 dumps are not compared because their names mean several tensors"


@pytest.mark.parametrize(
    ("why", "engine", "scale", "expected"),
    [
        ("its file was overwritten", Engine.SIMULATOR, (0.5,), Reason.MEANINGLESS),
        (FUSED_BEFORE_QUANTIZATION, Engine.SIMULATOR, (), Reason.MEANINGLESS),
        (FUSED_BEFORE_QUANTIZATION, Engine.GOLDEN, (0.5,), Reason.MEANINGLESS),
        # Cut to the next operator's range in the simulator, and on the board where that computes it by itself.
        (FUSED_BEFORE_QUANTIZATION, Engine.SIMULATOR, (0.5,), ("c", MatchRule.EXACT_NAME)),
    ],
)
def test_a_tensor_the_toolkit_leaves_out_of_its_table(
    why: str, engine: Engine, scale: tuple[float, ...], expected: tuple[str, MatchRule] | Reason
) -> None:
    dump = "001_Conv_c_shape_1_4_float.npy"
    blank = replace(tensor("c", "Conv", (1, 4), 1, not_comparable=why), scale=scale, zero_point=(3,) if scale else ())
    alignment = align(entries(INPUT, dump), reference(tensor("x", "Input", (1, 3, 8, 8), 0), blank, engine=engine))
    assert partner(alignment, dump) == expected
    assert [item.reason for item in alignment.unmatched_tensors] == (
        [Reason.MEANINGLESS] if expected is Reason.MEANINGLESS else []
    )


def test_a_blank_tensor_on_another_grid_than_the_models_is_not_compared() -> None:
    case = load_case("cnn_classifier_int8")
    model = read_model(case.model)
    dump = "002_MaxPool__pool_MaxPool_output_0_shape_1_16_16_16_float.npy"
    scale = next(tensor.scale for tensor in model.tensors if tensor.name == "/pool/MaxPool_output_0")
    for zero_point, expected in ((-128, ("/pool/MaxPool_output_0", MatchRule.MODEL_NODE)), (0, Reason.MEANINGLESS)):
        blank = tuple(
            replace(record, not_comparable=FUSED_BEFORE_QUANTIZATION, scale=scale, zero_point=(zero_point,))
            if record.op_type == "MaxPool"
            else record
            for record in case.reference.tensors
        )
        assert partner(align(case.dumps, replace(case.reference, tensors=blank), model), dump) == expected


@pytest.mark.parametrize("others_have_scales", [False, True])
def test_a_blank_tensor_without_a_scale_was_kept_in_float_if_others_have_theirs(others_have_scales: bool) -> None:
    case = load_case("cnn_classifier_int8")
    model = read_model(case.model)
    dump = "002_MaxPool__pool_MaxPool_output_0_shape_1_16_16_16_float.npy"
    records = tuple(
        replace(record, not_comparable=FUSED_BEFORE_QUANTIZATION, scale=(), zero_point=())
        if record.op_type == "MaxPool"
        else replace(record, scale=(0.5,) if others_have_scales else (), zero_point=(0,) if others_have_scales else ())
        for record in case.reference.tensors
    )
    found = partner(align(case.dumps, replace(case.reference, tensors=records), model), dump)
    kept = Reason.MEANINGLESS if others_have_scales else ("/pool/MaxPool_output_0", MatchRule.MODEL_NODE)
    assert found == kept


def test_text_dumps_and_second_forms_are_listed() -> None:
    names = (
        "001_Conv_c_shape_1_4_float.npy",
        "001_Conv_c_shape_1_4_int8.npy",
        "001_Conv_c_shape_1_4_to_1_1_1_1_16_sa4_int8.tensor",
    )
    alignment = align(entries(INPUT, *names), simple(("c", "Conv", (1, 4))))
    assert [partner(alignment, name) for name in names] == [
        ("c", MatchRule.EXACT_NAME),
        Reason.SECOND_FORM,
        Reason.TEXT_DUMP,
    ]
    assert "001_Conv_c_shape_1_4_float.npy" in alignment.unmatched_dumps[0].text


def test_only_quantised_dumps_are_compared_as_they_are() -> None:
    alignment = align(
        entries("000_InputOperator_x_shape_1_3_8_8_int8.npy", "001_Conv_c_shape_1_4_int8.npy"),
        simple(("x_int8", "exDataConvert", (1, 3, 8, 8)), ("c", "Conv", (1, 4))),
    )
    assert [(pair.tensor.name, pair.dump.name.suffix.value) for pair in alignment.pairs] == [
        ("x_int8", "int8"),
        ("c", "int8"),
    ]


def test_pixels_and_floats_of_one_input_are_two_runs() -> None:
    alignment = align(entries(INPUT, INPUT.replace("float", "uint8"), OUTPUT), simple(("y", "Gemm", (1, 4))))
    assert any("dumps of several runs" in warning for warning in alignment.warnings)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(UsageError, match="not one of 2 dumps matches any of the 2 tensors of 'model'") as caught:
        align(
            entries("000_InputOperator_q_shape_1_float.npy", "001_Conv_r_shape_1_float.npy"),
            simple(("y", "Gemm", (1, 4))),
        )
    assert "rkparity inspect" in caught.value.hint


def test_dumps_of_another_model_are_an_error_when_the_model_is_given() -> None:
    case, other = load_case("cnn_classifier_int8"), load_case("non4d_int8")
    with pytest.raises(UsageError, match="none of the 8 dumps is of this model; the first is 000_Input"):
        align(other.dumps, case.reference, read_model(case.model))


def test_left_over_dumps_are_listed_and_warned_about() -> None:
    case = load_case("cnn_classifier_int8")
    stale = entries("002_Conv_old_shape_1_2_3_4_float.npy")
    alignment = align((*case.dumps, *stale), case.reference, read_model(case.model))
    (item,) = alignment.unmatched_dumps
    assert (item.dump, item.reason) == (stale[0], Reason.NOT_IN_MODEL)
    assert alignment.warnings[0].startswith("1 of 13 dumps are not of cnn_classifier_int8.rknn")
    by_name = align((*case.dumps, *stale), case.reference)
    assert any("operator 2 has dumps of several types (Conv, MaxPool)" in warning for warning in by_name.warnings)


def test_missing_dumps_are_named_by_the_model() -> None:
    case = load_case("multi_input_int8")
    kept = tuple(entry for entry in case.dumps if entry.name.index not in (4, 13))
    alignment = align(kept, case.reference, read_model(case.model))
    assert [item.stem for item in alignment.missing_dumps] == [
        "004_ConvAddRelu_relu0_shape_1_16_16_16",
        "013_Reshape_logits_shape_1_4",
    ]
    assert alignment.missing_dumps[0].tensor == "relu0"
    reasons = {item.tensor.name: item.reason for item in alignment.unmatched_tensors}
    assert reasons["relu0"] is Reason.MISSING_DUMP
    assert reasons["logits_int8"] is Reason.MISSING_DUMP
    assert alignment.warnings[0].startswith("2 of 17 dumps the model promises are not there")


def test_without_a_model_gaps_in_the_numbers_are_warned_about() -> None:
    alignment = align(entries(INPUT, "003_Conv_c_shape_1_4_float.npy"), simple(("c", "Conv", (1, 4))))
    assert alignment.warnings == (
        "no dump of operator 1, 2: dumps are missing",
        "no OutputOperator dump: the run stopped before the end, or the copy is incomplete",
    )


def test_same_shape_and_place_is_a_suggestion_only() -> None:
    dumps = entries(
        INPUT,
        "001_Conv_a_shape_1_4_float.npy",
        "002_Tanh_renamed_shape_1_7_float.npy",
        "003_Conv_b_shape_1_4_float.npy",
    )
    alignment = align(dumps, simple(("a", "Conv", (1, 4)), ("other", "Tanh", (1, 7)), ("b", "Conv", (1, 4))))
    assert partner(alignment, dumps[2].name.raw) is Reason.BOARD_ONLY
    (suggestion,) = alignment.suggestions
    assert (suggestion.dump, suggestion.tensor.name) == (dumps[2], "other")
    assert all(pair.tensor.name != "other" for pair in alignment.pairs)


def test_two_tensors_of_one_shape_give_no_suggestion() -> None:
    dumps = entries(INPUT, "001_Tanh_renamed_shape_1_7_float.npy")
    alignment = align(dumps, simple(("one", "Tanh", (1, 7)), ("two", "Tanh", (1, 7))))
    assert alignment.suggestions == ()


def test_a_reference_that_knows_sanitised_names_only() -> None:
    case = load_case("odd_names_int8")
    plain = tuple(
        replace(record, name=record.file[4:-4], name_is_sanitized=True)
        for record in case.reference.tensors
        if record.name not in ("a/b", "a_b")
    )
    alignment = align(case.dumps, replace(case.reference, tensors=plain), read_model(case.model))
    # One file a_b, three operators of that name: the file may be any of theirs.
    assert {item.dump.name.index for item in alignment.unmatched_dumps} == {2, 3, 4}
    assert {item.reason for item in alignment.unmatched_dumps} == {Reason.NAME_COLLISION}
    assert len(alignment.pairs) == 10


def test_a_quantised_input_without_its_twin_goes_to_the_float_one() -> None:
    case = load_case("non4d_int8")
    tensors = tuple(record for record in case.reference.tensors if record.name != "signal_int8")
    alignment = align(case.dumps, replace(case.reference, tensors=tensors), read_model(case.model))
    assert (alignment.pairs[0].tensor.name, alignment.pairs[0].role) == ("signal", PairRole.INPUT)


def test_a_model_without_an_operator_list_falls_back_to_names() -> None:
    case = load_case("cnn_classifier_int8")
    model = replace(read_model(case.model), nodes=())
    alignment = align(case.dumps, case.reference, model)
    assert len(alignment.pairs) == len(case.dumps)
    assert all(pair.match_rule is not MatchRule.MODEL_NODE for pair in alignment.pairs)


def test_the_model_says_where_a_custom_operators_type_ends() -> None:
    case = load_case("cnn_classifier_int8")
    model = read_model(case.model)
    nodes = tuple(replace(node, op_type="cst_my_pool") if node.op_type == "MaxPool" else node for node in model.nodes)
    old = "002_MaxPool__pool_MaxPool_output_0"
    dumps = entries(*(entry.name.raw.replace(old, old.replace("MaxPool_", "cst_my_pool_", 1)) for entry in case.dumps))
    alignment = align(dumps, case.reference, replace(model, nodes=nodes))
    assert len(alignment.pairs) == len(dumps)
    assert (alignment.pairs[2].dump.name.op_type, alignment.pairs[2].tensor.name) == (
        "cst_my_pool",
        "/pool/MaxPool_output_0",
    )
