"""run-app --virtual: the emulated runtime with the toolkit's simulator behind it, on this machine."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import traced_app
from rkparity.cli.main import main
from rkparity.errors import ToolkitError, UsageError
from rkparity.lint import lint
from rkparity.model import read_model
from rkparity.runs import Engine, Manifest, ModelRecord, Role, RunReader, RunWriter
from rkparity.runs.void_values import VOID_MARK, VOID_WARNING
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


def test_a_model_without_a_build_record_answers_calls_and_no_values(
    built: traced_app.Built,
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rknn = tmp_path / "foreign.rknn"
    rknn.write_bytes(models["b25_c3w30_fp16_rk3588"].read_bytes())
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
    monkeypatch.setenv("RKPARITY_EMULATOR_LIBRARY", str(built.libraries / "librknnrt.so"))
    monkeypatch.setenv("RKPARITY_TOOLKIT_PYTHON", sys.executable)  # no toolkit is needed, nor started
    out = tmp_path / "run"
    assert main(["run-app", "--virtual", str(rknn), "-o", str(out), "--", str(built.app), str(rknn)]) == 0
    assert VOID_MARK in capfd.readouterr().out
    run = RunReader.open(out)
    assert run.manifest.void_values and run.manifest.emulated and VOID_WARNING in run.manifest.warnings
    # The input is what the program gave; nothing that could be taken for a result is there.
    assert [tensor.role for tensor in run.manifest.tensors] == [Role.INPUT]
    result = lint(out)
    assert result.findings == ()
    assert any(VOID_MARK in item.reason for item in result.unchecked)
    mistaken = tmp_path / "mistaken"
    program = [str(built.app), str(rknn), "--mistake", "size-small"]
    main(["run-app", "--virtual", str(rknn), "-o", str(mistaken), "--", *program])
    assert any(finding.id == "input-size-small" for finding in lint(mistaken).findings), lint(mistaken).findings
    # No comparison of such a run, nor of its bare dumps, passes.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dumps").mkdir()
    for file in (out / "dumps").iterdir():
        (tmp_path / "dumps" / file.name).write_bytes(file.read_bytes())
    reference = reference_run(out, tmp_path / "reference", rknn)
    for dumps, code in ((out, 3), (tmp_path / "dumps", 3)):
        assert main(["compare-dumps", str(dumps), str(reference), "--model", str(rknn)]) == code
        assert main(["diagnose", str(dumps), str(reference), "--model", str(rknn)]) == code
    assert "its values are void" in capfd.readouterr().err


def reference_run(run: Path, out: Path, rknn: Path) -> Path:
    """A simulator's run whose input is that of `run` and whose other tensors are zeros, as the void outputs are."""
    model = read_model(rknn)
    given = RunReader.open(run)
    with RunWriter(out) as writer:
        tensors = []
        for order, node in enumerate(model.nodes):
            tensor = model.tensors[node.outputs[0]] if node.outputs else None
            if tensor is None:
                continue
            role = {"InputOperator": Role.INPUT, "OutputOperator": Role.OUTPUT}.get(node.op_type, Role.LAYER)
            value = np.zeros(tensor.shape, np.float32)
            if role is Role.INPUT:
                value = given.tensor(given.manifest.tensors[0]).astype(np.float32)
            tensors.append(writer.add_tensor(tensor.name, value, order=order, op_type=node.op_type, role=role))
        precision = given.manifest.precision
        writer.finish(Manifest(Engine.SIMULATOR, precision, ModelRecord(rknn.name), (), tuple(tensors)))
    return out
