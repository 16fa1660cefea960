"""One invocation of rkparity in a process of its own, and what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.cli.main import main as rkparity

LIMIT_S = 20.0
MEMORY_NBYTES = 3 << 30
# Commands whose exit code 1 means that something was compared and differs.
MAY_DIVERGE = {"compare-dumps", "diagnose", "lint", "check"}
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Ending:
    """How an invocation ended: exit code (None: killed or over its time), its output, the faults seen."""

    exit_code: int | None
    output: str
    faults: tuple[str, ...]


def run(arguments: Sequence[str], folder: Path) -> Ending:
    """Runs `rkparity arguments` in `folder`; no standard input, at most LIMIT_S seconds and MEMORY_NBYTES bytes."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _become(arguments, folder, output.fileno())
        code = _wait(child)
        output.seek(0)
        text = output.read(1 << 20).decode("utf-8", "surrogateescape")
    return Ending(code, text, tuple(_faults(arguments, code, text)))


def _become(arguments: Sequence[str], folder: Path, output: int) -> None:
    code = 120
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_NBYTES, MEMORY_NBYTES))
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - the process ends with it
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - the process ends with it
        try:
            code = rkparity(arguments)
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 121
    except BaseException:  # noqa: BLE001 - whatever got past the guard is what we look for
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int) -> int | None:
    deadline = time.monotonic() + LIMIT_S
    pause = 0.001
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _faults(arguments: Sequence[str], code: int | None, text: str) -> list[str]:
    faults = []
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if code is None:
        faults.append("hang")
    elif code < 0:
        faults.append(f"killed by signal {-code}")
    elif code not in (0, 1, 2, 3):
        faults.append(f"exit {code}")
    elif code == 1 and command not in MAY_DIVERGE:
        faults.append("exit 1 without a comparison")
    unexpected = re.search(r"met something it does not expect: ([^\n]*)", text)
    if unexpected:
        faults.append(f"unexpected {unexpected[1][:160]}")
    if "Traceback (most recent call last)" in text:
        faults.append("traceback")
    if _STEERS.search(text):
        faults.append("raw control characters")
    if code not in (0, 1, None) and not text.strip():
        faults.append("ended without a word")
    return faults
