"""A part of the ONNX backend tests: the default environment serves them as PyTorch would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toolkit_cases import toolkit_python

pytestmark = pytest.mark.toolkit
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "backend_tests.py"
MODELS = 30


def test_a_sample_of_the_backend_tests_ends_the_same_in_both_environments(tmp_path: Path) -> None:
    # Without an environment that has PyTorch the default one is compared with itself: its results must repeat, and
    # nothing may ask for PyTorch.
    against = os.environ.get("RKPARITY_FRAMEWORKS_TOOLKIT_PYTHON", str(toolkit_python()))
    command = [sys.executable, str(SCRIPT), "--toolkit-python", str(toolkit_python()), "--against", against]
    command += ["--sample", str(MODELS), "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * MODELS
    assert {row["verdict"] for row in rows} <= {"same tensors", "same refusal"}
    assert sum(row["verdict"] == "same tensors" and len(row["stand-in"]["tensors"]) >= 4 for row in rows) > MODELS
    assert not any("--with-torch" in row["stand-in"]["message"] for row in rows)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert again.stdout == done.stdout
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2 * MODELS
