"""`compare-dumps` and `diagnose` judge each layer on the board's own inputs by themselves when they can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from diagnose_bench import Board, BoardMaker, Fault

from rkparity.cli.main import main
from rkparity.runs import RunReader

pytestmark = pytest.mark.toolkit
CNN = "cnn_classifier/c25_cnn_classifier_int8"


def compare(board: Board, dumps: Path, *more: str) -> tuple[int, dict[str, object]]:
    out = dumps.parent / "comparison.json"
    arguments = ["compare-dumps", str(dumps), str(board.folder / "sim"), "--model", str(board.rknn)]
    code = main([*arguments, "--no-diagnosis", "--json", str(out), "--force", *more])
    return code, json.loads(out.read_text())


def test_a_fault_behind_a_fault_is_named_without_being_asked(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = make_board(CNN)
    first, second = board.layer(0.1), board.layer(0.9)
    made = board.dumps("twice", {first: lambda array: array * 1.15, second: lambda array: array * 0.9})
    dumps = tmp_path / "dumps"
    shutil.copytree(made, dumps)
    code, result = compare(board, dumps)
    assert code == 1
    pairs = result["pairs"]
    assert isinstance(pairs, list)
    assert [item["tensor"] for item in pairs if item["own_or_inherited"] == "own"] == [first, second]
    assert result["local"] == str(tmp_path / "dumps.local")
    assert result["end_to_end_only"] == ""
    assert "judged on the board's own inputs" in capsys.readouterr().out


def test_the_local_run_is_kept_and_made_again_for_other_dumps(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = make_board(CNN)
    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("kept", {board.layer(0.4): lambda array: array * 0.8}), dumps)
    assert compare(board, dumps)[0] == 1
    assert "computing each layer" in capsys.readouterr().err
    manifest = (tmp_path / "dumps.local" / "manifest.json").read_bytes()
    assert compare(board, dumps)[0] == 1
    assert "computing each layer" not in capsys.readouterr().err
    assert (tmp_path / "dumps.local" / "manifest.json").read_bytes() == manifest
    dump = sorted(dumps.glob("*_float.npy"))[-1]
    np.save(dump, np.load(dump) * np.float32(0.5))
    assert compare(board, dumps)[0] == 1
    assert "computing each layer" in capsys.readouterr().err
    told = RunReader.open(tmp_path / "dumps.local").manifest.settings["resimulated"]
    assert told["key"] != json.loads(manifest)["settings"]["resimulated"]["key"]


def test_a_folder_of_someone_else_beside_the_dumps_is_left_alone(make_board: BoardMaker, tmp_path: Path) -> None:
    board = make_board(CNN)
    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("other", {board.layer(0.4): lambda array: array * 0.8}), dumps)
    (tmp_path / "dumps.local").mkdir()
    (tmp_path / "dumps.local" / "notes.txt").write_text("mine")
    code, result = compare(board, dumps)
    assert code == 1
    assert result["local"] is not None
    assert [path.name for path in (tmp_path / "dumps.local").iterdir()] == ["notes.txt"]


def test_without_it_the_verdict_says_what_it_cannot_see(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = make_board(CNN)
    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("off", {board.layer(0.4): lambda array: array * 1.02}), dumps)
    _, result = compare(board, dumps, "--local", "off")
    assert "--local off" in str(result["end_to_end_only"])
    assert "end to end only" in capsys.readouterr().out
    assert not (tmp_path / "dumps.local").exists()
    alone = tmp_path / "model.rknn"
    shutil.copy(board.rknn, alone)
    main(["compare-dumps", str(dumps), str(board.folder / "sim"), "--model", str(alone), "--no-diagnosis"])
    assert "end to end only (model.rknn has no build record)" in capsys.readouterr().out


def test_equal_dumps_start_no_toolkit(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = make_board(CNN)
    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("equal"), dumps)
    code, result = compare(board, dumps)
    assert (code, result["local"], result["end_to_end_only"]) == (0, None, "")
    assert capsys.readouterr().err == ""


def test_rounding_in_every_layer_is_no_divergence(make_board: BoardMaker, tmp_path: Path) -> None:
    board = make_board(CNN)
    random = np.random.default_rng(2)
    scales = {item.name: item.scale[0] for item in board.model.tensors if item.is_quantized}
    # In execution order: what is behind a layer is computed from its rounded values.
    chosen = list(dict.fromkeys(board.layer(place) for place in (0.0, 0.4, 0.6, 0.8)))

    def rounded(name: str) -> Fault:
        step = np.float32(scales[name])
        return lambda array: (array + step * random.integers(-1, 2, array.shape)).astype(np.float32)

    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("rounded", {name: rounded(name) for name in chosen if name in scales}), dumps)
    code, result = compare(board, dumps)
    assert (code, result["verdict"]) == (0, "warn")


def test_other_weights_in_most_layers_are_no_operators_fault(make_board: BoardMaker, tmp_path: Path) -> None:
    board = make_board(CNN)
    random = np.random.default_rng(3)
    nodes = [node for node in board.model.nodes if node.op_type.startswith(("Conv", "Gemm", "MatMul"))]
    simulated = {record.name for record in board.simulator.manifest.tensors}
    names = [board.model.tensors[node.outputs[0]].name for node in nodes]
    assert len(names) >= 4

    def other(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return array * random.uniform(0.5, 1.5, (1, array.shape[1], 1, 1)).astype(np.float32)

    dumps = tmp_path / "dumps"
    shutil.copytree(board.dumps("older", {name: other for name in names if name in simulated}), dumps)
    out = tmp_path / "diagnosis.json"
    arguments = ["diagnose", str(dumps), str(board.folder / "sim"), "--model", str(board.rknn), "--json", str(out)]
    assert main(arguments) == 1
    found = [item["id"] for item in json.loads(out.read_text())["findings"]]
    assert "versions.another_weights" in found
    assert not {"layer.operator", "layer.linear", "layer.moved"} & set(found)
