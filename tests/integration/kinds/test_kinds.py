"""Types, ranks, inputs, outputs, batches, dynamic shapes through every command: no traceback, no wrong verdict.

A few kinds in both precisions by default; all of them with RKPARITY_ALL_KINDS=1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from walk_kinds import Step, Walk, command

from rkparity.errors import RkparityError
from rkparity.runs import RunReader
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require

pytestmark = pytest.mark.toolkit
MAKER = Path(__file__).with_name("make_kinds.py")
ALL = os.environ.get("RKPARITY_ALL_KINDS") == "1"
# What rknn-toolkit2 2.5.0 itself does not build.
REFUSED = ("empty_in", "in_uint8", "out_uint8", "rank6", "rank0-int8")
# It builds 0-d and cannot analyse it; a batch of other inputs than 4-D is refused by librknnrt, in its log.
NOT_RUN = ("rank0-fp16", "rknn_batch2d-fp16", "rknn_batch2d-int8")
RUN = ("in_bool-int8", "in3_mixed-fp16", "out_bool-fp16", "rank5-int8", "dynamic_fixed-fp16", "cube-fp16")
RUN += ("rknn_batch4d-fp16", "out_int64-int8")
CHECKED = ("in3_mixed-fp16", "where_bool-fp16", "dynamic3d-int8", "nhwc_onnx-fp16")
# The mean of noise is about 0: no scale serves it, and the check says so. An output without elements is left out.
JUDGED_BAD = ("out_scalar-int8", "empty_out-fp16", "empty_out-int8", "in3_mixed-int8")
# The search for settings does not measure plain int8 inputs and rknn_batch_size: stage quantized is incomplete.
JUDGED_BAD += ("in_int8-int8", "rknn_batch4d-int8")


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return find_toolkit_python(None)
    except RkparityError as error:
        require(False, f"{error.message}; {error.hint}")
        raise


@pytest.fixture(scope="module")
def folder(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("kinds")
    subprocess.run([str(python), str(MAKER), str(home)], check=True, capture_output=True)
    return home


def names(folder: Path, short: tuple[str, ...]) -> list[str]:
    every = [f"{home.name}-{precision}" for home in sorted(folder.iterdir()) for precision in ("fp16", "int8")]
    return every if ALL else list(short)


def walk_of(folder: Path, name: str, board: list[str]) -> Walk:
    kind, _, precision = name.rpartition("-")
    return Walk(folder / kind, precision, board)


def is_refused(name: str) -> bool:
    return name in REFUSED or name.rpartition("-")[0] in REFUSED


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, list[Step]]:
    """The steps of every build, by name."""
    return {name: walk_of(folder, name, []).build() for name in names(folder, RUN)}


@pytest.fixture(scope="module")
def board(folder: Path, built: dict[str, list[Step]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A virtual board with all models that could be built."""
    home = tmp_path_factory.mktemp("board")
    models = home / "models"
    models.mkdir()
    for file in folder.glob("*/*.rknn*"):
        shutil.copy(file, models)
    # In processes of their own: the board is not to be a child of this one.
    emulator = [sys.executable, "-m", "rkparity", "emulator"]
    file = str(home / "board.json")
    subprocess.run([*emulator, "start", "--model", str(models), "--board-file", file], check=True, capture_output=True)
    yield ["--board", f"@{file}"]
    subprocess.run([*emulator, "stop", "--board-file", file], check=True, capture_output=True)


def test_every_kind_builds_or_is_refused_in_one_line(built: dict[str, list[Step]]) -> None:
    wrong = {
        name: [step for step in steps if step.code]
        for name, steps in built.items()
        if (steps[0].refused_by_toolkit if is_refused(name) else all(step.code == 0 for step in steps)) is False
    }
    assert wrong == {}


def test_every_kind_runs_and_agrees(folder: Path, built: dict[str, list[Step]], board: list[str]) -> None:
    wrong: dict[str, list[Step]] = {}
    for name, steps in built.items():
        if steps[0].code:
            continue
        walk = walk_of(folder, name, board)
        for number in range(len(walk.samples)):
            bad = [step for step in walk.runs(number) if step.code]
            if name in NOT_RUN and [step.code for step in bad] == [3] and "does not expect" not in bad[0].line:
                continue
            wrong.update({f"{name} sample {number}": bad} if bad else {})
    assert wrong == {}


def test_every_kind_is_checked(folder: Path) -> None:
    wrong: dict[str, list[Step]] = {}
    for name in names(folder, CHECKED):
        bad = [step for step in walk_of(folder, name, []).check() if step.code]
        expected = is_refused(name) or name in (*NOT_RUN, *JUDGED_BAD)
        if bool(bad) != expected or any("does not expect" in step.line for step in bad):
            wrong[name] = bad
    assert wrong == {}


def test_a_flipped_boolean_is_a_failure(folder: Path, board: list[str], tmp_path: Path) -> None:
    """Truth values are compared by agreement: one that differs is no rounding."""
    walk = walk_of(folder, "out_bool-fp16", board)
    run = tmp_path / "run"
    shutil.copytree(folder / "out_bool" / "fp16-0" / "run", run)
    record = next(item for item in RunReader.open(run).manifest.tensors if item.op_type == "Greater")
    values = np.load(run / record.file)
    values.reshape(-1)[3] = 1 - values.reshape(-1)[3]
    np.save(run / record.file, values)
    sim = str(folder / "out_bool" / "fp16-0" / "sim")
    for step in ("compare-dumps", "diagnose"):
        said = command(step, step, str(run), sim, "--model", str(walk.rknn))
        assert (said.code, said.line.startswith("FAIL")) == (1, True), said


def test_a_run_over_three_shapes_is_compared_shape_by_shape(folder: Path, board: list[str], tmp_path: Path) -> None:
    """As a program leaves them that runs all three: the output of fixed size has one name, and is of the last shape."""
    home = folder / "dynamic_fixed"
    model = ["--model", str(walk_of(folder, "dynamic_fixed-fp16", board).rknn)]
    for number in range(3):
        for file in (home / f"fp16-{number}/run/dumps").iterdir():
            shutil.copy(file, tmp_path)
    for number, given in ((0, model), (1, []), (2, model)):
        out = tmp_path.with_name(f"compared{number}.json")
        said = command(
            "compare", "compare-dumps", str(tmp_path), str(home / f"fp16-{number}/sim"), *given, "--json", str(out)
        )
        compared = json.loads(out.read_text())
        # Everything of this shape agrees, and what may be of another is no pass.
        assert said.code == 3, said
        assert {pair["verdict"] for pair in compared["pairs"]} == {"pass"}
        assert len(compared["pairs"]) >= 2
        lost = [item for item in compared["not_compared"] if "written again at every shape" in item["detail"]]
        assert lost
        assert any("several input shapes" in text for text in compared["warnings"])
    altered = next(tmp_path.glob("001_ConvRelu_y_shape_1_4_16_6_*.npy"))
    np.save(altered, np.load(altered) * 1.5)
    codes = [
        command("compare", "compare-dumps", str(tmp_path), str(home / f"fp16-{number}/sim"), *model).code
        for number in range(3)
    ]
    assert codes == [3, 1, 3]


def test_dumps_of_one_shape_do_not_pass_for_another(folder: Path, board: list[str]) -> None:
    home = folder / "dynamic_fixed"
    rknn = str(walk_of(folder, "dynamic_fixed-fp16", board).rknn)
    run, sim = str(home / "fp16-0/run"), str(home / "fp16-1/sim")
    said = command("compare", "compare-dumps", run, sim, "--model", rknn)
    assert said.code != 0 and not said.line.startswith("PASS")
