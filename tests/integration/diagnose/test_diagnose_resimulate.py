"""Recomputing layers on a board's own inputs: exact on the simulator's own, and it finds who makes an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnose_bench import Board, BoardMaker

from rkparity.cli.main import main
from rkparity.diagnose.diagnose import Material, diagnose
from rkparity.flow.resimulate import resimulate_run
from rkparity.runs import Role, RunReader
from rkparity.toolkit.resimulate import Resimulation

pytestmark = pytest.mark.toolkit
CASES = [
    "cnn_classifier/c25_cnn_classifier_int8",
    "cnn_classifier/c25_cnn_classifier_fp16",
    "multi_input/c25_multi_input_int8",
    "multi_input/c25_multi_input_fp16",
    "non4d/c25_non4d_fp16",
    "b25_split/b25_split_int8_rk3588",
]
CNN = CASES[0]


def recomputed(board: Board, dumps: Path, out: Path) -> Resimulation:
    return resimulate_run(board.worker, dumps, board.rknn, out)


@pytest.mark.parametrize("case", CASES)
def test_on_the_simulators_own_inputs_it_gives_the_simulators_own_outputs(
    make_board: BoardMaker, case: str, tmp_path: Path
) -> None:
    board = make_board(case)
    made = recomputed(board, board.dumps("healthy"), tmp_path / "again")
    assert made.misfits == ()
    simulated = board.worker.layers(board.built.model_id, board.inputs).layers
    compared = 0
    for record in made.run.manifest.tensors:
        assert record.not_comparable == ""
        if record.name in simulated and record.role is not Role.INPUT:
            compared += 1
            expected = np.array(simulated[record.name])
            np.testing.assert_array_equal(made.run.tensor(record).reshape(expected.shape), expected, record.name)
    assert compared == len(simulated) - len(board.inputs) == made.recomputed > 0


@pytest.mark.parametrize("case", CASES)
def test_only_the_faulty_layer_has_an_error_of_its_own(make_board: BoardMaker, case: str, tmp_path: Path) -> None:
    board = make_board(case)
    name = board.layer(0.4)
    dumps = board.dumps("negated", {name: lambda array: -array + array.std()})
    made = recomputed(board, dumps, tmp_path / "again")
    wrong = {}
    for record in made.run.manifest.tensors:
        dump = next((path for path in dumps.glob("*.npy") if f"_{name_in_file(record.name)}_shape_" in path.name), None)
        if dump is not None and "InputOperator" not in dump.name:
            ours, theirs = np.load(dump), made.run.tensor(record)
            wrong[record.name] = float(np.abs(ours.reshape(-1) - theirs.reshape(-1)).max())
    assert wrong.pop(name) > 0
    assert set(wrong.values()) == {0.0}
    diagnosis = diagnose(dumps, board.simulator, Material(golden=board.golden, model=board.model, resimulated=made.run))
    blamed = [finding for finding in diagnosis.findings if finding.id.startswith("layer.") and finding.confidence > 0.9]
    assert blamed[0].subject == name
    told = {key: value for item in blamed[0].evidence for key, value in item.numbers.items()}
    assert told["own"] > 0
    # The FP16 input is rounded on the board, which the simulator run does not do: a last bit is inherited.
    assert told["own"] == pytest.approx(told["total"], rel=1e-4)


def name_in_file(name: str) -> str:
    return name.translate(str.maketrans("/:.;", "____"))


def test_errors_apart_a_second_fault_is_found_behind_the_first(make_board: BoardMaker, tmp_path: Path) -> None:
    board = make_board(CNN)
    first, second = board.layer(0.1), board.layer(0.9)
    assert first != second
    dumps = board.dumps("two", {first: lambda array: array * 0.7, second: lambda array: array[:, ::-1].copy()})
    made = recomputed(board, dumps, tmp_path / "again")
    diagnosis = diagnose(dumps, board.simulator, Material(golden=board.golden, model=board.model, resimulated=made.run))
    own = {finding.id: finding.subject for finding in diagnosis.findings}
    assert own["layer.inherited"] not in (first, second)
    assert first in {finding.subject for finding in diagnosis.findings if finding.confidence > 0.9}
    # By the dumps alone the second one looks inherited; recomputed, it is wrong by itself.
    makers = [pair.tensor for pair in resimulated_failures(dumps, made.run, board)]
    assert makers == [first, second]


def resimulated_failures(dumps: Path, run: RunReader, board: Board) -> list[object]:
    from rkparity.compare.pipeline import compare_runs
    from rkparity.compare.verdict import Verdict

    comparison = compare_runs(dumps, run, model=board.model)
    return [pair for pair in comparison.pairs if pair.verdict is Verdict.FAIL]


def test_a_missing_dump_makes_what_is_behind_it_incomplete_not_wrong(make_board: BoardMaker, tmp_path: Path) -> None:
    board = make_board("multi_input/c25_multi_input_int8")
    dumps = board.dumps("gap")
    name = board.layer(0.5)
    next(path for path in dumps.glob("*.npy") if f"_{name_in_file(name)}_shape_" in path.name).unlink()
    made = recomputed(board, dumps, tmp_path / "again")
    simulated = board.worker.layers(board.built.model_id, board.inputs).layers
    computed_from = made.run.manifest.settings["resimulated"]["computed_from"]
    # What read the missing tensor is computed through from the dumps before it.
    assert all(name not in names for names in computed_from.values())
    for record in made.run.manifest.tensors:
        if record.name in simulated and record.role is not Role.INPUT:
            expected = np.array(simulated[record.name])
            np.testing.assert_array_equal(made.run.tensor(record).reshape(expected.shape), expected)


def test_command(make_board: BoardMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = make_board(CNN)
    dumps = board.dumps("command")
    name = board.layer(0.4)
    out = tmp_path / "again"
    arguments = ["resimulate", str(dumps), "--model", str(board.rknn), "--layer", name, "-o", str(out)]
    assert main(arguments) == 0
    assert "1 computed from the board's own tensors alone" in capsys.readouterr().out
    assert name in [record.name for record in RunReader.open(out).manifest.tensors]
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments[:5], "nonsense", "-o", str(tmp_path / "other")]) == 2
    assert "no tensor of this name" in capsys.readouterr().err
    other = board.dumps("other")
    assert (
        main(["diagnose", str(other), str(board.folder / "sim"), "--model", str(board.rknn), "--resimulated", str(out)])
        == 2
    )
    assert "was computed from" in capsys.readouterr().err
    next(dumps.glob("*InputOperator*")).unlink()
    assert main([*arguments[:5], name, "-o", str(tmp_path / "third")]) == 3
    assert "no InputOperator dump" in capsys.readouterr().err
