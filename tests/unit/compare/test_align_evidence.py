"""Every dump of real runs is aligned with the right tensor of the real toolkit's snapshot of the same model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alignment_data import CASES, Case, entries, load_case, reference, tensor
from rkparity.compare.align import align
from rkparity.compare.alignment import Alignment, MatchRule, PairRole, Reason
from rkparity.model import read_model
from rkparity.runs.manifest import InputForm, TensorRecord

COLLIDING = {"a/b", "a_b", "a:b"}

# Dumps whose partner is not the tensor of exactly the dump's name: (case, dump index) -> tensor.
OTHER_NAMES = {
    ("multi_input_int8", 2): "meta_int8",
    ("multi_input_int8", 13): "logits_int8",
    ("multi_input_int8", 15): "prob_int8",
    ("non4d_int8", 0): "signal_int8",
    ("non4d_int8", 6): "out_int8",
    ("odd_names_fp16", 1): "in:0",
    ("odd_names_int8", 0): "in:0_int8",
    ("odd_names_int8", 1): "in:0_int8",
    ("odd_names_int8", 11): "out;0_int8",
}


def run(case: Case, with_model: bool) -> Alignment:
    return align(case.dumps, case.reference, read_model(case.model) if with_model else None)


def sanitized(name: str) -> str:
    for character in "/:.;":
        name = name.replace(character, "_")
    return name


@pytest.mark.parametrize("with_model", [False, True], ids=["by name", "by model"])
@pytest.mark.parametrize("name", CASES)
def test_every_dump_is_aligned_to_its_layer(name: str, with_model: bool) -> None:
    case = load_case(name)
    alignment = run(case, with_model)
    for pair in alignment.pairs:
        expected = OTHER_NAMES.get((name, pair.dump.name.index))
        if expected is None:
            assert sanitized(pair.tensor.name) == pair.dump.name.tensor
        else:
            assert pair.tensor.name == expected
        assert pair.tensor.shape == pair.dump.name.shape
    refused = {item.dump.name.index for item in alignment.unmatched_dumps}
    collided: set[int] = set()
    if name.startswith("odd_names"):
        # By name three operators write "a_b"; the model tells them apart, but the snapshot kept only a:b's file.
        collided = {2, 3} if with_model else {2, 3, 4}
    assert refused == collided
    assert all(item.reason is Reason.NAME_COLLISION for item in alignment.unmatched_dumps)
    assert len(alignment.pairs) + len(collided) == len(case.dumps)
    assert alignment.missing_dumps == ()
    assert alignment.suggestions == ()


@pytest.mark.parametrize("with_model", [False, True], ids=["by name", "by model"])
@pytest.mark.parametrize("name", CASES)
def test_every_simulator_tensor_without_a_dump_is_explained(name: str, with_model: bool) -> None:
    case = load_case(name)
    alignment = run(case, with_model)
    paired = {pair.tensor.name for pair in alignment.pairs}
    unmatched = {item.tensor.name: item for item in alignment.unmatched_tensors}
    assert not paired & set(unmatched)
    assert paired | set(unmatched) == {record.name for record in case.reference.tensors}
    for record in case.reference.tensors:
        if record.name not in unmatched:
            continue
        reason = unmatched[record.name].reason
        assert unmatched[record.name].text
        if record.name in COLLIDING:
            assert reason is Reason.NAME_COLLISION
        elif record.not_comparable:
            assert reason is Reason.MEANINGLESS
        elif record.op_type in ("Input", "exDataConvert"):
            assert reason is Reason.CONVERSION
        else:
            assert record.op_type in ("Conv", "Add")
            assert reason is Reason.FUSED_AWAY


def texts(alignment: Alignment) -> dict[str, str]:
    return {item.tensor.name: item.text for item in alignment.unmatched_tensors}


def test_a_fused_tensor_names_the_group_it_is_part_of() -> None:
    found = texts(run(load_case("multi_input_fp16"), False))
    assert {name: text.split("'")[1] for name, text in found.items()} == {
        "meta_fc_mm": "meta_relu-rs",
        "aux_conv": "relu0",
        "conv0": "relu0",
        "conv1": "lrelu1",
        "meta_relu-rs_conv": "logits_mm",
    }
    assert found["conv0"].startswith("part of ConvAddRelu on the NPU")


def test_match_rules_and_roles_by_name() -> None:
    pairs = {pair.dump.name.index: pair for pair in run(load_case("cnn_classifier_int8"), False).pairs}
    assert (pairs[0].match_rule, pairs[0].role, pairs[0].form) == (MatchRule.EXACT_NAME, PairRole.INPUT, InputForm.RAW)
    assert (pairs[1].match_rule, pairs[1].role, pairs[1].form) == (MatchRule.FUSED_LAST, PairRole.LAYER, None)
    assert pairs[2].match_rule is MatchRule.EXACT_NAME
    assert (pairs[11].match_rule, pairs[11].role) == (MatchRule.EXACT_NAME, PairRole.OUTPUT)
    assert pairs[2].native_dtype == ""
    assert pairs[2].scale == ()
    pairs = {pair.dump.name.index: pair for pair in run(load_case("non4d_int8"), False).pairs}
    assert (pairs[0].match_rule, pairs[0].form) == (MatchRule.SYNTHETIC, InputForm.NORMALIZED)
    assert pairs[6].match_rule is MatchRule.SYNTHETIC
    assert (pairs[7].tensor.name, pairs[7].role) == ("out", PairRole.OUTPUT)


def test_the_model_gives_every_pair_its_scale() -> None:
    pairs = {pair.dump.name.index: pair for pair in run(load_case("cnn_classifier_int8"), True).pairs}
    assert all(pair.match_rule is MatchRule.MODEL_NODE for pair in pairs.values())
    assert (pairs[0].native_dtype, pairs[0].zero_point) == ("int8", (-14,))
    assert list(pairs[1].scale) == pytest.approx([0.02123256], rel=1e-6)
    assert pairs[1].zero_point == (-128,)
    assert (pairs[9].native_dtype, pairs[9].scale) == ("float16", ())
    pairs = {pair.dump.name.index: pair for pair in run(load_case("odd_names_int8"), True).pairs}
    assert (pairs[11].tensor.name, pairs[12].tensor.name) == ("out;0_int8", "out;0")
    assert list(pairs[12].scale) == list(pairs[11].scale) == pytest.approx([0.0024987750], rel=1e-6)
    assert pairs[1].match_rule is MatchRule.SYNTHETIC


def test_a_run_with_a_file_per_tensor_and_the_model_tells_colliding_names_apart() -> None:
    case = load_case("odd_names_int8")
    numbered = tuple(replace(record, file=f"tensors/{record.order:04d}.npy") for record in case.reference.tensors)
    alignment = align(case.dumps, replace(case.reference, tensors=numbered), read_model(case.model))
    assert {pair.dump.name.index: pair.tensor.name for pair in alignment.pairs if pair.tensor.name in COLLIDING} == {
        2: "a/b",
        3: "a_b",
        4: "a:b",
    }
    assert alignment.unmatched_dumps == ()
    by_name = align(case.dumps, replace(case.reference, tensors=numbered))
    assert {item.dump.name.index for item in by_name.unmatched_dumps} == {2, 3, 4}
    assert {item.tensor.name for item in by_name.unmatched_tensors if item.reason is Reason.NAME_COLLISION} == COLLIDING


PUBLIC_2X = entries(
    "000_InputOperator_input_shape_1_3_224_224_uint8.npy",
    "001_ConvClip_317_shape_1_32_112_112_float.npy",
    "001_ConvClip_input_shape_1_3_224_224_uint8.npy",
    "002_ConvClip_320_shape_1_32_112_112_float.npy",
    "003_Conv_480_shape_1_16_112_112_float.npy",
    "054_Conv_output_mm_shape_1_1000_1_1_float.npy",
    "055_Reshape_output_shape_1_1000_float.npy",
    "056_OutputOperator_output_shape_1_1000_float.npy",
)


def test_a_2x_runtimes_second_dump_of_the_input() -> None:
    """Public board log of a MobileNetV2 on RK356x: the first convolution's index also carries its input."""
    alignment = align(
        PUBLIC_2X,
        reference(
            tensor("input", "Input", (1, 3, 224, 224), 0),
            tensor("input_int8", "exDataConvert", (1, 3, 224, 224), 1),
            tensor("475", "Conv", (1, 32, 112, 112), 2, not_comparable="fused before quantisation"),
            tensor("317", "Clip", (1, 32, 112, 112), 3),
            tensor("478", "Conv", (1, 32, 112, 112), 4),
            tensor("320", "Clip", (1, 32, 112, 112), 5),
            tensor("480", "Conv", (1, 16, 112, 112), 6),
            tensor("output_mm", "Conv", (1, 1000, 1, 1), 7),
            tensor("output_int8", "Reshape", (1, 1000), 8),
            tensor("output", "exDataConvert", (1, 1000), 9),
        ),
    )
    found = {
        pair.dump.name.raw.partition("_shape")[0]: (pair.tensor.name, pair.role, pair.form) for pair in alignment.pairs
    }
    assert found == {
        "000_InputOperator_input": ("input", PairRole.INPUT, InputForm.RAW),
        "001_ConvClip_317": ("317", PairRole.LAYER, None),
        "001_ConvClip_input": ("input", PairRole.DUPLICATE_INPUT, InputForm.RAW),
        "002_ConvClip_320": ("320", PairRole.LAYER, None),
        "003_Conv_480": ("480", PairRole.LAYER, None),
        "054_Conv_output_mm": ("output_mm", PairRole.LAYER, None),
        "055_Reshape_output": ("output_int8", PairRole.LAYER, None),
        "056_OutputOperator_output": ("output", PairRole.OUTPUT, None),
    }
    assert alignment.unmatched_dumps == ()
    assert {item.tensor.name: item.reason for item in alignment.unmatched_tensors} == {
        "input_int8": Reason.CONVERSION,
        "475": Reason.MEANINGLESS,
        "478": Reason.FUSED_AWAY,
    }
    assert alignment.warnings == ("no dump of operator 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, ...: dumps are missing",)


