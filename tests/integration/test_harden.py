"""The short form of scripts/harden: no odd argument and no changed value ends in anything but a documented way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).resolve().parents[2] / "scripts" / "harden_run" / "main.py"


@pytest.mark.parametrize(
    ("area", "options", "at_least"), [("commands", ["--step", "19"], 180), ("values", ["--values", "80"], 80)]
)
def test_nothing_ends_in_an_undocumented_way(area: str, options: list[str], at_least: int, tmp_path: Path) -> None:
    report = tmp_path / "faults.json"
    command = [sys.executable, str(MAIN), area, *options, "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert report.is_file(), done.stdout + done.stderr
    result = json.loads(report.read_text())[area]
    assert result["faults"] == []
    assert result["invocations"] >= at_least
    assert done.returncode == 0
