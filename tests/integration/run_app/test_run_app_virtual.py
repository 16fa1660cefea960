"""run-app --virtual: the emulated runtime with the toolkit's simulator behind it, on this machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import traced_app
from rkparity.cli.main import main
from rkparity.errors import ToolkitError, UsageError
from rkparity.lint import lint
from rkparity.runs import RunReader
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require


@pytest.mark.toolkit
def test_program_with_the_simulator(
    built: traced_app.Built, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        find_toolkit_python(None)
    except (ToolkitError, UsageError) as error:
        require(False, error.message)
    rknn = models["b25_c3w30_fp16_rk3588"]
    config = json.loads((rknn.parent / "case.json").read_text())["config"]
    spec = {"framework": "onnx", "model": str(rknn.parent / "model.onnx"), "do_quantization": False, **config}
    record = {
        "schema": "rkparity.build/1",
        "rknn_sha256": hashlib.sha256(rknn.read_bytes()).hexdigest(),
        "toolkit_version": "2.5.0",
        "spec": {"target_platform": "rk3588", **spec},
    }
    rknn.with_name(f"{rknn.name}.build.json").write_text(json.dumps(record))
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
    monkeypatch.setenv("RKPARITY_EMULATOR_LIBRARY", str(built.libraries / "librknnrt.so"))
    out = tmp_path / "run"
    assert main(["run-app", "--virtual", str(rknn), "-o", str(out), "--", str(built.app), str(rknn)]) == 0
    run = RunReader.open(out)
    assert run.manifest.emulated and len(run.manifest.tensors) == 3
    assert run.manifest.model.name == rknn.name
    assert lint(out).findings == ()
