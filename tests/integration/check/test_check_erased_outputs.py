"""A detector with boxes and scores in one int8 output: the cosine is near 1, the scores are gone, the stage fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rkparity.cli.main import main
from rkparity.emulator.values import simulator_names
from rkparity.model import read_model
from rkparity.runs import RunReader

pytestmark = pytest.mark.toolkit
MODEL = Path(__file__).resolve().parents[2] / "data" / "check" / "detector_one_output.onnx"


def project(folder: Path, outputs: str = "") -> None:
    random = np.random.default_rng(4)
    shutil.copy(MODEL, folder / "model.onnx")
    for number in range(4):
        y, x = np.mgrid[0:160, 0:160]
        planes = [128 + 70 * np.sin(x / (9 + number + c)) + 50 * np.cos(y / (7 + c)) for c in range(3)]
        picture = np.clip(np.stack(planes, -1) + random.normal(0, 8, (160, 160, 3)), 0, 255).astype(np.uint8)
        np.save(folder / f"cal{number}.npy", picture.transpose(2, 0, 1)[None])
        np.save(folder / f"test{number}.npy", picture[None])
    (folder / "dataset.txt").write_text("".join(f"cal{number}.npy\n" for number in range(4)))
    options = ["--mean", "0,0,0", "--std", "255,255,255", "--target", "rk3588", "--int8", "--dataset", "dataset.txt"]
    more = ["--outputs", outputs] if outputs else []
    assert main(["init", "model.onnx", *options, *more, "--input", "test0.npy", "--budget", "20"]) == 0


def quantized(folder: Path) -> dict[str, object]:
    main(["check", "--stage", "quantized", "--quiet", "--json", "check.json"])
    stages = json.loads((folder / "check.json").read_text())["stages"]
    found = next(item for item in stages if item["stage"] == "quantized")
    assert isinstance(found, dict)
    return found


def test_scores_that_became_constant_fail_the_stage_and_the_fix_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path)
    stage = quantized(tmp_path)
    assert stage["verdict"] == "fail"
    findings = stage["findings"]
    assert isinstance(findings, list)
    (finding,) = [item for item in findings if item["id"] == "quantized.erased_output"]
    assert "rows 4 to 5 of 6" in finding["cause"]
    assert finding["fix_code"] == "rknn.load_onnx(model=..., outputs=['/model.22/Mul_2', '/model.22/Sigmoid'])"
    split = tmp_path / "split"
    split.mkdir()
    monkeypatch.chdir(split)
    project(split, "/model.22/Mul_2,/model.22/Sigmoid")
    mended = quantized(split)
    again = mended["findings"]
    assert isinstance(again, list)
    assert "quantized.erased_output" not in [item["id"] for item in again]


def test_compare_dumps_says_it_though_every_layer_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path)
    options = ["--mean", "0,0,0", "--std", "255,255,255", "--target", "rk3588", "--int8", "--dataset", "dataset.txt"]
    assert main(["build", "model.onnx", *options, "-o", "model.rknn"]) == 0
    assert main(["simulate", "model.rknn", "--input", "test0.npy", "-o", "sim"]) == 0
    simulated = RunReader.open(tmp_path / "sim" / "simulator")
    records = {item.name: item for item in simulated.manifest.tensors}
    (tmp_path / "dumps").mkdir()
    for item in read_model(tmp_path / "model.rknn").expected_dumps():
        names = (f"{item.tensor.name}_int8", *simulator_names(item.tensor))
        record = next(records[name] for name in names if name in records)
        array = np.array(simulated.tensor(record)).reshape(item.tensor.shape)
        np.save(tmp_path / "dumps" / f"{item.stem}_float.npy", array)
    capsys.readouterr()
    assert main(["compare-dumps", "dumps", "sim", "--model", "model.rknn", "--no-diagnosis"]) == 1
    out = capsys.readouterr().out
    assert "FAIL: the layers do not diverge, and yet an output is wrong: output output0" in out
    assert "rows 4 to 5 of 6" in out
