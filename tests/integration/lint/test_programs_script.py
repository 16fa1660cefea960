"""scripts/programs: a correct program and one that dies, with the table and the exit codes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traced_app import ROOT, Built

C3 = "b25_c3w30_int8_rk3588"
SCRIPT = ROOT / "scripts" / "programs_run.py"


@pytest.fixture(scope="module")
def folder(built: Built, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("programs")
    for name in ("forms_app", "die_app"):
        command = ["cc", "-std=gnu11", "-O1", f"-I{ROOT / 'csrc'}", str(ROOT / "tests" / "c" / "apps" / f"{name}.c")]
        command += ["-o", str(made / name), f"-L{built.libraries}", "-lrknnrt", "-lpthread"]
        subprocess.run(command, check=True)
    shutil.copyfile(models[C3], made / "m.rknn")
    return made


def play(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "list.toml").write_text(text)
    command = [sys.executable, str(SCRIPT), str(folder / "list.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def entry(command: str) -> str:
    words = ", ".join(f'"{word}"' for word in command.split())
    return f'[[program]]\nname = "p"\ncommand = [{words}]\nmodels = ["m.rknn"]\nruntimes = ["1.6.0"]\n'


def test_a_correct_program_passes(folder: Path) -> None:
    done = play(folder, entry("./forms_app memset m.rknn"))
    row = done.stdout.splitlines()[-1].split()
    # Init, queries and three frames of four calls; the input's dump alone, as the board has no values of the layers.
    assert row[:3] == ["p", "1.6.0", "0/0"] and int(row[3]) > 12, done
    assert row[4:7] == ["1", "of", "1"], done


def test_a_program_that_dies_fails(folder: Path) -> None:
    text = entry("./die_app m.rknn nchw") + 'environment = { RKPARITY_EMULATOR_CRASH = "1" }\n'
    done = play(folder, text)
    assert done.returncode == 1
    assert "SIGABRT/SIGABRT" in done.stdout and "died-in-call" in done.stdout and "input-fmt-4d" in done.stdout


def test_a_damaged_list_is_said(folder: Path) -> None:
    done = play(folder, '[[program]]\nname = "p"\n')
    assert done.returncode == 2 and "command" in done.stderr
