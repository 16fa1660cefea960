"""`rkparity board info` and `rkparity board clean`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bare_board import path_without_python

from rkparity.cli.main import main


def test_clean_leaves_other_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("x")
    assert main(["board", "clean", "local:", "--work-dir", str(mine)]) == 2
    assert "was not made by rkparity" in capsys.readouterr().err
    assert (mine / "thesis").exists()
    assert main(["board", "clean", "local:", "--work-dir", str(tmp_path / "none")]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_board_info_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib" / "librknnrt.so"
    library.parent.mkdir()
    library.write_bytes(b"\x7fELF\0\0junk\0librknnrt version: 1.6.0 (9a7b5d24c@2023-12-13T17:31:11)\0\xff")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    monkeypatch.setenv("RKPARITY_VIRTUAL_BOARD", "rk3588")
    monkeypatch.delenv("RKPARITY_LIBRKNNRT", raising=False)
    assert main(["board", "info", "local:", "--json", "--work-dir", str(tmp_path / "w")]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "rkparity.board-info/1"
    assert value["runtime"] == "1.6.0 (9a7b5d24c@2023-12-13T17:31:11)"
    assert value["runtime_path"] == str(library)
    assert value["chip"] == "emulated rk3588"
    assert value["arch"] == os.uname().machine
    assert value["python"].startswith("3.")
    assert value["work_dir_writable"] is True
    assert abs(value["clock_difference_s"]) <= 1
    assert value["free_nbytes"] > 0
    assert "tar" in value["tools"]
    assert main(["board", "info", "local:"]) == 0
    assert "librknnrt      1.6.0" in capsys.readouterr().out


def test_info_without_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without_python(tmp_path))
    assert main(["board", "info", "local:", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["python"] == ""
