"""compare-dumps on folders that are damaged, incomplete, strange or of another model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from compare_cases import (
    LAYER0,
    Case,
    change,
    compare_dumps,
    dump,
    model_path,
)

from rkparity.cli.main import main


def test_damage_is_incomplete_unless_something_diverges(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.write_bytes(path.read_bytes()[:-100])
    code, result = cnn.compare()
    assert (code, result["verdict"]) == (3, "not-compared")
    (lost,) = [item for item in result["not_compared"] if item["expected"]]
    assert (lost["dump"], lost["reason"]) == (path.name, "damaged-dump")
    assert "truncated" in lost["detail"]
    other = dump(cnn.dumps, 4)
    change(other, np.load(other) * 2)
    code, result = cnn.compare()
    assert (code, result["verdict"]) == (1, "fail")


def test_dump_that_is_no_npy(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.write_bytes(b"<html>404</html>")
    code, result = cnn.compare()
    assert code == 3
    assert "is not an npy file" in result["not_compared"][0]["detail"]


def test_pipe_and_dangling_link_are_not_waited_for(cnn: Case) -> None:
    for order, make in ((LAYER0, os.mkfifo), (4, lambda path: path.symlink_to("nowhere"))):
        path = dump(cnn.dumps, order)
        path.unlink()
        make(path)
    code, result = cnn.compare()
    assert code == 3
    assert [item["detail"] for item in result["not_compared"] if item["expected"]] == ["is not a regular file"] * 2


def test_file_name_that_is_no_utf8(cnn: Case, capsys: pytest.CaptureFixture[str]) -> None:
    (cnn.dumps / os.fsdecode(b"012_Conv_\xff\x1b[2J_shape_1_float.npy")).write_bytes(b"")
    code, result = cnn.compare("--all", model=False)
    assert code == 3
    assert any("\udcff" in (item["dump"] or "") for item in result["not_compared"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("model", [True, False])
@pytest.mark.parametrize("order", [0, 3, 11])
def test_missing_dump_is_named(cnn: Case, order: int, model: bool) -> None:
    dump(cnn.dumps, order).unlink()
    code, result = cnn.compare(model=model)
    assert code == 3
    assert any(item["reason"] == "missing-dump" and item["expected"] for item in result["not_compared"])


def test_wrong_shape_is_refused(cnn: Case) -> None:
    path = dump(cnn.dumps, LAYER0)
    change(path, np.load(path)[:, :12])
    code, result = cnn.compare()
    assert code == 3
    (lost,) = [item for item in result["not_compared"] if item["expected"]]
    assert lost["reason"] == "shape-mismatch"
    assert any(path.name in warning and "holds [1, 12, 16, 16]" in warning for warning in result["warnings"])


def test_damaged_reference_is_incomplete(cnn: Case) -> None:
    path = cnn.snapshot / "simulator" / "npy" / "_layer0_Relu_output_0.npy"
    # After the snapshot has been listed its header is still right; only reading finds the damage.
    path.write_bytes(path.read_bytes()[:-8])
    assert main(["compare-dumps", str(cnn.dumps), str(cnn.snapshot), "--model", str(cnn.model)]) == 3


def test_usage_errors(cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.npy").write_bytes(b"")
    limits = tmp_path / "limits.toml"
    limits.write_text("[default]\nlsb_max = 3\n")
    existing = tmp_path / "existing.json"
    existing.write_text("mine")
    other = model_path("non4d_int8")
    expected = [
        ((tmp_path / "none", cnn.snapshot), "dump folder does not exist"),
        ((limits, cnn.snapshot), "dump folder is a file"),
        ((empty, cnn.snapshot), "holds no dumps"),
        ((cnn.dumps, tmp_path / "none"), "reference does not exist"),
        ((cnn.dumps, empty), "is neither a run nor a toolkit snapshot"),
        ((cnn.dumps, cnn.snapshot, "--model", other), "not"),
        ((cnn.dumps, cnn.snapshot, "--model", limits), "is not a .rknn file"),
        ((cnn.dumps, cnn.snapshot, "--model", tmp_path / "none.rknn"), "does not exist"),
        ((cnn.dumps, cnn.snapshot, "--thresholds", limits), "unknown key 'lsb_max'"),
        ((cnn.dumps, cnn.snapshot, "--json", existing), "exists already"),
        ((cnn.dumps, cnn.snapshot, "--json", empty), "is a folder"),
        ((cnn.dumps, cnn.snapshot, "--json", tmp_path / "no" / "a.json"), "does not exist"),
        ((cnn.dumps, cnn.snapshot, "--per-channel", "x"), "--json"),
        ((cnn.dumps, cnn.snapshot, "--per-channel", "x", "--json", tmp_path / "n.json"), "no compared layer"),
    ]
    for arguments, said in expected:
        assert compare_dumps(*arguments) == 2, arguments
        error = capsys.readouterr().err
        assert said in error, arguments
        assert "Traceback" not in error
    assert existing.read_text() == "mine"
    assert not (tmp_path / "n.json").exists()


def test_dumps_of_another_model_align_with_nothing(
    cnn: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    np.save(foreign / "001_Conv_somewhere_else_shape_1_7_5_5_float.npy", np.zeros((1, 7, 5, 5), np.float32))
    assert compare_dumps(foreign, cnn.snapshot) == 2
    assert "matches any" in capsys.readouterr().err


def test_model_of_another_input_size_is_refused(cnn: Case, capsys: pytest.CaptureFixture[str]) -> None:
    path = dump(cnn.dumps, LAYER0)
    path.rename(path.with_name(path.name.replace("24_16_16", "24_20_20")))
    assert compare_dumps(cnn.dumps, cnn.snapshot, "--model", cnn.model) == 2
    assert "the model says [1, 24, 16, 16]" in capsys.readouterr().err


def test_strange_files_are_mentioned(cnn: Case) -> None:
    np.save(cnn.dumps / "my_output.npy", np.zeros(3))
    code, result = cnn.compare()
    assert code == 0
    assert "1 .npy files are not named like dumps, such as my_output.npy" in result["warnings"]
