"""compare-dumps on whole folders of dumps: the input proof comes before any layer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from compare_cases import (
    Case,
    change,
    compare_dumps,
    dump,
    pair,
    raw_pixels,
    reference_runs,
    simulated,
    unpack,
)

from rkparity.model import read_model
from rkparity.runs import (
    RunReader,
)


def test_affine_fit_finds_mean_and_std(cnn: Case) -> None:
    _, result = cnn.compare(model=False)
    (proof,) = result["input_proof"]
    assert proof["method"] == "affine-fit"
    for (factor, offset), mean, std in zip(proof["fit"], (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)):
        assert factor == pytest.approx(1 / std, rel=1e-5)
        assert offset == pytest.approx(-mean / std, rel=1e-5)


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


def test_other_normalisation_than_the_reference(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    record = next(item for item in RunReader.open(runs / "simulator").manifest.tensors if item.name == "input")
    path = runs / "simulator" / record.file
    np.save(path, np.load(path) * np.float32(1.1))
    report = tmp_path / "r.json"
    assert compare_dumps(cnn.dumps, runs, "--model", cnn.model, "--json", report) == 1
    assert "another normalisation" in json.loads(report.read_text())["input_proof"][0]["explanation"]
