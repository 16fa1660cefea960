"""A snapshot folder as runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from snapshot_cases import unpack_case

from rkparity.cli.main import main
from rkparity.errors import DataError, UsageError
from rkparity.model import read_model
from rkparity.runs import Engine, Precision, Role, RunReader
from rkparity.toolkit.snapshot import FUSED_REASON, is_snapshot, open_snapshot

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"


@pytest.fixture
def odd_int8(tmp_path: Path) -> Path:
    return unpack_case("odd_names", tmp_path) / "int8" / "snapshot"


def test_tensors_are_those_of_the_snapshot_in_its_order(odd_int8: Path) -> None:
    snapshot = open_snapshot(odd_int8)
    names = [record.name for record in snapshot.simulator.manifest.tensors]
    assert names[:5] == ["in:0", "in:0_int8", "a/b", "a_b", "a:b"]
    assert names[-1] == "out;0"
    first = snapshot.golden.manifest.tensors[0]
    assert (first.op_type, first.role, first.shape) == ("Input", Role.INPUT, (1, 4, 8, 8))
    stored = np.load(odd_int8 / "golden" / "npy" / "in_0.npy")
    assert np.array_equal(snapshot.golden.tensor(first), stored)
    assert snapshot.golden.file(first.file) == odd_int8 / "golden" / "npy" / "in_0.npy"
    assert snapshot.golden.manifest.engine is Engine.GOLDEN
    assert snapshot.simulator.manifest.precision is Precision.QUANTIZED
    assert snapshot.runtime is None
    assert snapshot.simulator.manifest.engine is Engine.SIMULATOR


def test_an_fp16_snapshot_is_told_from_a_quantised_one(tmp_path: Path) -> None:
    snapshot = open_snapshot(unpack_case("odd_names", tmp_path) / "fp16" / "snapshot")
    assert snapshot.simulator.manifest.precision is Precision.FP16


def test_overwritten_files_belong_to_the_last_name_only(odd_int8: Path) -> None:
    snapshot = open_snapshot(odd_int8)
    for run in (snapshot.golden, snapshot.simulator):
        reasons = {record.name: record.not_comparable for record in run.manifest.tensors if record.not_comparable}
        assert set(reasons) == {"a/b", "a_b"}
        assert "overwritten by tensor 'a:b'" in reasons["a/b"]


def test_the_compiled_model_adds_scales_and_outputs(odd_int8: Path) -> None:
    snapshot = open_snapshot(odd_int8, model=read_model(MODELS / "odd_names_int8.rknn"))
    records = {record.name: record for record in snapshot.simulator.manifest.tensors}
    assert records["out;0"].role is Role.OUTPUT
    quantised = records["in:0_int8"]
    assert len(quantised.scale) == len(quantised.zero_point) == 1
    steps = snapshot.simulator.tensor(quantised) / np.float32(quantised.scale[0])
    assert np.abs(steps - np.round(steps)).max() < 1e-3
    assert all(record.scale == () for record in snapshot.golden.manifest.tensors)


def test_blank_rows_are_marked_in_the_simulator_only(odd_int8: Path) -> None:
    table = odd_int8 / "error_analysis.txt"
    lines = [
        line[: line.index("]") + 5] + "\n" if line.startswith("[Sigmoid] A/B") else line
        for line in table.read_text().splitlines(keepends=True)
    ]
    table.chmod(0o644)
    table.write_text("".join(lines))
    snapshot = open_snapshot(odd_int8)
    assert [r.not_comparable for r in snapshot.simulator.manifest.tensors if r.name == "A/B"] == [FUSED_REASON]
    assert [r.not_comparable for r in snapshot.golden.manifest.tensors if r.name == "A/B"] == [""]


def test_without_tables_the_files_still_open_with_a_warning(odd_int8: Path) -> None:
    (odd_int8 / "error_analysis.txt").unlink()
    (odd_int8 / "map_name_to_file.txt").unlink()
    snapshot = open_snapshot(odd_int8)
    assert len(snapshot.warnings) == 2
    assert len(snapshot.golden.manifest.tensors) == 11
    assert all(record.name_is_sanitized for record in snapshot.golden.manifest.tensors)


def test_a_missing_tensor_is_named_and_a_damaged_one_an_error(odd_int8: Path) -> None:
    (odd_int8 / "golden" / "npy" / "A_B.npy").unlink()
    snapshot = open_snapshot(odd_int8)
    assert any("A_B.npy: is missing" in warning for warning in snapshot.warnings)
    assert "A/B" not in [record.name for record in snapshot.golden.manifest.tensors]
    damaged = odd_int8 / "simulator" / "npy" / "A_B.npy"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(DataError, match=r"A_B\.npy: truncated"):
        open_snapshot(odd_int8)


def test_a_board_s_dumps_are_a_third_run(odd_int8: Path) -> None:
    folder = odd_int8 / "runtime" / "npy"
    folder.mkdir(parents=True)
    np.save(folder / "000_InputOperator_in_0_shape_1_4_8_8_float.npy", np.zeros((1, 4, 8, 8), np.float32))
    np.save(folder / "001_Tanh_a_b_shape_1_4_8_8_float.npy", np.ones((1, 4, 8, 8), np.float32))
    np.save(folder / "notes.npy", np.ones(1, np.float32))
    snapshot = open_snapshot(odd_int8)
    assert snapshot.runtime is not None
    assert [(r.name, r.role, r.order) for r in snapshot.runtime.manifest.tensors] == [
        ("in_0", Role.INPUT, 0),
        ("a_b", Role.LAYER, 1),
    ]
    assert any("notes.npy: is left out" in warning for warning in snapshot.warnings)


def test_what_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    assert not is_snapshot(tmp_path)
    with pytest.raises(UsageError, match="is no toolkit snapshot"):
        open_snapshot(tmp_path)


def test_import_snapshot_writes_runs(odd_int8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["import-snapshot", str(odd_int8), "-o", str(out), "--model", str(MODELS / "odd_names_int8.rknn")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "simulator: 13 tensors, quantized" in printed
    assert "not comparable: a/b" in printed
    run = RunReader.open(out / "simulator")
    source = open_snapshot(odd_int8).simulator
    for record, original in zip(run.manifest.tensors, source.manifest.tensors):
        assert record.name == original.name
        assert run.tensor(record).tobytes() == source.tensor(original).tobytes()
    assert run.manifest.logs == ("logs/error_analysis.txt", "logs/map_name_to_file.txt")
    manifest = json.loads((out / "golden" / "manifest.json").read_text())
    assert manifest["inputs"][0]["form"] == "normalized"
    assert manifest["inputs"][0]["file"] == "tensors/0000.npy"
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
