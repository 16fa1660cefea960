"""An RV1106 model played on the emulated mini runtime with the real toolkit's values."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fidelity.aspects import judge
from fidelity.player import Player
from fidelity.session import prepare
from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.errors import ToolkitError, UsageError
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require

EXPERIMENT = "mrt232_zc_u8"


@pytest.fixture(scope="module")
def toolkit_python() -> Path:
    try:
        return find_toolkit_python(None)
    except (ToolkitError, UsageError) as error:
        require(False, error.message)
        raise


@pytest.mark.toolkit
def test_the_mini_runtime_with_the_simulators_values(toolkit_python: Path, tmp_path: Path) -> None:
    require(shutil.which("cc"), "no C compiler")
    corpus = prepare(tmp_path)
    experiment = next(item for item in corpus.experiments if item.name == EXPERIMENT)
    rknn, source = corpus.models / experiment.model, corpus.models / "b25_c3w30"
    dataset = source / "dataset.txt"
    dataset.write_text("".join(f"{path}\n" for path in sorted((source / "calibration").iterdir())))
    record = {
        "schema": "rkparity.build/1",
        "rknn_sha256": hashlib.sha256(rknn.read_bytes()).hexdigest(),
        "toolkit_version": "2.5.0",
        "spec": {
            "framework": "onnx",
            "model": str(source / "model.onnx"),
            "do_quantization": True,
            "dataset": str(dataset),
            "target_platform": "rv1106",
        },
    }
    rknn.with_name(rknn.name + ".build.json").write_text(json.dumps(record))
    catalogue = ModelCatalogue(toolkit_python, [rknn])
    try:
        with Player(corpus.libraries, corpus.drivers, corpus.models, tmp_path, open_model=catalogue.open) as player:
            played = player.play(experiment)
    finally:
        catalogue.close()
    assert [result for result in judge(played) if result.differences] == []
    dumps = played.folder / "dumps"
    layer, output = (
        np.frombuffer((dumps / name).read_bytes()[80:], np.float32)
        for name in ("001_Conv_y_shape_1_5_9_30_float.npy", "002_OutputOperator_y_shape_1_5_9_30_float.npy")
    )
    assert len(np.unique(output)) > 20
    np.testing.assert_array_equal(layer, output)
