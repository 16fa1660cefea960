from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import pytest

from rkparity.errors import ConfigError, DataError, UsageError
from rkparity.io import (
    check_new_file,
    check_new_folder,
    check_output,
    json_text,
    read_json,
    read_toml,
    replacing,
    write_json,
    write_output,
    write_text,
)

HOST = Path(__file__).resolve().parents[2] / "host" / "rkparity"


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.txt"]


def test_a_written_file_is_whole_and_may_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    write_json(path, {"name": "\udcff", "value": None})
    assert path.read_text() == '{\n "name": "\\udcff",\n "value": null\n}\n'
    assert path.stat().st_mode & 0o444 == 0o444 & ~_umask()
    assert [entry.name for entry in tmp_path.iterdir()] == ["new.json"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("a" * 255, "\u00e9" * 127):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(DataError, match="cannot be written: is not a regular file"):
            write_text(path, "text", failure=DataError)
    assert pipe.is_fifo()
    assert folder.is_dir()


def test_a_folder_that_is_not_there_is_the_failure_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_text(tmp_path / "none" / "file", "text")


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"value": math.nan})


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 100_000, b""])
def test_what_is_no_json_object_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_json(path, damaged=DataError)


def test_a_toml_file_says_what_it_should_have_been(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text("a = 1\n[b]\nc = [2]\n")
    assert read_toml(path, "project file") == {"a": 1, "b": {"c": [2]}}
    for content, said in (
        (b"a =", "is not TOML"),
        (b"\xff", "project file is not UTF-8"),
        (b" " * 2**21, "larger than"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=said):
            read_toml(path, "project file")
    path.unlink()
    with pytest.raises(ConfigError, match="project file cannot be read"):
        read_toml(path, "project file")


def test_only_force_replaces_and_an_empty_folder_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    check_new_file(file, force=False)
    check_new_folder(tmp_path / "folder", force=False)
    (tmp_path / "folder").mkdir()
    check_new_folder(tmp_path / "folder", force=False)
    file.touch()
    for check in (check_new_file, check_new_folder):
        with pytest.raises(UsageError, match="exists already"):
            check(file, force=False)
        check(file, force=True)
    with pytest.raises(UsageError, match=r"--json .* is a folder"):
        check_new_file(tmp_path, force=True, option="--json")
    with pytest.raises(UsageError, match="exists already"):
        check_new_folder(tmp_path, force=False)


def test_there_is_one_atomic_writer_one_toml_reader_and_one_rule_for_what_exists() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in HOST.rglob("*.py")}

    def naming(pattern: str) -> set[str]:
        return {path.relative_to(HOST).as_posix() for path, text in sources.items() if re.search(pattern, text)}

    assert naming(r"tomllib") == {"io.py"}
    assert naming(r": exists already\", hint=\"choose") == {"io.py"}
    # The other two take a stream from a board into a folder that a later pull goes on with.
    assert naming(r"temporary\.replace\(|\bos\.(?:replace|rename)\(") == {
        "io.py",
        "board/files/fetch.py",
        "board/files/tar_reader.py",
    }


def test_json_holds_nothing_that_steers_a_terminal_and_means_the_same() -> None:
    document = {"a\x9b": "\u202e \x7f \U000e0041 \u4e2d\n"}
    text = json_text(document)
    assert text == '{\n "a\\u009b": "\\u202e \\u007f \\udb40\\udc41 \u4e2d\\n"\n}\n'
    assert json.loads(text) == document


def test_a_result_goes_to_standard_output_a_device_or_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_output(Path("-"), "one\n")
    assert capsys.readouterr().out == "one\n"
    check_output(Path("-"), force=False)
    check_output(Path("/dev/null"), force=False)
    write_output(Path("/dev/null"), "two\n")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(UsageError, match="/dev/full: cannot be written: No space left"):
        write_output(Path("/dev/full"), "three\n")
    write_output(tmp_path / "file", "four\n")
    assert (tmp_path / "file").read_text() == "four\n"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="it is not a regular file"):
        read_json(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="it is not a regular file"):
        read_toml(tmp_path / "fifo", "threshold file")


def test_a_folder_is_not_made_on_standard_output() -> None:
    with pytest.raises(UsageError, match="-: a folder is made"):
        check_new_folder(Path("-"), force=True)


@pytest.mark.parametrize("name", ["-", "/dev/null"])
def test_what_is_written_as_a_file_goes_to_no_stream_or_device(name: str) -> None:
    with pytest.raises(UsageError, match=r"is standard output|is not a regular file"):
        check_new_file(Path(name), force=True)


def test_a_result_replaces_a_file_only_by_force(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    with pytest.raises(UsageError, match="exists already"):
        check_output(tmp_path / "kept", force=False)
    check_output(tmp_path / "kept", force=True)
