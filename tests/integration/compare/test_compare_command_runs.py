"""compare-dumps on runs: the JSON, what a manifest adds, references of several kinds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from compare_cases import (
    LAYER0,
    Case,
    change,
    compare_dumps,
    dump,
    pair,
    raw_pixels,
    reference_runs,
)

from rkparity.model import read_model
from rkparity.runs import (
    Engine,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    RunReader,
    TensorRecord,
)


def test_json_is_deterministic_and_has_the_documented_keys(cnn: Case, tmp_path: Path) -> None:
    reports = []
    for number in range(2):
        report = tmp_path / f"{number}.json"
        assert compare_dumps(cnn.dumps, cnn.snapshot, "--model", cnn.model, "--json", report) == 0
        reports.append(report.read_bytes())
    assert reports[0] == reports[1]
    result = json.loads(reports[0])
    assert list(result) == [
        "schema",
        "verdict",
        "exit_code",
        "headline",
        "emulated",
        "dumps",
        "reference",
        "golden",
        "local",
        "end_to_end_only",
        "model",
        "counts",
        "first_divergence",
        "output_faults",
        "input_proof",
        "pairs",
        "not_compared",
        "suggestions",
        "thresholds",
        "versions",
        "warnings",
    ]
    assert result["schema"] == "rkparity.comparison/1"
    assert list(result["pairs"][1]) == [
        "dump",
        "tensor",
        "match_rule",
        "role",
        "op_type",
        "order",
        "shape",
        "kind",
        "scale",
        "scale_source",
        "verdict",
        "own_or_inherited",
        "reasons",
        "note",
        "scores",
        "own",
        "against_golden",
        "channels",
    ]
    assert list(result["not_compared"][0]) == ["dump", "tensor", "reason", "detail", "expected"]
    assert not list(tmp_path.glob(".*.part"))


def board_run(case: Case, folder: Path, *, emulated: bool, sha256: str) -> Path:
    """The case's dumps as a board run with a manifest."""
    (folder / "dumps").mkdir(parents=True)
    tensors = []
    for order, path in enumerate(sorted(case.dumps.iterdir())):
        shutil.copy(path, folder / "dumps")
        array = np.load(path)
        tensors.append(
            TensorRecord(
                path.stem,
                f"dumps/{path.name}",
                array.dtype.name,
                array.shape,
                order,
                "Conv",
                Role.LAYER,
                name_is_sanitized=True,
            )
        )
    manifest = Manifest(
        Engine.BOARD,
        Precision.QUANTIZED,
        ModelRecord("m", sha256),
        (),
        tuple(tensors),
        {"runtime": "1.6.0 (9a7b5d24c)"},
        emulated=emulated,
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))
    return folder


def test_board_run_says_what_it_is(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = board_run(cnn, tmp_path / "run", emulated=True, sha256="0" * 64)
    code, result = cnn.compare(dumps=run)
    assert code == 0
    assert result["emulated"] is True
    assert "EMULATED" in capsys.readouterr().out
    assert result["warnings"][0].startswith("not the same .rknn file: the board ran 000000000000...")
    assert result["versions"]["dumps"]["runtime"] == "1.6.0 (9a7b5d24c)"
    dump(run / "dumps", LAYER0).unlink()
    code, result = cnn.compare(dumps=run, model=False)
    assert code == 3
    assert any("manifest lists it" in item["detail"] for item in result["not_compared"])


def test_runtime_older_than_the_model_is_a_warning(cnn: Case, tmp_path: Path) -> None:
    sha256 = read_model(cnn.model).sha256
    run = board_run(cnn, tmp_path / "run", emulated=False, sha256=sha256)
    _, result = cnn.compare(dumps=run)
    assert any("librknnrt 1.6 ran a model built by toolkit 2.5" in warning for warning in result["warnings"])


def test_runs_swapped_by_mistake(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = board_run(cnn, tmp_path / "run", emulated=False, sha256="0" * 64)
    assert compare_dumps(cnn.dumps, run) == 2
    assert "cannot be the reference" in capsys.readouterr().err


def test_simulated_runs_with_the_raw_input(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    report = tmp_path / "r.json"
    for reference in (runs, runs / "simulator"):
        assert compare_dumps(cnn.dumps, reference, "--model", cnn.model, "--json", report, "--force") == 0
        result = json.loads(report.read_text())
        assert result["input_proof"][0]["method"] == "raw-bytes"
        assert result["golden"] == str(runs / "golden")
    # Without the model the bytes alone prove the input.
    assert compare_dumps(cnn.dumps, runs, "--json", report, "--force") == 0
    assert json.loads(report.read_text())["verdict"] == "pass"
    assert RunReader.open(runs / "golden").manifest.engine is Engine.GOLDEN


def test_golden_alone_is_a_reference_with_a_warning(cnn: Case, tmp_path: Path) -> None:
    pixels = raw_pixels(cnn.snapshot, read_model(cnn.model), "input")
    runs = reference_runs(cnn, tmp_path / "runs", raw=np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    report = tmp_path / "r.json"
    assert compare_dumps(cnn.dumps, runs / "golden", "--model", cnn.model, "--json", report) == 0
    result = json.loads(report.read_text())
    assert result["verdict"] == "warn"
    assert any("the reference is a run of the golden" in warning for warning in result["warnings"])
    assert compare_dumps(cnn.dumps, runs, "--golden", runs / "simulator", "--json", report, "--force") == 2


def test_golden_of_another_size_is_not_used(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path) * np.float32(1.5))
    other = cnn.snapshot / "golden" / "npy" / "_layer0_Relu_output_0.npy"
    np.save(other, np.zeros((1, 24, 8, 8), np.float32))
    code, result = cnn.compare()
    assert code == 1
    assert pair(result, LAYER0)["against_golden"] is None
    assert any("golden has another shape for 1 tensors" in warning for warning in result["warnings"])


@pytest.mark.parametrize(("fault", "wrong"), [("", False), ("element", True), ("short", True), ("float16", False)])
def test_the_outputs_a_run_kept_are_looked_at(cnn: Case, tmp_path: Path, fault: str, wrong: bool) -> None:
    run = board_run(cnn, tmp_path / "run", emulated=False, sha256="0" * 64)
    output = np.load(next((run / "dumps").glob("*OutputOperator*"))).reshape(-1)
    if fault == "element":
        output = output.copy()
        output[3] += 5
    elif fault == "short":
        output = output[: output.size // 2]
    elif fault == "float16":
        output = output.astype(np.float16)
    (run / "outputs").mkdir()
    np.save(run / "outputs" / "output0.npy", output)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["settings"]["outputs"] = [{"index": 0, "file": "output0.npy", "layout": ""}]
    (run / "manifest.json").write_text(json.dumps(manifest))
    code, result = cnn.compare(dumps=run)
    assert code == int(wrong)
    assert (result["verdict"] == "fail") is wrong
    assert len(result["output_faults"]) == int(wrong)
    if wrong:
        assert "an output is wrong: kept output 0" in result["headline"]
