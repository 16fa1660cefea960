"""compare-dumps on whole folders of dumps: verdicts on layers, thresholds, channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compare_cases import (
    CASES,
    LAYER0,
    LAYER0_SCALE,
    Case,
    change,
    dump,
    pair,
    simulated,
)

from rkparity.model import read_model


@pytest.mark.parametrize("name", CASES)
def test_perfect_board_passes(name: str, tmp_path: Path) -> None:
    case = Case(tmp_path, name)
    code, result = case.compare()
    assert code == 0
    assert result["verdict"] == "pass"
    assert result["first_divergence"] is None
    assert {item["verdict"] for item in result["pairs"]} == {"pass"}
    assert len(result["pairs"]) == len(list(case.dumps.iterdir()))
    assert all(item["match_rule"] == "model-node" for item in result["pairs"])
    assert all(item["scores"]["cosine"] == pytest.approx(1) for item in result["pairs"] if item["scores"])
    assert [item for item in result["not_compared"] if item["expected"]] == []
    assert all(item["reason"] and item["detail"] for item in result["not_compared"])


@pytest.mark.parametrize("name", CASES)
def test_perfect_board_without_model_warns_at_most(name: str, tmp_path: Path) -> None:
    code, result = Case(tmp_path, name).compare(model=False)
    assert code == 0
    quantized = name.endswith("int8")
    assert result["verdict"] == ("warn" if quantized else "pass")
    assert {proof["verdict"] for proof in result["input_proof"] if proof["method"] == "affine-fit"} <= {"warn"}
    assert {item["verdict"] for item in result["pairs"] if item["role"] != "input"} == {"pass"}


def test_few_elements_off_by_one_step_pass(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values.reshape(-1)[::2000] += np.float32(LAYER0_SCALE)
    change(path, values)
    code, result = cnn.compare()
    assert code == 0
    assert pair(result, LAYER0)["verdict"] == "pass"
    assert pair(result, LAYER0)["scores"]["lsb"]["histogram"] == [6140, 4, 0, 0]


@pytest.mark.parametrize("model", [True, False])
def test_three_steps_on_one_percent_is_the_first_divergence(cnn: Case, model: bool) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values.reshape(-1)[::100] += np.float32(3 * LAYER0_SCALE)
    change(path, values)
    code, result = cnn.compare(model=model)
    assert code == 1
    assert result["first_divergence"]["dump"] == path.name
    assert result["first_divergence"]["own_or_inherited"] == "own"
    found = pair(result, LAYER0)
    assert found["verdict"] == "fail"
    assert found["scale"] == pytest.approx(LAYER0_SCALE, rel=1e-5)
    assert found["scale_source"] == ("model" if model else "values")
    assert found["scores"]["lsb"]["histogram"] == [6144 - 62, 0, 0, 62]
    assert found["scores"]["lsb"]["max_lsb"] == pytest.approx(3, rel=1e-4)
    assert [item["order"] for item in result["pairs"] if item["verdict"] == "fail"] == [LAYER0]


def test_values_twice_as_large_fail_although_cosine_is_one(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path) * 2)
    code, result = cnn.compare()
    found = pair(result, LAYER0)
    assert code == 1
    assert found["scores"]["cosine"] == pytest.approx(1)
    assert any("scale ratio 2" in reason for reason in found["reasons"])


def test_everything_shifted_by_one_step_fails_on_the_mean(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path) + np.float32(LAYER0_SCALE))
    code, result = cnn.compare()
    assert code == 1
    assert pair(result, LAYER0)["reasons"][0].startswith("mean error +1 LSB")


def test_own_error_and_what_it_causes(multi: Case) -> None:
    """relu0 (4) is wrong; lrelu1 (5) reads it, meta_relu (10) does not, logits (11) reads both branches."""
    for order in (4, 5, 10, 11):
        path = dump(multi.dumps, order)
        change(path, np.load(path)[..., ::-1, :] * np.float32(1.7))
    code, result = multi.compare()
    assert code == 1
    assert result["first_divergence"]["order"] == 4
    origins = {order: pair(result, order)["own_or_inherited"] for order in (4, 5, 10, 11)}
    # Nothing between 5 and 11 fails: the nearest compared tensors above 11 are 10 (failed) and 8 (good).
    assert origins == {4: "own", 5: "inherited", 10: "own", 11: "inherited"}
    _, by_order = multi.compare(model=False)
    assert pair(by_order, 4)["own_or_inherited"] == "own"
    assert pair(by_order, 10)["own_or_inherited"] == "inherited-by-order"


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "1 NaN, 0 Inf"), (np.inf, "0 NaN, 1 Inf"), (-np.inf, "0 NaN, 1 Inf")]
)
def test_nan_and_inf_fail_and_are_valid_json(cnn: Case, value: float, said: str) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values.reshape(-1)[7] = value
    change(path, values)
    code, result = cnn.compare()
    found = pair(result, LAYER0)
    assert code == 1
    assert said in found["reasons"][0]
    assert found["scores"]["finite"] is False
    assert found["scores"]["nonfinite_mismatch"] == 1


def test_all_nan_has_null_scores(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.full_like(np.load(path), np.nan))
    code, result = cnn.compare()
    scores = pair(result, LAYER0)["scores"]
    assert code == 1
    assert scores["cosine"] is None
    assert scores["special"]["cosine"] == "nan"


def test_zeroed_layer_fails(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.zeros_like(np.load(path)))
    code, result = cnn.compare()
    assert code == 1
    assert "the dump is all zero, the reference is not" in pair(result, LAYER0)["reasons"]


def test_error_that_came_in_is_a_warning_not_a_divergence(cnn: Case) -> None:
    """A layer of one good input off by 1 LSB here and there may itself be off by a little more."""
    before, after = dump(cnn.dumps, 5), dump(cnn.dumps, 6)
    values = np.load(before)
    values.reshape(-1)[::5] += np.float32(0.027356386)
    change(before, values)
    values = np.load(after)
    values.reshape(-1)[[2, 9]] += np.float32(2 * 0.0063275695)
    change(after, values)
    code, result = cnn.compare()
    assert code == 0
    assert result["verdict"] == "warn"
    assert pair(result, 6)["verdict"] == "warn"
    assert pair(result, 6)["reasons"][0].startswith("accumulated: relative error")
    change(before, simulated(cnn.snapshot, "/gap/GlobalAveragePool_2conv0", quantized=True))
    code, result = cnn.compare()
    assert code == 1
    assert result["first_divergence"]["order"] == 6


def test_golden_ratio_is_given_where_board_and_simulator_differ(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values.reshape(-1)[::100] += np.float32(3 * LAYER0_SCALE)
    change(path, values)
    _, result = cnn.compare()
    found = pair(result, LAYER0)["against_golden"]
    assert found["ratio"] > 1
    assert found["simulator_relative_euclidean"] == pytest.approx(0.01332964, rel=1e-5)
    assert pair(result, 2)["against_golden"] is None


def test_raw_int8_dumps_are_dequantised(cnn: Case) -> None:
    model = read_model(cnn.model)
    for item in model.expected_dumps():
        tensor = item.tensor
        if tensor.is_quantized and item.op_type != "InputOperator":
            path = cnn.dumps / f"{item.stem}_float.npy"
            codes = np.rint(np.load(path) / tensor.scale[0]) + tensor.zero_point[0]
            path.unlink()
            np.save(cnn.dumps / f"{item.stem}_int8.npy", codes.astype(np.int8))
    code, result = cnn.compare()
    assert code == 0
    assert {item["verdict"] for item in result["pairs"]} == {"pass"}
    code, result = cnn.compare(model=False)
    assert code == 3
    assert any("scale is not known" in item["detail"] for item in result["not_compared"] if item["expected"])


def test_thresholds_file_changes_one_layer(cnn: Case, tmp_path: Path) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values.reshape(-1)[::100] += np.float32(3 * LAYER0_SCALE)
    change(path, values)
    limits = tmp_path / "limits.toml"
    limits.write_text(
        '[[layer]]\nmatch = "/layer0/*"\nlsb_warn_fraction = 0.02\nlsb_fail_fraction = 0.02\n'
        'golden_ratio_warn = 10\nmean_warn_lsb = 1\nmean_fail_lsb = 1\n\n[[layer]]\nmatch = "misspelt"\ngrowth = 1\n'
    )
    code, result = cnn.compare("--thresholds", str(limits))
    assert code == 0
    assert result["thresholds"]["source"] == str(limits)
    assert any("'misspelt'" in warning for warning in result["warnings"])


def test_per_channel_finds_the_channel(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    values = np.load(path)
    values[:, 5] = 0
    change(path, values)
    code, result = cnn.compare("--per-channel", "/layer0/*")
    assert code == 1
    channels = pair(result, LAYER0)["channels"]
    assert len(channels) == 24
    assert [index for index, scores in enumerate(channels) if scores["max_abs_error"] > 0] == [5]
    assert pair(result, 4)["channels"] == []
