"""Hybrid models and models of chips whose compiler merges scales: built, simulated, served, checked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from toolkit_cases import toolkit_python

from rkparity.cli.main import main
from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.values import ValueSource
from rkparity.model import read_model
from rkparity.runs import RunReader
from rkparity.toolkit.build_record import file_sha256, record_path
from rkparity.toolkit.hybrid import hybrid_step1
from rkparity.toolkit.hybrid_configuration import read_configuration, write_configuration
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit
INT8 = ["--int8", "--dataset", "dataset.txt"]


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A YOLO head, its calibration list and its sample in the current folder."""
    maker = Path(__file__).with_name("make_heads.py")
    subprocess.run([str(toolkit_python()), str(maker), str(tmp_path), "head", "64", "64", "3", "8,16"], check=True)
    (tmp_path / "dataset.txt").write_text("head.input.npy\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RKPARITY_TOOLKIT_PYTHON", str(toolkit_python()))
    return tmp_path


def source_of(rknn: Path) -> ValueSource:
    catalogue = ModelCatalogue(toolkit_python(), [rknn])
    _, source = catalogue.open(file_sha256(rknn))
    return source


def simulate(model: str, out: str) -> RunReader:
    assert main(["simulate", model, "--input", "head.input.npy", "--layout", "nchw", "-o", out]) == 0
    return RunReader.open(Path(out) / "simulator")


@pytest.mark.parametrize("target", ["rk3576", "rv1126b"])
def test_a_model_whose_compiler_merges_scales_is_simulated(
    head: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "head.onnx", *INT8, "--target", target, "-o", "m.rknn"]) == 0
    run = simulate("m.rknn", "sim")
    # The premise: the file's scale of a tensor that a Concat reads is the Concat's, the simulator's is its own.
    file = {item.name: item.scale for item in read_model(head / "m.rknn").tensors}
    ours = {item.name: item.scale for item in run.manifest.tensors}
    parts = [(f"cv{part}.{stride}", f"concat{stride}") for part in (2, 3) for stride in (0, 1)]
    assert all(file[part] == file[whole] for part, whole in parts)
    assert any(ours[part] != ours[whole] for part, whole in parts)
    # A record of an rkparity that kept no scales: the exported twin is compared.
    value = json.loads(record_path(Path("m.rknn")).read_text())
    record_path(Path("m.rknn")).write_text(
        json.dumps({k: v for k, v in value.items() if k not in ("sources", "scales")})
    )
    simulate("m.rknn", "old")
    # A file that changed since is named, whatever the scales say.
    record_path(Path("m.rknn")).write_text(json.dumps(value))
    (head / "head.onnx").write_bytes((head / "head.onnx").read_bytes() + b"\x00")
    capsys.readouterr()
    assert main(["simulate", "m.rknn", "--input", "head.input.npy", "--layout", "nchw", "-o", "no"]) == 3
    assert "head.onnx: has changed since m.rknn was built from it" in capsys.readouterr().err


def test_a_hybrid_model_goes_every_way(head: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = BuildSpec(Framework.ONNX, "head.onnx", do_quantization=True, dataset="dataset.txt")
    with Worker(toolkit_python(), timeout_s=300) as worker:
        files = hybrid_step1(worker, spec, head / "step1")
    layers = [name for name in read_configuration(files.cfg)[1] if name.startswith(("pixels", "output0"))]
    write_configuration(files.cfg, Path("h.cfg"), dict.fromkeys(layers, "test"))
    assert main(["build", "head.onnx", *INT8, "--hybrid", "h.cfg", "-o", "m.rknn"]) == 0
    assert "hybrid (quantised, some layers in float) for rk3588" in capsys.readouterr().out
    assert main(["build", "step1/head.model", "--hybrid", "h.cfg", "-o", "two.rknn"]) == 0
    first, second = simulate("m.rknn", "sim"), simulate("two.rknn", "sim2")
    (output,) = (item for item in first.manifest.tensors if item.name == "output0")
    assert output.scale == () and len(layers) >= 3
    pairs = list(zip(first.manifest.tensors, second.manifest.tensors))
    assert all(a.name == b.name and np.array_equal(first.tensor(a), second.tensor(b)) for a, b in pairs)
    # The virtual board computes it, in float16 at the output.
    (tensor,) = read_model(head / "m.rknn").input_tensors
    raw = np.load("head.input.npy")
    codes = np.clip(np.rint(raw / tensor.scale[0]) + tensor.zero_point[0], -128, 127).astype(np.int8)
    value = GraphValue("int8", memoryview(codes.tobytes()), False)
    (served,) = source_of(head / "m.rknn").compute([value], want_layers=False).outputs
    assert served.dtype == np.float16
    assert np.array_equal(served.astype(np.float32), first.tensor(output).ravel())
    # The project of a hybrid model: stage quantized measures that model.
    Path("rkparity.toml").write_text(
        '[model]\nfile = "head.onnx"\nrknn = "two.rknn"\n[input]\nfiles = ["head.input.npy"]\nlayout = "nchw"\n'
        '[build]\ndo_quantization = true\ndataset = "dataset.txt"\n[check]\nquantized_cosine = 0.9\n'
    )
    main(["check", "--stage", "quantized", "--json", "check.json"])
    stage = json.loads(Path("check.json").read_text())["stages"][1]
    assert stage["verdict"] == "pass", stage
    assert stage["facts"][0] == f"hybrid model: h.cfg lists {len(layers)} tensors to stay in float"
