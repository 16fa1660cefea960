"""Folders the agent makes, and where it looks for librknnrt."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity_agent import libraries
from rkparity_agent.dumps import listing
from rkparity_agent.events import AgentFailure
from rkparity_agent.folders import MARKER, free_nbytes, is_ours, make_fresh, require_space


def test_fresh_folder_is_made_marked_and_emptied_again(tmp_path: Path) -> None:
    folder = make_fresh(str(tmp_path / "a" / "b"), "the dump folder")
    assert [path.name for path in folder.iterdir()] == [MARKER]
    (folder / "old.npy").touch()
    (folder / "sub").mkdir()
    make_fresh(str(folder), "the dump folder")
    assert [path.name for path in folder.iterdir()] == [MARKER]
    assert is_ours(folder)
    assert is_ours(tmp_path / "a")
    assert not is_ours(tmp_path)


def test_folders_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name, message in (
        ("file", "exists and is not a folder"),
        ("link", "exists and is not a folder"),
        ("mine", "is not empty and was not made by rkparity"),
    ):
        with pytest.raises(AgentFailure, match=message) as caught:
            make_fresh(str(tmp_path / name), "the dump folder")
        assert caught.value.exit_code == 2
    assert (tmp_path / "mine" / "x").exists()
    assert not is_ours(tmp_path / "link")


def test_space_is_required(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "the dump folder")
    with pytest.raises(AgentFailure, match=r"has \d+ bytes free; this run needs at least 99999999999999999") as caught:
        require_space(tmp_path, 99999999999999999, "the dump folder")
    assert caught.value.exit_code == 3


def test_full_file_system_is_named_with_the_truncated_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "000_x.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "link.npy").symlink_to("/etc/passwd")
    monkeypatch.setattr("rkparity_agent.dumps.free_nbytes", lambda folder: 0)
    assert listing(tmp_path, ["000_x.npy"])["dump_problems"] == [
        {"file": "000_x.npy", "problem": "is not an npy file"},
        {"file": "link.npy", "problem": "is not a regular file"},
        {"file": ".", "problem": "the file system is full (0 bytes free)"},
    ]


def test_free_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    assert free_nbytes(tmp_path) > 0


def test_library_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for name in ("named", "first", "second"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "librknnrt.so"
        path.write_bytes(name.encode() + b" librknnrt version: 1.6.0 (9a7b5d24c@2023-12-13T17:32:13)\0")
        paths.append(path)
    (tmp_path / "second" / "again").symlink_to(tmp_path / "second")
    monkeypatch.setattr(libraries, "USUAL_FOLDERS", ())
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}/first::{tmp_path}/second:{tmp_path}/second/again")
    monkeypatch.delenv("RKPARITY_LIBRKNNRT", raising=False)
    assert list(libraries.candidates()) == paths[1:]
    assert libraries.choose_library(None) == str(paths[1])
    monkeypatch.setenv("RKPARITY_LIBRKNNRT", str(paths[0]))
    assert list(libraries.candidates()) == paths
    assert libraries.choose_library(None) == str(paths[0])
    assert libraries.choose_library(str(paths[2])) == str(paths[2])
    assert libraries.version_text(paths[0]) == "1.6.0 (9a7b5d24c@2023-12-13T17:32:13)"
    assert libraries.version_text(tmp_path / "missing") is None
    with pytest.raises(AgentFailure, match=r"/nowhere\.so: no such file"):
        libraries.choose_library("/nowhere.so")
    monkeypatch.delenv("RKPARITY_LIBRKNNRT")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert libraries.choose_library(None) is None
