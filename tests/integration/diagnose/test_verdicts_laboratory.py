"""A short form of scripts/verdicts: a network on boards with an NPU's rounding, healthy and with every fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.toolkit
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, toolkit_python: Path) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("laboratory")
    command = [sys.executable, str(ROOT / "scripts" / "verdicts_run" / "run.py"), "resnet", "--local", "on"]
    command += ["--healthy", "4", "--faulty", "16", "--folder", str(folder), "--json", str(folder / "outcomes.json")]
    done = subprocess.run(
        [*command, "--toolkit-python", str(toolkit_python)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "outcomes.json").read_text())
    assert isinstance(found, list)
    return found


def test_no_healthy_board_fails(outcomes: list[dict[str, Any]]) -> None:
    healthy = [item for item in outcomes if not item["fault"]]
    assert len(healthy) == 24
    assert [item for item in healthy if item["verdict"] == "fail"] == []


def test_faults_beyond_the_noise_are_caught_at_their_layer(outcomes: list[dict[str, Any]]) -> None:
    faulty = [item for item in outcomes if item["fault"] and (item["steps"] >= 3.5 or item["energy"] >= 0.01)]
    assert len(faulty) > 60
    missed = [item for item in faulty if item["verdict"] != "fail"]
    misnamed = [item for item in faulty if item["verdict"] == "fail" and item["named"] != item["layers"][0]]
    assert missed == []
    assert misnamed == []
