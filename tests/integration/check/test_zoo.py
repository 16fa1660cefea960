"""A small part of scripts/zoo: two made networks through every command; and how outcomes are told apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rkparity.errors import ToolkitError
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "scripts" / "zoo_run"


def zoo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ZOO / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400, env={**os.environ})


@pytest.mark.toolkit
@pytest.mark.parametrize("name", ["mobilenet", "lprnet"])
def test_a_made_network_passes_on_the_virtual_board(name: str, tmp_path: Path) -> None:
    try:
        python = find_toolkit_python(None)
    except ToolkitError as error:
        require(False, error.message)
        raise
    table = tmp_path / "zoo.md"
    options = ["--folder", str(tmp_path), "--toolkit-python", str(python), "--table", str(table), name]
    done = zoo(*options)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / f"{name}.json").read_text())
    outcomes = {step["name"]: step["outcome"] for step in result["steps"]}
    for precision in ("fp16", "int8"):
        for step in ("build", "simulate", "run", "compare"):
            assert outcomes[f"{step} {precision}"] == "pass", result["steps"]
    check = next(step for step in result["steps"] if step["name"] == "check")
    assert check["outcome"] in ("pass", "fail")
    assert check["line"].startswith(("fp16 pass", "fp16 warn")), check
    assert f"| {name} | onnx | made, random weights" in table.read_text()
    # What is kept is not run again.
    again = zoo(*options)
    assert (again.returncode, again.stdout) == (0, "")


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("PASS: all", 0, "pass"),
        ("FAIL: x", 1, "fail"),
        ("rkparity: error: rknn-toolkit2 build: Not support", 3, "toolkit refuses"),
        ("rkparity: error: no route to the board", 3, "exit 3"),
        ("Traceback (most recent call last):\n  x\nTypeError: y", 1, "rkparity failed"),
        ("Traceback (most recent call last):\n  x\nTypeError: y", 0, "rkparity failed"),
        ("", -11, "rkparity failed"),
        ("", None, "time limit"),
    ],
)
def test_a_crash_is_never_called_a_refusal(
    text: str, code: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ZOO))
    import steps

    assert steps.outcome(text, code) == expected


def test_the_list_has_25_models_of_5_frameworks() -> None:
    rows = [line.split() for line in zoo("--list").stdout.splitlines()]
    assert len({row[0] for row in rows}) == len(rows) >= 25
    assert {row[1] for row in rows} >= {"onnx", "tflite", "pytorch", "tensorflow", "caffe", "darknet"}


def test_an_unknown_name_is_a_usage_error() -> None:
    done = zoo("no-such-model")
    assert done.returncode == 2
    assert "unknown model: no-such-model" in done.stderr
