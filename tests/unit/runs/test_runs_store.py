"""Runs on disk: written whole or not at all, read back as written, refused when damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rkparity.errors import DataError, UsageError
from rkparity.runs import Engine, InputForm, Manifest, ModelRecord, Precision, Role, RunReader, RunWriter


def write_run(path: Path, *, force: bool = False, value: float = 1.5) -> Manifest:
    with RunWriter(path, force=force) as writer:
        picture = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
        given = writer.add_input("x", picture, layout="NHWC", form=InputForm.RAW)
        tensors = (
            writer.add_tensor("a/b", np.full((1, 2), value, np.float32), order=0, op_type="Conv"),
            writer.add_tensor(
                "a_b",
                np.zeros((3,), np.int8),
                order=1,
                op_type="Relu",
                role=Role.OUTPUT,
                scale=(0.5,),
                zero_point=(-3,),
            ),
        )
        manifest = Manifest(
            Engine.SIMULATOR,
            Precision.QUANTIZED,
            ModelRecord("m.rknn", "ab" * 32, "rk3588", "2.5.0"),
            (given,),
            tensors,
            versions={"toolkit": "2.5.0"},
            settings={"dataset": None},
            logs=("toolkit.log",),
            warnings=("w",),
        )
        writer.finish(manifest)
    return manifest


def test_a_run_reads_back_as_written(tmp_path: Path) -> None:
    manifest = write_run(tmp_path / "run")
    run = RunReader.open(tmp_path / "run")
    assert run.manifest.tensors == manifest.tensors
    assert run.manifest.inputs == manifest.inputs
    assert run.manifest.versions == {"toolkit": "2.5.0"}
    assert run.manifest.created.endswith("+00:00")
    assert run.tensor(run.manifest.tensors[0]).tolist() == [[1.5, 1.5]]
    assert run.manifest.inputs[0].sha256 == hashlib.sha256(bytes(range(12))).hexdigest()


def test_names_that_sanitise_alike_keep_their_own_tensors(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    run = RunReader.open(tmp_path / "run")
    assert {record.name: run.tensor(record).shape for record in run.manifest.tensors} == {"a/b": (1, 2), "a_b": (3,)}


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunWriter(tmp_path / "run") as writer:
        writer.add_tensor("a", np.zeros(3), order=0, op_type="Conv")
        raise RuntimeError("the board is gone")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_kept_unless_forced(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with pytest.raises(UsageError, match="exists already"):
        write_run(tmp_path / "run", value=2.0)
    write_run(tmp_path / "run", force=True, value=2.0)
    run = RunReader.open(tmp_path / "run")
    assert run.tensor(run.manifest.tensors[0]).tolist() == [[2.0, 2.0]]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failed_replacement_keeps_the_old_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with pytest.raises(RuntimeError), RunWriter(tmp_path / "run", force=True):
        raise RuntimeError
    assert RunReader.open(tmp_path / "run").manifest.engine is Engine.SIMULATOR
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def edit(path: Path, change: dict[str, Any]) -> None:
    value = json.loads((path / "manifest.json").read_text())
    value.update(change)
    (path / "manifest.json").write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "rkparity.run/9"}, "schema is 'rkparity.run/9'"),
        ({"engine": "abacus"}, "engine is 'abacus'; it must be one of original, golden, simulator, board, app"),
        ({"tensors": {}}, "tensors must be a list"),
        ({"tensors": [{"name": 3}]}, r"tensors\[0\].name must be a string"),
        ({"inputs": ["x"]}, r"inputs\[0\]. must be a JSON object"),
        ({"model": {"name": "m", "sha256": 7}}, "model.sha256 must be a string or null"),
        ({"emulated": 1}, "emulated must be true or false"),
    ],
)
def test_a_wrong_manifest_names_its_field(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    write_run(tmp_path / "run")
    edit(tmp_path / "run", change)
    with pytest.raises(DataError, match=complaint):
        RunReader.open(tmp_path / "run")


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.npy", "tensors/../../secret.npy", "", "a\0b"])
def test_a_manifest_cannot_lead_out_of_its_run(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / "run")
    run = RunReader.open(tmp_path / "run")
    with pytest.raises(DataError, match="leads out of the folder"):
        run.file(name)


def test_a_tensor_that_is_not_what_the_manifest_says_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    run = RunReader.open(tmp_path / "run")
    np.save(tmp_path / "run" / "tensors" / "0000.npy", np.zeros((1, 2), np.float64))
    with pytest.raises(DataError, match="holds float64"):
        run.tensor(run.manifest.tensors[0])


def test_a_folder_without_a_manifest_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        RunReader.open(tmp_path)


def test_a_manifest_that_is_no_json_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="is not JSON"):
        RunReader.open(tmp_path)
