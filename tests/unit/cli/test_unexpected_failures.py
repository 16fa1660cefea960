"""The one guard of every command: whatever a command raises ends in one line, exit code 3 and a kept report."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from rkparity.cli.main import main, run_command
from rkparity.cli.registry import Command

SLEEPER = """
import argparse, sys, types, time
from rkparity.cli.main import main, run_command
from rkparity.cli.registry import Command
def run(arguments):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
module = types.ModuleType("sleeper")
module.configure, module.run = lambda parser: None, run
sys.modules["sleeper"] = module
sys.exit(run_command(Command("sleeper", "sleeper", ""), []))
"""


def command_that(monkeypatch: pytest.MonkeyPatch, *, raises: Exception | None = None, says: str = "") -> Command:
    module = types.ModuleType("a_command_of_the_test")

    def run(arguments: argparse.Namespace) -> int:
        print(says)
        if raises is not None:
            raise raises
        return 0

    module.configure = lambda parser: parser.add_argument("words", nargs="*")  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Command("odd", module.__name__, "")


@pytest.mark.parametrize(
    "error",
    [
        TypeError("unsupported operand"),
        OverflowError("int too large to convert to float"),
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        OSError(5, "Input/output error", "x"),
        RecursionError("maximum recursion depth exceeded"),
        MemoryError(),
        AssertionError("first line\nsecond \x1b[2J line"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_nobody_expected_is_one_line_with_a_report(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(command_that(monkeypatch, raises=error), ["a word"]) == 3
    first, hint = capsys.readouterr().err.splitlines()
    assert first.startswith(f"rkparity: error: odd met something it does not expect: {type(error).__name__}")
    (report,) = tmp_path.iterdir()
    assert report.name.startswith("rkparity-crash-")
    assert report.name in hint
    text = report.read_text()
    assert "command odd" in text
    assert "arguments ['a word']" in text
    assert "Traceback (most recent call last)" in text
    assert "\x1b" not in first + text


def test_a_report_goes_elsewhere_when_this_folder_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    here.rmdir()
    assert run_command(command_that(monkeypatch, raises=ValueError("x")), []) == 3
    assert [path.name.startswith("rkparity-crash-") for path in elsewhere.iterdir()] == [True]
    assert str(elsewhere) in capsys.readouterr().err


def test_nothing_a_command_prints_steers_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    says = "name \x1b]0;owned\x07 \x9b2J \u202e \r over\tline"
    assert run_command(command_that(monkeypatch, says=says), []) == 0
    assert capsys.readouterr().out == "name \\x1b]0;owned\\x07 \\x9b2J \\u202e \\x0d over\tline\n"


def test_an_argument_that_is_not_utf_8_is_shown_escaped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rkparity", "inspect", os.fsdecode(b"no-\xff-\x1b[31m.rknn")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert b"\\udcff" in done.stderr
    assert b"\x1b" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_sigterm_cleans_up_as_ctrl_c_does() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"cleaned up\n"
        assert process.stderr.read() == b"rkparity: terminated\n"
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", ["a" * 256, "/".join(["b" * 200] * 30)])
def test_a_name_no_file_can_have_is_a_wrong_argument(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare-dumps", name, name]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "folder"])
def test_only_regular_files_are_read(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = Path(kind) if kind.startswith("/") else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "folder":
        odd.mkdir()
    assert main(["inspect", str(odd)]) == 2
    assert str(odd) in capsys.readouterr().err


@pytest.mark.parametrize("host", ["9" * 400, "a..b", "\udcff"])
def test_a_name_no_host_can_have_is_a_wrong_argument(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "info", f"user@{host}"]) == 2
    assert "rkparity: error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["lint", "/proc/self/mem"], ["board", "info", "user@127.0.0.1:1", "--password-file", "/dev/zero"]]
)
def test_a_file_that_never_ends_or_cannot_be_read_is_a_wrong_argument(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert command[-1] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
