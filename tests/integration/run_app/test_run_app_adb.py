"""run-app through adb, where nothing reaches a running command's standard input."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import traced_app
from rkparity.board.files.progress import Reporter
from rkparity.board.link.adb import AdbTransport
from rkparity.board.runs.app_request import AppRequest
from rkparity.board.runs.run_app import run_app
from rkparity.model import read_model

# As adbd does it: exec-out gives one stream with both outputs and always ends with 0; nothing reaches standard input.
ADB = """#!/bin/sh
if [ "$1" = -s ]; then shift 2; fi
case $1 in
  get-state) echo device;;
  push) cp "$2" "$3";;
  exec-out) shift; sh -c "$*" 2>&1 < /dev/null; exit 0;;
  *) exit 1;;
esac
"""


@pytest.fixture
def transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbTransport:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "adb"
    program.write_text(ADB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return AdbTransport.connect("SERIAL")


def test_program_and_time_limit(
    transport: AdbTransport,
    built: traced_app.Built,
    models: dict[str, Path],
    socket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
    path = models["b25_c3w30_int8_rk3588"]
    environment = {"LD_LIBRARY_PATH": str(built.libraries), "RKPARITY_EMULATOR_SOCKET": socket}
    common = {"environment": environment, "work_dir": str(tmp_path / "work")}
    request = AppRequest((str(built.app), str(path)), tmp_path / "run", (read_model(path),), **common)  # type: ignore[arg-type]
    report = run_app(transport, request, Reporter())
    assert (report.exit_code, report.dumps, report.traces, report.problems) == (0, 3, 1, ())
    started = time.monotonic()
    slow = AppRequest(("sleep", "60"), tmp_path / "slow", timeout_s=1, trace=False, **common)  # type: ignore[arg-type]
    report = run_app(transport, slow, Reporter())
    assert report.timed_out and report.signal == "SIGTERM"
    assert time.monotonic() - started < 20
