"""The command, its JSON, and the findings at the end of compare-dumps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from diagnose_bench import Board, BoardMaker

from rkparity.cli.main import main
from rkparity.runs import Engine, Manifest, ModelRecord, Precision, RunWriter

pytestmark = pytest.mark.toolkit
CNN = "cnn_classifier/c25_cnn_classifier_int8"
SPLIT = "b25_split/b25_split_int8_rk3588"


def paths(board: Board, dumps: Path) -> list[str]:
    return [str(dumps), str(board.folder / "sim"), "--model", str(board.rknn)]


def test_healthy(make_board: BoardMaker, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(CNN)
    assert main(["diagnose", *paths(board, board.dumps("healthy"))]) == 0
    out = capsys.readouterr().out
    assert "all 12 dumps agree with the simulator" in out and "nothing wrong was found" in out


def test_json_and_text(make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(CNN)
    name = board.layer(0.3)
    dumps = board.dumps("zero", {name: lambda array: array * 0})
    folder = tmp_path / "diagnosis"
    assert main(["diagnose", *paths(board, dumps), "-o", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"ERROR layer.zero: MaxPool's output {name} is all zero" in out
    document = json.loads((folder / "diagnosis.json").read_text())
    assert document["schema"] == "rkparity.diagnosis/1"
    assert (document["verdict"], document["exit_code"]) == ("fail", 1)
    (finding,) = [item for item in document["findings"] if item["id"] == "layer.zero"]
    assert finding["stage"] == "layer" and finding["subject"] == name
    assert "op_target" in finding["fix_code"]
    assert main(["diagnose", *paths(board, dumps), "-o", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_compare_dumps_ends_with_the_diagnosis(make_board: BoardMaker, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(CNN)
    dumps = board.dumps("zero", {board.layer(0.3): lambda array: array * 0})
    assert main(["compare-dumps", *paths(board, dumps)]) == 1
    assert "ERROR layer.zero" in capsys.readouterr().out
    assert main(["compare-dumps", *paths(board, dumps), "--no-diagnosis"]) == 1
    assert "layer.zero" not in capsys.readouterr().out
    assert main(["compare-dumps", *paths(board, board.dumps("healthy"))]) == 0
    assert "diagnosis" not in capsys.readouterr().out


def test_a_damaged_golden_run_does_not_cost_the_comparison(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = make_board(CNN)
    dumps = board.dumps("zero", {board.layer(0.3): lambda array: array * 0})
    shutil.copytree(board.folder / "sim", tmp_path / "sim")
    for file in (tmp_path / "sim" / "golden" / "tensors").iterdir():
        file.write_bytes(file.read_bytes()[:90])
    code = main(["compare-dumps", str(dumps), str(tmp_path / "sim" / "simulator"), "--model", str(board.rknn)])
    assert code in (1, 3)
    assert "Traceback" not in capsys.readouterr().err


def test_outputs_a_run_kept(make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(SPLIT)
    dumps = board.dumps("kept")
    run = tmp_path / "run"
    outputs = [{"index": index, "file": f"output{index}.npy", "layout": "NCHW"} for index in range(3)]
    with RunWriter(run) as writer:
        shutil.copytree(dumps, writer.folder / "dumps")
        (writer.folder / "outputs").mkdir()
        for index, name in enumerate(("r0", "r1", "c")):
            values = np.load(next(dumps.glob(f"*OutputOperator_{name}_*")))
            np.save(writer.folder / "outputs" / f"output{index}.npy", values)
        writer.finish(
            Manifest(Engine.BOARD, Precision.QUANTIZED, ModelRecord("m"), (), (), settings={"outputs": outputs})
        )
    assert main(["diagnose", *paths(board, run)]) == 0
    kept = run / "outputs" / "output2.npy"
    np.save(kept, np.load(kept) + np.float32(1))
    assert main(["diagnose", *paths(board, run)]) == 1
    assert "output.linear: output 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--app-output", "none.f32"], "does not exist"),
        (["--app-output", "{dump}", "--app-output", "{dump}", "--app-output", "{dump}"], "output files for a model"),
        (["--picture", "none.png"], "does not exist"),
        (["--trace", "{empty}"], "holds no trace"),
        (["--resimulated", "{sim}"], "was not made by"),
    ],
)
def test_usage(
    make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    board = make_board(CNN)
    dumps = board.dumps("healthy")
    values = {
        "dump": str(next(dumps.glob("*OutputOperator*"))),
        "empty": str(tmp_path),
        "sim": str(board.folder / "sim" / "simulator"),
    }
    assert main(["diagnose", *paths(board, dumps), *(item.format(**values) for item in arguments)]) == 2
    assert message in capsys.readouterr().err
