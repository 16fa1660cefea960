"""The agent as a process on the test double, with a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rkparity_agent
from runtime_double import Double

# The folder of the package under test: site-packages, or the source tree with the module built into it.
DEVICE = Path(rkparity_agent.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Answer:
    """What a process that speaks the protocol said: its events, exit code and stderr."""

    events: list[dict[str, Any]]
    exit_code: int
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    @property
    def result(self) -> dict[str, Any]:
        assert self.last["event"] == "result", self.last
        assert self.exit_code == 0
        return self.last

    @property
    def error(self) -> dict[str, Any]:
        assert self.last["event"] == "error", self.last
        assert self.exit_code == self.last["exit_code"]
        assert "Traceback" not in self.stderr
        return self.last


def answer(done: subprocess.CompletedProcess[bytes]) -> Answer:
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return Answer(events, done.returncode, done.stderr.decode())


@dataclass(frozen=True)
class Bench:
    """A folder with a double, an input, and the agent as a process beside it."""

    double: Double

    @property
    def folder(self) -> Path:
        return self.double.folder

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RKNN_", "RKPARITY_"))}
        return {**kept, **self.double.environment, "PYTHONPATH": str(DEVICE)}

    def agent(self, *arguments: str, stdin: bytes = b"", extra: dict[str, str] | None = None) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "rkparity_agent", *arguments],
            input=stdin,
            capture_output=True,
            env={**self.environment, **(extra or {})},
            cwd=self.folder,
            timeout=120,
            check=False,
        )
        return answer(done)

    def job(self, **changes: Any) -> dict[str, Any]:
        np.save(self.folder / "x.npy", image())
        return {
            "schema": "rkparity.job/1",
            "library": str(self.double.library),
            "model": str(self.double.model),
            "inputs": [{"file": str(self.folder / "x.npy")}],
            "dump_dir": str(self.folder / "dumps"),
            "output_dir": str(self.folder / "out"),
            **changes,
        }

    def run(self, **changes: Any) -> Answer:
        return self.agent("run", "--job", "-", stdin=json.dumps(self.job(**changes)).encode())


def image() -> np.ndarray:
    return (np.arange(810) % 251).astype("u1").reshape(1, 9, 30, 3)


DUMPS = (
    "dump 000_InputOperator_x_shape_1_3_9_30_uint8.npy 810",
    "dump 001_Conv_y_shape_1_5_9_30_float.npy 5400",
)


def gone(pid: int, within_s: float = 10) -> bool:
    """Whether a process ends (or is but a zombie) within the time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
