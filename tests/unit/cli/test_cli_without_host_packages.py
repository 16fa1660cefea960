"""The base install, which has none of the PC side's packages: each command says so instead of showing a traceback."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "data"

# A module that is None in sys.modules cannot be imported: the interpreter raises ModuleNotFoundError.
PROGRAM = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from rkparity.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def run(blocked: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, blocked, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


@pytest.mark.parametrize(
    ("blocked", "arguments"),
    [
        ("numpy", ["compare-dumps", "{folder}", "{folder}/cnn_classifier_int8_snapshot"]),
        ("paramiko", ["board", "info", "root@localhost"]),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_the_extra(
    blocked: str, arguments: list[str], tmp_path: Path
) -> None:
    array = b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }".ljust(70)
    (tmp_path / "000_InputOperator_x_shape_1_2_float.npy").write_bytes(array + bytes(8))
    with zipfile.ZipFile(DATA / "compare" / "cnn_classifier_int8_snapshot.zip") as snapshot:
        snapshot.extractall(tmp_path / "cnn_classifier_int8_snapshot")
    done = run(blocked, *(text.format(folder=tmp_path) for text in arguments))
    assert done.stderr.splitlines() == [
        f"rkparity: error: the Python package '{blocked}' is not installed",
        "  hint: install the PC side: pip install 'rkparity[host]'",
    ]
    assert done.returncode == 3


def test_a_module_of_rkparity_that_is_missing_is_a_bug_with_a_report(tmp_path: Path) -> None:
    done = run("rkparity.cli.inspect", "inspect", "model.rknn", folder=tmp_path)
    first, hint = done.stderr.splitlines()
    assert first.startswith("rkparity: error: inspect met something it does not expect: ModuleNotFoundError: ")
    report = next(tmp_path.glob("rkparity-crash-*.txt"))
    assert report.name in hint
    assert "Traceback (most recent call last)" in report.read_text()
    assert done.returncode == 3
