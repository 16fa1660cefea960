"""The whole order on a published model, the PP-OCR classifier, with the pictures and program of scripts/check-ppocr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from check_projects import toolkit_python

from rkparity.project import read_project
from support import require

pytestmark = pytest.mark.toolkit
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "ppocr"


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the classifier and what one check said, with the wheels downloaded once."""
    toolkit_python()
    folder = tmp_path_factory.mktemp("ppocr")
    command = [sys.executable, str(SCRIPTS / "run.py"), "classifier", "--folder", str(folder), "--budget", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    require("could not be downloaded" not in done.stderr, done.stderr[-300:])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "classifier", json.loads((folder / "classifier" / "check.json").read_text())


def test_every_stage_of_the_classifier_passes_without_help(checked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = checked
    stages = {stage["stage"]: stage for stage in report["stages"]}
    assert {name: stage["verdict"] for name, stage in stages.items()} == dict.fromkeys(stages, "pass")
    assert "input proof: x: pass" in stages["runtime"]["facts"][1]
    project = read_project(folder / "rkparity.toml")
    assert len((folder / "dataset.txt").read_text().splitlines()) >= 20
    assert project.original.inputs and len(project.input.more) == 3


def test_the_disk_used_is_reported_and_small(checked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = checked
    (one,) = (folder / ".rkparity" / "work").glob("deployed-*")
    npy = sum(path.stat().st_size for path in one.rglob("*.npy"))
    every = sum(path.stat().st_size for path in (folder / ".rkparity").rglob("*") if path.is_file())
    assert report["disk_nbytes"] == pytest.approx(every, rel=0.02)
    assert every <= 3 * npy
