"""compare-dumps on whole folders of dumps: verdicts, exit codes, the JSON."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_cases import change, dump, model_path, raw_pixels, simulated, unpack, write_board

from rkparity.cli.main import main
from rkparity.model import read_model
from rkparity.runs import (
    Engine,
    InputForm,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    RunReader,
    RunWriter,
    TensorRecord,
)

CASES = ("cnn_classifier_int8", "multi_input_int8", "multi_input_fp16")
CNN = "cnn_classifier_int8"
MULTI = "multi_input_int8"
LAYER0 = 3
LAYER0_SCALE = 0.024353744


class Case:
    """One model's snapshot and a perfect board's dumps, in a folder of the test's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.snapshot = unpack(f"{name}_snapshot", folder / "snapshot")
        self.dumps = write_board(folder / "dumps", self.snapshot, name)
        self.model = model_path(name)

    def compare(self, *options: str, model: bool = True, dumps: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Runs compare-dumps; returns its exit code and its JSON."""
        report = self.folder / "report.json"
        arguments = [
            "compare-dumps",
            str(dumps or self.dumps),
            str(self.snapshot),
            "--json",
            str(report),
            "--force",
            *options,
        ]
        code = main([*arguments, "--model", str(self.model)] if model else arguments)
        return code, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}


@pytest.fixture
def cnn(tmp_path: Path) -> Case:
    return Case(tmp_path, CNN)


@pytest.fixture
def multi(tmp_path: Path) -> Case:
    return Case(tmp_path, MULTI)


def pair(result: dict[str, Any], order: int) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in result["pairs"] if item["order"] == order)
    return found


@pytest.mark.parametrize("name", CASES)
def test_perfect_board_passes(name: str, tmp_path: Path) -> None:
    case = Case(tmp_path, name)
    code, result = case.compare()
    assert code == 0
    assert result["verdict"] == "pass"
    assert result["first_divergence"] is None
    assert {item["verdict"] for item in result["pairs"]} == {"pass"}
    assert len(result["pairs"]) == len(list(case.dumps.iterdir()))
    assert all(item["rung"] == "model-node" for item in result["pairs"])
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


def test_affine_fit_finds_mean_and_std(cnn: Case) -> None:
    _, result = cnn.compare(model=False)
    (proof,) = result["input_proof"]
    assert proof["method"] == "affine-fit"
    for (factor, offset), mean, std in zip(proof["fit"], (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)):
        assert factor == pytest.approx(1 / std, rel=1e-5)
        assert offset == pytest.approx(-mean / std, rel=1e-5)


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


def test_bgr_input_is_named_before_any_layer(cnn: Case, capsys: pytest.CaptureFixture[str]) -> None:
    path = dump(cnn.dumps, 0)
    change(path, np.ascontiguousarray(np.load(path)[:, ::-1]))
    layer = dump(cnn.dumps, 1)
    change(layer, np.load(layer) * 3)
    code, result = cnn.compare()
    assert code == 1
    assert result["first_divergence"]["dump"] == path.name
    assert "channel order is reversed" in result["input_proof"][0]["explanation"]
    assert pair(result, 1)["own_or_inherited"] == "inherited"
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].startswith("FAIL: the input differs: the channel order is reversed (BGR")
    assert f"({path.name}): fail, differs from" in printed
    assert "nothing below can be blamed on the runtime" in printed


def test_nchw_buffer_given_as_nhwc_is_named(cnn: Case) -> None:
    path = dump(cnn.dumps, 0)
    right = np.load(path)
    change(path, np.ascontiguousarray(right.reshape(1, 64, 64, 3).transpose(0, 3, 1, 2)))
    code, result = cnn.compare()
    assert code == 1
    assert "NCHW data was given as NHWC" in result["input_proof"][0]["explanation"]


def test_unset_input_is_named(cnn: Case) -> None:
    path = dump(cnn.dumps, 0)
    change(path, np.zeros_like(np.load(path)))
    code, result = cnn.compare()
    assert code == 1
    assert "every element is 0: no data was set" in result["input_proof"][0]["explanation"]


def test_float_input_is_compared_in_steps(cnn: Case) -> None:
    dump(cnn.dumps, 0).unlink()
    values = simulated(cnn.snapshot, "input", quantized=True)
    scale = 0.01865844801068306
    path = cnn.dumps / "000_InputOperator_input_shape_1_3_64_64_float.npy"
    values.reshape(-1)[::50] += np.float32(scale)
    np.save(path, values)
    code, result = cnn.compare()
    (proof,) = result["input_proof"]
    assert code == 0
    assert (proof["method"], proof["verdict"], proof["exact"]) == ("quantized", "pass", False)
    assert proof["max_error"] == pytest.approx(1, rel=1e-4)
    values.reshape(-1)[5] += np.float32(2 * scale)
    np.save(path, values)
    code, result = cnn.compare()
    assert code == 1
    assert result["input_proof"][0]["differing"] == 1


def test_fp16_input_in_float16_steps_and_bgr(tmp_path: Path) -> None:
    case = Case(tmp_path, "multi_input_fp16")
    path = dump(case.dumps, 0)
    right = np.load(path)
    change(path, np.nextafter(right.astype(np.float16), np.float16(np.inf)).astype(np.float32))
    code, result = case.compare()
    assert code == 0
    assert result["input_proof"][0]["max_error"] == pytest.approx(1)
    change(path, np.ascontiguousarray(right[:, ::-1]))
    code, result = case.compare()
    assert code == 1
    assert "channel order is reversed" in result["input_proof"][0]["explanation"]


def test_input_normalized_twice_is_named(tmp_path: Path) -> None:
    case = Case(tmp_path, "multi_input_fp16")
    path = dump(case.dumps, 0)
    change(path, ((np.load(path) - 127.5) / 127.5).astype(np.float16).astype(np.float32))
    code, result = case.compare()
    assert code == 1
    assert "linear function of the expected input" in result["input_proof"][0]["explanation"]


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


def test_input_written_again_under_the_convolution(cnn: Case) -> None:
    shutil.copy(dump(cnn.dumps, 0), cnn.dumps / "001_ConvRelu_input_shape_1_3_64_64_uint8.npy")
    code, result = cnn.compare()
    assert code == 0
    assert [item["role"] for item in result["pairs"]].count("duplicate-input") == 1


def test_synthetic_noise_diverges_at_the_input(tmp_path: Path, multi: Case) -> None:
    noisy = unpack("multi_input_int8_fakeboard", tmp_path / "noisy")
    code, result = multi.compare(dumps=noisy)
    assert code == 1
    assert result["first_divergence"]["dump"] == "000_InputOperator_image_shape_1_3_32_32_float.npy"
    assert [proof["verdict"] for proof in result["input_proof"]] == ["fail"] * 3


def test_damage_is_incomplete_unless_something_diverges(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.write_bytes(path.read_bytes()[:-100])
    code, result = cnn.compare()
    assert (code, result["verdict"]) == (3, "not-compared")
    (lost,) = [item for item in result["not_compared"] if item["expected"]]
    assert (lost["dump"], lost["reason"]) == (path.name, "damaged-dump")
    assert "truncated" in lost["detail"]
    other = dump(cnn.dumps, 4)
    change(other, np.load(other) * 2)
    code, result = cnn.compare()
    assert (code, result["verdict"]) == (1, "fail")


def test_dump_that_is_no_npy(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.write_bytes(b"<html>404</html>")
    code, result = cnn.compare()
    assert code == 3
    assert "is not an npy file" in result["not_compared"][0]["detail"]


def test_pipe_and_dangling_link_are_not_waited_for(cnn: Case) -> None:
    for order, make in ((LAYER0, os.mkfifo), (4, lambda path: path.symlink_to("nowhere"))):
        path = dump(cnn.dumps, order)
        path.unlink()
        make(path)
    code, result = cnn.compare()
    assert code == 3
    assert [item["detail"] for item in result["not_compared"] if item["expected"]] == ["is not a regular file"] * 2


def test_file_name_that_is_no_utf8(cnn: Case, capsys: pytest.CaptureFixture[str]) -> None:
    (cnn.dumps / os.fsdecode(b"012_Conv_\xff\x1b[2J_shape_1_float.npy")).write_bytes(b"")
    code, result = cnn.compare("--all", model=False)
    assert code == 3
    assert any("\udcff" in (item["dump"] or "") for item in result["not_compared"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("model", [True, False])
@pytest.mark.parametrize("order", [0, 3, 11])
def test_missing_dump_is_named(cnn: Case, order: int, model: bool) -> None:
    dump(cnn.dumps, order).unlink()
    code, result = cnn.compare(model=model)
    assert code == 3
    assert any(item["reason"] == "missing-dump" and item["expected"] for item in result["not_compared"])


def test_wrong_shape_is_refused(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path)[:, :12])
    code, result = cnn.compare()
    assert code == 3
    (lost,) = [item for item in result["not_compared"] if item["expected"]]
    assert lost["reason"] == "shape-mismatch"
    assert any(path.name in warning and "holds [1, 12, 16, 16]" in warning for warning in result["warnings"])


def test_damaged_reference_is_incomplete(cnn: Case) -> None:
    path = cnn.snapshot / "simulator" / "npy" / "_layer0_Relu_output_0.npy"
    # After the snapshot has been listed its header is still right; only reading finds the damage.
    path.write_bytes(path.read_bytes()[:-8])
    assert main(["compare-dumps", str(cnn.dumps), str(cnn.snapshot), "--model", str(cnn.model)]) == 3


def usage(case: Case, *arguments: object) -> int:
    return main(["compare-dumps", *(str(argument) for argument in arguments)])


def test_usage_errors(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.npy").write_bytes(b"")
    limits = tmp_path / "limits.toml"
    limits.write_text("[default]\nlsb_max = 3\n")
    existing = tmp_path / "existing.json"
    existing.write_text("mine")
    other = model_path("non4d_int8")
    expected = [
        ((tmp_path / "none", cnn.snapshot), "dump folder does not exist"),
        ((limits, cnn.snapshot), "dump folder is a file"),
        ((empty, cnn.snapshot), "holds no dumps"),
        ((cnn.dumps, tmp_path / "none"), "reference does not exist"),
        ((cnn.dumps, empty), "is neither a run nor a toolkit snapshot"),
        ((cnn.dumps, cnn.snapshot, "--model", other), "not"),
        ((cnn.dumps, cnn.snapshot, "--model", limits), "is not a .rknn file"),
        ((cnn.dumps, cnn.snapshot, "--model", tmp_path / "none.rknn"), "does not exist"),
        ((cnn.dumps, cnn.snapshot, "--thresholds", limits), "unknown key 'lsb_max'"),
        ((cnn.dumps, cnn.snapshot, "--json", existing), "exists already"),
        ((cnn.dumps, cnn.snapshot, "--json", empty), "is a folder"),
        ((cnn.dumps, cnn.snapshot, "--json", tmp_path / "no" / "a.json"), "does not exist"),
        ((cnn.dumps, cnn.snapshot, "--per-channel", "x"), "--json"),
        ((cnn.dumps, cnn.snapshot, "--per-channel", "x", "--json", tmp_path / "n.json"), "no compared layer"),
    ]
    for arguments, said in expected:
        assert usage(cnn, *arguments) == 2, arguments
        error = capsys.readouterr().err
        assert said in error, arguments
        assert "Traceback" not in error
    assert existing.read_text() == "mine"
    assert not (tmp_path / "n.json").exists()


def test_dumps_of_another_model_align_with_nothing(
    cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    np.save(foreign / "001_Conv_somewhere_else_shape_1_7_5_5_float.npy", np.zeros((1, 7, 5, 5), np.float32))
    assert usage(cnn, foreign, cnn.snapshot) == 2
    assert "matches any" in capsys.readouterr().err


def test_model_of_another_input_size_is_refused(cnn: Case, capsys: pytest.CaptureFixture[str]) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.rename(path.with_name(path.name.replace("24_16_16", "24_20_20")))
    assert usage(cnn, cnn.dumps, cnn.snapshot, "--model", cnn.model) == 2
    assert "the model says [1, 24, 16, 16]" in capsys.readouterr().err


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


def test_json_is_deterministic_and_has_the_documented_keys(cnn: Case, tmp_path: Path) -> None:
    reports = []
    for number in range(2):
        report = tmp_path / f"{number}.json"
        assert usage(cnn, cnn.dumps, cnn.snapshot, "--model", cnn.model, "--json", report) == 0
        reports.append(report.read_bytes())
    assert reports[0] == reports[1]
    result = json.loads(reports[0])
    assert list(result) == [
        "schema",
        "verdict",
        "exit_code",
        "headline",
        "emulated",
        "dumps",
        "reference",
        "golden",
        "model",
        "counts",
        "first_divergence",
        "input_proof",
        "pairs",
        "not_compared",
        "suggestions",
        "thresholds",
        "versions",
        "warnings",
    ]
    assert result["schema"] == "rkparity.comparison/1"
    assert list(result["pairs"][1]) == [
        "dump",
        "tensor",
        "rung",
        "role",
        "op_type",
        "order",
        "shape",
        "kind",
        "scale",
        "scale_source",
        "verdict",
        "own_or_inherited",
        "reasons",
        "note",
        "scores",
        "against_golden",
        "channels",
    ]
    assert list(result["not_compared"][0]) == ["dump", "tensor", "reason", "detail", "expected"]
    assert not list(tmp_path.glob(".*.part"))


def board_run(case: Case, folder: Path, *, emulated: bool, sha256: str) -> Path:
    """The case's dumps as a board run with a manifest."""
    (folder / "dumps").mkdir(parents=True)
    tensors = []
    for order, path in enumerate(sorted(case.dumps.iterdir())):
        shutil.copy(path, folder / "dumps")
        array = np.load(path)
        tensors.append(
            TensorRecord(
                path.stem,
                f"dumps/{path.name}",
                array.dtype.name,
                array.shape,
                order,
                "Conv",
                Role.LAYER,
                name_is_sanitized=True,
            )
        )
    manifest = Manifest(
        Engine.BOARD,
        Precision.QUANTIZED,
        ModelRecord("m", sha256),
        (),
        tuple(tensors),
        {"runtime": "1.6.0 (9a7b5d24c)"},
        emulated=emulated,
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))
    return folder


