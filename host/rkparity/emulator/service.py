"""A virtual board that outlives the command that starts it: its process, its board file, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rkparity.emulator.virtual_board import VirtualBoard
from rkparity.errors import RkparityError, UsageError
from rkparity.io import read_json, write_json

BOARD_FILE_SCHEMA = "rkparity.board/1"
DEFAULT_BOARD_FILE = Path("rkparity-board.json")
_STOP_TIMEOUT_S = 20.0


class ServerStopped(Exception):
    """The process was asked to end."""


def write_board_file(path: Path, board: VirtualBoard) -> None:
    """Writes how to reach the board and which process is it; whole or not at all."""
    record = {
        "schema": BOARD_FILE_SCHEMA,
        **board.connection().to_json(),
        "emulated": True,
        "chip": board.chip,
        "root": str(board.root),
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
    }
    write_json(path, record)


def read_board_file(path: Path) -> dict[str, Any]:
    """A virtual board's file; UsageError when it is none."""
    record = read_json(path, damaged=UsageError, hint="give the file of `rkparity emulator start` with --board-file")
    if record.get("emulated") is not True or not isinstance(record.get("pid"), int):
        raise UsageError(f"{path}: is not the file of a virtual board")
    return record


def process_start(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when there is no such process. With the pid this names it."""
    try:
        # The command's name, in parentheses, may hold blanks: count from its end.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_running(record: dict[str, Any]) -> bool:
    """Whether the board of this file is still there (and its number not another process's by now)."""
    start = process_start(record["pid"])
    return start != "" and start == record.get("process_start")


def serve(board: VirtualBoard, board_file: Path | None) -> None:
    """Runs the board until SIGTERM or SIGINT."""

    def stop(_number: int, _frame: object) -> None:
        raise ServerStopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        with board:
            if board_file is not None:
                write_board_file(board_file, board)
            print(describe(board), flush=True)
            while True:
                signal.pause()
    except ServerStopped:
        return
    finally:
        if board_file is not None and board_file.is_file() and read_board_file(board_file)["pid"] == os.getpid():
            board_file.unlink()


def describe(board: VirtualBoard) -> str:
    """How to reach the board, for people."""
    at = board.connection()
    runtime = board.described if board.is_vendors else f"{board.chip}, emulated runtime"
    return (
        f"virtual board ({runtime}) on {at.host} port {at.port}, {board.ssh_server}\n"
        f"  ssh -p {at.port} -i {at.identity} -o UserKnownHostsFile={at.known_hosts} {at.user}@{at.host}\n"
        f"  rkparity ... --board {at.user}@{at.host}:{at.port} --identity {at.identity} --known-hosts {at.known_hosts}"
    )


def start_in_background(arguments: Sequence[str], board_file: Path) -> str:
    """Starts `rkparity emulator start --foreground` on its own and waits until it is ready.

    Returns what it printed. Raises RkparityError with the process's own message when it ends before.
    """
    if board_file.exists() and is_running(read_board_file(board_file)):
        raise UsageError(
            f"{board_file}: its virtual board is still running",
            hint=f"rkparity emulator stop --board-file {board_file}",
        )
    board_file.unlink(missing_ok=True)
    fd, log_name = tempfile.mkstemp(prefix="rkparity-board-", suffix=".log")
    log = Path(log_name)
    with os.fdopen(fd, "wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "rkparity.cli.main",
                "emulator",
                "start",
                "--foreground",
                "--board-file",
                str(board_file),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while process.poll() is None:
        if board_file.is_file() and read_board_file(board_file)["pid"] == process.pid:
            time.sleep(0.05)  # what it prints comes right after the file
            said = log.read_text(encoding="utf-8", errors="replace")
            log.unlink()
            return said
        time.sleep(0.05)
    raise _failure(log, process.returncode)


def _failure(log: Path, code: int) -> RkparityError:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    message = next((line.split("error: ", 1)[1] for line in lines if "rkparity: error: " in line), "")
    hint = next((line.split("hint: ", 1)[1] for line in lines if line.startswith("  hint: ")), "")
    error = UsageError if code == UsageError.exit_code else RkparityError
    if message:
        log.unlink()
        return error(message, hint=hint)
    return error(f"the virtual board ended with code {code} before it was ready", hint=f"what it printed: {log}")


def stop(board_file: Path) -> None:
    """Ends the virtual board of a board file and removes the file."""
    record = read_board_file(board_file)
    if is_running(record):
        os.kill(record["pid"], signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while is_running(record):
            if time.monotonic() > deadline:
                raise RkparityError(
                    f"{board_file}: the virtual board, process {record['pid']}, does not end in {_STOP_TIMEOUT_S:.0f} s"
                )
            time.sleep(0.05)
    board_file.unlink(missing_ok=True)
