"""Other originals than ONNX, and rknn-toolkit-lite2 on the board as a second reference."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from check_projects import MEAN, STD, run_stage, toolkit_python, write_project

from rkparity.board.link.local import LocalTransport
from rkparity.compare.verdict import Verdict
from rkparity.errors import ToolkitError, UsageError
from rkparity.flow.connected.lite import run_lite
from rkparity.flow.context import Context
from rkparity.flow.deployed import deploy_model
from rkparity.flow.result import Stage, StageVerdict
from rkparity.flow.simulation import run_outputs
from rkparity.flow.store import Store
from rkparity.original.engine import run_original
from rkparity.project import read_project
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit

NETWORK = """[net]
batch=1
width=16
height=16
channels=3

[convolutional]
filters=4
size=3
stride=1
pad=1
activation=leaky

[convolutional]
filters=2
size=3
stride=1
pad=1
activation=linear
"""
PROJECT = """[model]
file = "net.cfg"
weights = "net.weights"
[build]
mean_values = [[0, 0, 0]]
std_values = [[255, 255, 255]]
[input]
files = ["x.npy"]
layout = "nhwc"
[original]
inputs = ["fed.npy"]
"""
CLIENT = """
import os
import numpy as np
class RKNNLite:
    def load_rknn(self, path):
        print("I a line of the vendor's")
        return 0 if open(path, "rb").read(4) == b"RKNN" else -1
    def init_runtime(self):
        return 0
    def inference(self, inputs, data_format=None):
        assert data_format == ["nhwc"] and inputs[0].dtype == np.uint8, (data_format, inputs[0].dtype)
        names = os.environ["FAKE_OUTPUTS"].split(os.pathsep)
        return [np.load(name) for name in names]
    def release(self):
        pass
"""


def test_a_darknet_model_is_held_against_opencv(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "net.cfg").write_text(NETWORK)
    weights = struct.pack("<iiiq", 0, 2, 0, 0)
    for outputs, inputs in ((4, 3), (2, 4)):
        weights += (rng.standard_normal(outputs) * 0.1).astype("<f4").tobytes()
        weights += (rng.standard_normal((outputs, inputs, 3, 3)) * 0.3).astype("<f4").tobytes()
    (tmp_path / "net.weights").write_bytes(weights)
    pixels = rng.integers(0, 255, (1, 16, 16, 3)).astype(np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    np.save(tmp_path / "fed.npy", np.ascontiguousarray((pixels / np.float32(255)).transpose(0, 3, 1, 2)))
    (tmp_path / "rkparity.toml").write_text(PROJECT)
    result = run_stage(tmp_path / "rkparity.toml", Stage.FP16, toolkit_python())
    assert (result.verdict, result.findings) == (StageVerdict.PASS, ())
    assert "against OpenCV" in result.facts[0]
    (tmp_path / "rkparity.toml").write_text(PROJECT.replace("std_values = [[255, 255, 255]]", ""))
    wrong = run_stage(tmp_path / "rkparity.toml", Stage.FP16, toolkit_python())
    assert [finding.id for finding in wrong.findings] == ["config.mean_std.missing"]
    assert "std_values = [255, 255, 255]" in wrong.findings[0].fix


def test_a_framework_that_is_missing_is_named_with_what_to_install(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    (tmp_path / "m.pt").write_bytes(b"PK")
    text = '[model]\nfile = "m.pt"\ninput_size_list = [[1, 3, 8, 8]]\n{}\n[input]\nfiles = ["x.npy"]\nlayout = "nchw"\n'
    (tmp_path / "rkparity.toml").write_text(text.format(""))
    with pytest.raises(ToolkitError) as refused:
        run_stage(tmp_path / "rkparity.toml", Stage.FP16, toolkit_python())
    assert refused.value.message == (
        "PyTorch models need PyTorch, and this toolkit environment has rkparity's small stand-in for it: run "
        f"`rkparity setup-toolkit --with-torch --dest {toolkit_python().parent.parent}`"
    )
    (tmp_path / "rkparity.toml").write_text(text.format('inputs = ["x"]'))
    with pytest.raises(ToolkitError, match=r"takes no 'inputs': leave it out of .model. for a pytorch model"):
        run_stage(tmp_path / "rkparity.toml", Stage.FP16, toolkit_python())
    with Worker(toolkit_python()) as worker:
        spec = BuildSpec(Framework.TFLITE, str(tmp_path / "m.pt"))
        with pytest.raises(UsageError, match=r"run `rkparity setup-toolkit --with-tflite --dest ") as caught:
            run_original(worker, spec, [np.zeros((1, 8, 8, 3), np.float32)])
        for framework, option in ((Framework.TFLITE, "tflite"), (Framework.TENSORFLOW, "tensorflow")):
            with pytest.raises(ToolkitError) as refused:
                worker.build(BuildSpec(framework, str(tmp_path / "m.pt"), inputs=("x",)[: option == "tensorflow"]))
            assert f"which this toolkit environment does not have: run `rkparity setup-toolkit --with-{option}" in (
                refused.value.message
            )
    assert "[original] outputs" in caught.value.hint


def test_rknn_toolkit_lite2_on_the_board_is_a_second_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = read_project(write_project(tmp_path / "project", mean=MEAN, std=STD))
    (tmp_path / "site" / "rknnlite").mkdir(parents=True)
    (tmp_path / "site" / "rknnlite" / "__init__.py").touch()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    home = tmp_path / "board"
    home.mkdir()
    with Context(project, Store(project.output), toolkit_python=toolkit_python()) as context:
        deployed = deploy_model(context)
        with LocalTransport(home) as transport:
            absent = run_lite(transport, deployed, str(home / "work"))
            assert (absent.verdict, absent.outputs) == (Verdict.NOT_COMPARED, ())
            assert "not installed" in absent.text
            (tmp_path / "site" / "rknnlite" / "api.py").write_text(CLIENT)
            monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
            files = []
            for index, array in enumerate(run_outputs(deployed.simulation.simulator, deployed.built.outputs).values()):
                files.append(str(tmp_path / f"{index}.npy"))
                np.save(files[-1], array)
            monkeypatch.setenv("FAKE_OUTPUTS", os.pathsep.join(files))
            same = run_lite(transport, deployed, str(home / "work"))
            assert (same.verdict, len(same.outputs)) == (Verdict.PASS, 2)
            assert "worst output cos 1.00000" in same.text
            np.save(files[0], np.load(files[0])[:, ::-1])
            other = run_lite(transport, deployed, str(home / "work"))
            assert other.verdict is Verdict.FAIL
            monkeypatch.setenv("FAKE_OUTPUTS", "nowhere.npy")
            broken = run_lite(transport, deployed, str(home / "work"))
            assert broken.verdict is Verdict.NOT_COMPARED and "nowhere.npy" in broken.text
