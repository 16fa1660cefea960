"""Models whose graph rules ask for PyTorch build and simulate in the default environment, which has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from toolkit_cases import toolkit_python

from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit
HEADS = {
    "yolov8_two_scales": ("160", "160", "2", "8,16"),
    "yolov8_three_scales": ("64", "96", "80", "8,16,32"),
    "one_class": ("96", "64", "1", "8,16,32"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_yolo_head_builds_and_its_fp16_simulation_is_the_models_own_output(name: str, tmp_path: Path) -> None:
    maker = Path(__file__).with_name("make_heads.py")
    subprocess.run([str(toolkit_python()), str(maker), str(tmp_path), name, *HEADS[name]], check=True)
    picture, expected = np.load(tmp_path / f"{name}.input.npy"), np.load(tmp_path / f"{name}.output.npy")
    dataset = tmp_path / "dataset.txt"
    dataset.write_text(str(tmp_path / f"{name}.input.npy") + "\n")
    spec = BuildSpec(Framework.ONNX, str(tmp_path / f"{name}.onnx"))
    with Worker(toolkit_python(), timeout_s=300) as worker:
        built = worker.build(spec)
        (found,) = worker.infer(built.model_id, [picture], ["nchw"])
        int8 = worker.build(BuildSpec(spec.framework, spec.model, do_quantization=True, dataset=str(dataset)))
        assert int8.quantization
    assert found.shape == expected.shape
    # FP16 keeps 11 bits; the boxes are sums of a few such numbers, scaled by the stride.
    assert np.abs(found - expected).max() <= 2**-8 * np.abs(expected).max()
    assert np.corrcoef(found[0, 4:].ravel(), expected[0, 4:].ravel())[0, 1] > 0.9999
