"""Each framework goes through `init`, `check`, `build` and `simulate`, its original run in the framework itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toolkit_cases import toolkit_python

from rkparity.errors import ToolkitError
from rkparity.original.engine import run_original
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker
from support import require

pytestmark = pytest.mark.toolkit
MAKER = Path(__file__).resolve().parents[3] / "scripts" / "zoo_run" / "make"
# Framework: what makes the model, its file, its shape, options of its build, the engine that runs the original.
MODELS = {
    "tflite": ("tflite_cnn", "model.tflite", (1, 32, 48, 3), [], "LiteRT"),
    "tensorflow": (
        "tensorflow_cnn",
        "model.pb",
        (1, 32, 48, 3),
        ["--inputs", "input", "--outputs", "probability", "--input-size", "1,32,48,3"],
        "TensorFlow",
    ),
    "pytorch": ("torch_unet", "model.pt", (1, 3, 32, 48), ["--input-size", "1,3,32,48"], "PyTorch"),
    "caffe": ("caffe_net", "model.prototxt", (1, 3, 32, 48), ["--weights", "model.caffemodel"], "OpenCV"),
    "darknet": ("darknet_yolo", "model.cfg", (1, 3, 96, 96), ["--weights", "model.weights"], "OpenCV"),
}


def frameworks_python() -> Path:
    """The interpreter of an environment with all frameworks."""
    named = os.environ.get("RKPARITY_FRAMEWORKS_TOOLKIT_PYTHON", "")
    require(named, "no environment with PyTorch and TensorFlow: set RKPARITY_FRAMEWORKS_TOOLKIT_PYTHON")
    return Path(named)


def rkparity(folder: Path, *command: str, expect: int = 0) -> str:
    """One command; its output."""
    environment = {**os.environ, "RKPARITY_TOOLKIT_PYTHON": str(frameworks_python())}
    done = subprocess.run(
        [sys.executable, "-m", "rkparity", *command],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def make_model(framework: str, folder: Path) -> Path:
    """The framework's model with a sample and calibration data beside it."""
    maker, file, shape, _, _ = MODELS[framework]
    sizes = ",".join(str(size) for size in shape)
    command = [str(frameworks_python()), str(MAKER), maker, sizes, "1", str(folder / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    height, width = shape[1:3] if shape[3] == 3 else shape[2:]
    random = np.random.default_rng(0)
    for name in ("x", "c0", "c1"):
        np.save(folder / f"{name}.npy", random.integers(0, 256, (1, height, width, 3)).astype(np.uint8))
        np.save(folder / f"{name}-nchw.npy", np.load(folder / f"{name}.npy").transpose(0, 3, 1, 2))
    (folder / "dataset.txt").write_text("c0-nchw.npy\nc1-nchw.npy\n")
    return folder / file


@pytest.mark.parametrize("framework", MODELS)
def test_a_model_reaches_a_verdict_against_its_own_framework(framework: str, tmp_path: Path) -> None:
    model = make_model(framework, tmp_path)
    options, engine = MODELS[framework][3:]
    scaled = [*options, "--mean", "0,0,0", "--std", "255,255,255"]
    rkparity(tmp_path, "init", model.name, *scaled, "--input", "x.npy", "--no-input")
    rkparity(tmp_path, "check", "--stage", "fp16", "--quiet", "--json", "check.json")
    stage = json.loads((tmp_path / "check.json").read_text())["stages"][0]
    assert (stage["stage"], stage["verdict"]) == ("fp16", "pass"), stage
    assert f"FP16 simulator against {engine}" in " ".join(stage["facts"]), stage["facts"]
    quantised = ["--int8", "--dataset", "dataset.txt"]
    rkparity(tmp_path, "build", model.name, *scaled, *quantised, "-o", "int8.rknn")
    said = rkparity(tmp_path, "simulate", "int8.rknn", "--input", "x.npy", "-o", "sim")
    assert "sim/simulator: " in said


def test_a_tflite_model_s_wrong_std_is_found_against_litert(tmp_path: Path) -> None:
    model = make_model("tflite", tmp_path)
    rkparity(tmp_path, "init", model.name, "--input", "x.npy", "--no-input")
    project = tmp_path / "rkparity.toml"
    text = project.read_text()
    assert text.count("[original]\n") == 1
    project.write_text(text.replace("[original]\n", "[original]\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n"))
    rkparity(tmp_path, "check", "--stage", "fp16", "--quiet", "--json", "check.json", expect=1)
    findings = json.loads((tmp_path / "check.json").read_text())["stages"][0]["findings"]
    assert [finding["id"] for finding in findings] == ["config.mean_std.missing"]


def test_a_model_built_again_has_the_same_names(tmp_path: Path) -> None:
    model = make_model("tflite", tmp_path)
    spec = BuildSpec(Framework.TFLITE, str(model), do_quantization=True, dataset=str(tmp_path / "dataset.txt"))
    with Worker(frameworks_python(), timeout_s=300) as worker:
        first, second = (worker.build(spec).quantization for _ in range(2))
    with Worker(frameworks_python(), timeout_s=300) as worker:
        third = worker.build(spec).quantization
    assert len(first) > 5 and first == second == third


def test_what_a_framework_refuses_is_told_in_its_own_line(tmp_path: Path) -> None:
    model = make_model("tensorflow", tmp_path)
    (tmp_path / "model.pt").write_text("no model")
    for command, said in (
        (["model.pb", "--inputs", "absent", "--outputs", "probability", "--input-size", "1,32,48,3"],
         "rknn-toolkit2 load_tensorflow: AssertionError: absent is not in graph (load_tensorflow returned -1)"),
        (["model.pt", "--input-size", "1,3,32,48"],
         "rknn-toolkit2 load_pytorch: RuntimeError: PytorchStreamReader failed reading zip archive"),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "rkparity", "build", *command, "-o", "m.rknn"],
            cwd=model.parent,
            env={**os.environ, "RKPARITY_TOOLKIT_PYTHON": str(frameworks_python())},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        assert done.stderr.startswith(f"rkparity: error: {said}"), done.stderr


def test_whole_numbers_reach_an_onnx_model_in_the_type_it_asks_for(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    command = [str(toolkit_python()), str(MAKER), "text_transformer", "1,8", "1", str(model)]
    subprocess.run(command, capture_output=True, check=True)
    tokens = np.arange(8, dtype=np.int64).reshape(1, 8)
    with Worker(toolkit_python(), timeout_s=300) as worker:
        spec = BuildSpec(Framework.ONNX, str(model))
        first, second = (run_original(worker, spec, [tokens.astype(kind)]).outputs for kind in ("int64", "float32"))
        assert first["logits"].shape == (1, 8, 100)
        np.testing.assert_array_equal(first["logits"], second["logits"])
        with pytest.raises(ToolkitError, match="input input_ids takes int64, and the sample is not whole numbers"):
            run_original(worker, spec, [tokens + np.float32(0.5)])