def test_a_duplicate_of_the_input_fits_the_model_too() -> None:
    case = load_case("cnn_classifier_int8")
    again = entries("001_ConvRelu_input_shape_1_3_64_64_uint8.npy")
    alignment = align((*case.dumps, *again), case.reference, read_model(case.model))
    (pair,) = [pair for pair in alignment.pairs if pair.role is PairRole.DUPLICATE_INPUT]
    assert (pair.dump, pair.tensor.name, pair.form) == (again[0], "input", InputForm.RAW)
    assert alignment.unmatched_dumps == ()


def test_no_tensor_is_changed_by_alignment() -> None:
    case = load_case("odd_names_int8")
    alignment = run(case, True)
    records: list[TensorRecord] = [pair.tensor for pair in alignment.pairs]
    assert all(any(record is known for known in case.reference.tensors) for record in records)


@pytest.mark.parametrize("with_model", [False, True], ids=["by name", "by model"])
def test_the_compilers_copy_of_a_pixel_input_is_the_quantised_input(with_model: bool) -> None:
    """Toolkit 2.2.0 copies image inputs by a convolution: it takes the pixels and gives what the NPU works on."""
    case = load_case("multi_input_int8")
    model = read_model(case.model.with_name("multi_input_int8_toolkit220.rknn"))
    pixels = ("image", "aux")
    dumps = entries(
        *(
            f"{item.stem}_{'uint8' if item.op_type == 'InputOperator' and item.tensor.name in pixels else 'float'}.npy"
            for item in model.expected_dumps()
        )
    )
    alignment = align(dumps, case.reference, model if with_model else None)
    found = {pair.dump.name.tensor: (pair.tensor.name, pair.match_rule) for pair in alignment.pairs}
    assert found["New_input_image"] == ("image_int8", MatchRule.SYNTHETIC)
    assert found["New_input_aux"] == ("aux_int8", MatchRule.SYNTHETIC)
    assert {item.tensor.name for item in alignment.unmatched_tensors if item.reason is Reason.CONVERSION} == {"meta"}
