"""The adb transport against a stand-in for adb that runs the device's commands here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rkparity.board.link.adb import AdbTransport
from rkparity.cli.main import main
from rkparity.errors import ConnectionFailed
from rkparity.runs import RunReader

# As adbd does it: exec-out gives one stream with both outputs and always ends with 0; nothing reaches standard input.
ADB = """#!/bin/sh
if [ "$1" = -s ]; then
  [ "$2" = SERIAL ] || { echo "error: device '$2' not found" >&2; exit 1; }
  shift 2
fi
case $1 in
  get-state) echo device;;
  push) cp "$2" "$3";;
  exec-out) shift; sh -c "$*" 2>&1 < /dev/null; exit 0;;
  *) exit 1;;
esac
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbTransport:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "adb"
    program.write_text(ADB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return AdbTransport.connect("SERIAL")


def test_commands(board: AdbTransport) -> None:
    answer = board.run(
        ["sh", "-c", 'cat; printf "%s" "$A"; echo bad >&2; exit 9'], env={"A": "v 'q'"}, stdin=b"in\x00\r\n"
    )
    assert answer.stdout == b"in\x00\r\nv 'q'"
    assert answer.stderr.strip() == "bad"
    assert answer.exit_code == 9
    assert board.run(["true"]).stdout == b""
    assert len(board.run(["head", "-c", "3000000", "/dev/zero"]).stdout) == 3_000_000


def test_other_devices_are_not_there(board: AdbTransport) -> None:
    with pytest.raises(ConnectionFailed, match="device 'OTHER' not found"):
        AdbTransport.connect("OTHER")


def test_pull(board: AdbTransport, tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(5):
        np.save(dumps / f"{index:03d}_Conv_c{index}_shape_1_9_float.npy", np.full((1, 9), index, np.float32))
    out = tmp_path / "run"
    assert main(["pull", "--board", "adb:SERIAL", "--from", str(dumps), "-o", str(out)]) == 0
    reader = RunReader.open(out)
    assert [reader.tensor(record).flat[0] for record in reader.manifest.tensors] == [0, 1, 2, 3, 4]


def test_without_adb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["board", "info", "adb:"]) == 3
    assert "`adb` is not on PATH" in capsys.readouterr().err