def test_board_run_says_what_it_is(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = board_run(cnn, tmp_path / "run", emulated=True, sha256="0" * 64)
    code, result = cnn.compare(dumps=run)
    assert code == 0
    assert result["emulated"] is True
    assert "EMULATED" in capsys.readouterr().out
    assert result["warnings"][0].startswith("not the same .rknn file: the board ran 000000000000...")
    assert result["versions"]["dumps"]["runtime"] == "1.6.0 (9a7b5d24c)"
    dump(run / "dumps", LAYER0).unlink()
    code, result = cnn.compare(dumps=run, model=False)
    assert code == 3
    assert any("manifest lists it" in item["detail"] for item in result["not_compared"])


def test_runtime_older_than_the_model_is_a_warning(cnn: Case, tmp_path: Path) -> None:
    sha256 = read_model(cnn.model).sha256
    run = board_run(cnn, tmp_path / "run", emulated=False, sha256=sha256)
    _, result = cnn.compare(dumps=run)
    assert any("librknnrt 1.6 ran a model built by toolkit 2.5" in warning for warning in result["warnings"])


def test_runs_swapped_by_mistake(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = board_run(cnn, tmp_path / "run", emulated=False, sha256="0" * 64)
    assert usage(cnn, cnn.dumps, run) == 2
    assert "cannot be the reference" in capsys.readouterr().err


def reference_runs(case: Case, folder: Path, *, raw: np.ndarray[Any, Any]) -> Path:
    """The case's snapshot as what `rkparity simulate` writes: two runs and the picture it was given."""
    from rkparity.toolkit.snapshot import open_snapshot

    snapshot = open_snapshot(case.snapshot, model=read_model(case.model))
    for source, name in ((snapshot.golden, "golden"), (snapshot.simulator, "simulator")):
        with RunWriter(folder / name) as writer:
            tensors = [
                replace(
                    writer.add_tensor(
                        record.name,
                        np.asarray(source.tensor(record)),
                        order=record.order,
                        op_type=record.op_type,
                        role=record.role,
                        scale=record.scale,
                        zero_point=record.zero_point,
                    ),
                    not_comparable=record.not_comparable,
                )
                for record in source.manifest.tensors
            ]
            given = writer.add_input("input", raw, layout="NHWC", form=InputForm.RAW)
            writer.finish(replace(source.manifest, tensors=tuple(tensors), inputs=(given,)))
    return folder


def test_simulated_runs_with_the_raw_input(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    report = tmp_path / "r.json"
    for reference in (runs, runs / "simulator"):
        assert usage(cnn, cnn.dumps, reference, "--model", cnn.model, "--json", report, "--force") == 0
        result = json.loads(report.read_text())
        assert result["input_proof"][0]["method"] == "raw-bytes"
        assert result["golden"] == str(runs / "golden")
    # Without the model the bytes alone prove the input.
    assert usage(cnn, cnn.dumps, runs, "--json", report, "--force") == 0
    assert json.loads(report.read_text())["verdict"] == "pass"
    assert RunReader.open(runs / "golden").manifest.engine is Engine.GOLDEN


def test_golden_alone_is_a_reference_with_a_warning(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    report = tmp_path / "r.json"
    assert usage(cnn, cnn.dumps, runs / "golden", "--model", cnn.model, "--json", report) == 0
    result = json.loads(report.read_text())
    assert result["verdict"] == "warn"
    assert any("the reference is a run of the golden" in warning for warning in result["warnings"])
    assert usage(cnn, cnn.dumps, runs, "--golden", runs / "simulator", "--json", report, "--force") == 2


def test_golden_of_another_size_is_not_used(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path) * np.float32(1.5))
    other = cnn.snapshot / "golden" / "npy" / "_layer0_Relu_output_0.npy"
    np.save(other, np.zeros((1, 24, 8, 8), np.float32))
    code, result = cnn.compare()
    assert code == 1
    assert pair(result, LAYER0)["against_golden"] is None
    assert any("golden has another shape for 1 tensors" in warning for warning in result["warnings"])


def test_strange_files_are_mentioned(cnn: Case) -> None:
    np.save(cnn.dumps / "my_output.npy", np.zeros(3))
    code, result = cnn.compare()
    assert code == 0
    assert "1 .npy files are not named like dumps, such as my_output.npy" in result["warnings"]


def test_other_normalisation_than_the_reference(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    record = next(item for item in RunReader.open(runs / "simulator").manifest.tensors if item.name == "input")
    path = runs / "simulator" / record.file
    np.save(path, np.load(path) * np.float32(1.1))
    report = tmp_path / "r.json"
    assert usage(cnn, cnn.dumps, runs, "--model", cnn.model, "--json", report) == 1
    assert "another normalisation" in json.loads(report.read_text())["input_proof"][0]["explanation"]
