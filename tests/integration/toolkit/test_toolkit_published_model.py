"""A published model, the PP-OCR detector, through the fast snapshot and the toolkit's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_models import ppocr_model
from toolkit_cases import toolkit_python

from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.simulate import simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit


@pytest.mark.parametrize("quantised", [True, False], ids=["int8", "fp16"])
def test_every_tensor_is_the_same_bytes(quantised: bool, tmp_path: Path) -> None:
    python = toolkit_python()
    model = ppocr_model("ch_PP-OCRv4_det_infer.onnx", tmp_path)
    random = np.random.default_rng(7)
    for index in range(3):
        # The toolkit wants calibration arrays in NCHW.
        np.save(tmp_path / f"{index}.npy", random.integers(0, 256, (1, 3, 96, 160), dtype=np.uint8))
    (tmp_path / "list.txt").write_text("0.npy\n1.npy\n")
    spec = BuildSpec(
        Framework.ONNX,
        str(model),
        inputs=("x",),
        input_size_list=((1, 3, 96, 160),),
        mean_values=((127.5,) * 3,),
        std_values=((127.5,) * 3,),
        do_quantization=quantised,
        dataset=str(tmp_path / "list.txt") if quantised else None,
    )
    with Worker(python, timeout_s=300) as worker:
        built = worker.build(spec)
        inputs = prepare_inputs([tmp_path / "2.npy"], built.inputs, worker, tmp_path / "feed")
        fast = simulate(worker, built, inputs, tmp_path / "fast", fast=True)
        slow = simulate(worker, built, inputs, tmp_path / "slow", fast=False)
        for ours, theirs in ((fast.golden, slow.golden), (fast.simulator, slow.simulator)):
            pairs = list(zip(ours.manifest.tensors, theirs.manifest.tensors))
            assert len(pairs) == len(ours.manifest.tensors) > 200
            assert [a.name for a, b in pairs if a.name != b.name or a.not_comparable != b.not_comparable] == []
            assert [
                a.name for a, b in pairs if ours.file(a.file).read_bytes() != theirs.file(b.file).read_bytes()
            ] == []
        values = worker.layers(built.model_id, [fast.golden.tensor(fast.golden.manifest.tensors[0])])
        simulator = fast.simulator
        for record in simulator.manifest.tensors:
            assert values.layers[record.name].tobytes() == simulator.tensor(record).tobytes(), record.name
        off_grid = []
        for record in simulator.manifest.tensors:
            if record.scale and not record.not_comparable:
                steps = simulator.tensor(record) / np.float32(record.scale[0])
                if np.abs(steps - np.round(steps)).max() > 1e-2:
                    off_grid.append(record.name)
        assert off_grid == []
