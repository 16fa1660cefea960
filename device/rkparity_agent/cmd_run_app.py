"""`run-app`: the user's own program on librknnrt, with dumps."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from rkparity_agent._native import lib
from rkparity_agent.dumps import listing
from rkparity_agent.events import AgentFailure, EventStream, usage
from rkparity_agent.folders import make_fresh
from rkparity_agent.job import DUMP_LOG_LEVEL
from rkparity_agent.runtime_log import RuntimeLog
from rkparity_agent.worker import Stopped, reader_gone

_TICK_S = 0.2
_GRACE_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--dump-dir", required=True, metavar="FOLDER", help="fresh folder for the dumps")
    parser.add_argument("--output-dir", required=True, metavar="FOLDER", help="fresh folder for the program's output")
    parser.add_argument("--cwd", metavar="FOLDER", help="working folder of the program (default: this one)")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="one more environment variable"
    )
    parser.add_argument("--dump-quant", type=int, choices=(0, 1, 2), default=0, help="RKNN_DUMP_QUANT")
    parser.add_argument("--dump-text", action="store_true", help="also dump native memory as text")
    parser.add_argument(
        "--log-level", type=int, choices=range(DUMP_LOG_LEVEL, 10), default=DUMP_LOG_LEVEL, metavar="5..9"
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop the program after this time")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ARGUMENTS")


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Runs the program in a process group of its own; returns the result's fields, raises AgentFailure."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not program:
        raise usage("no program was named", "run-app --dump-dir D --output-dir O -- ./app arguments")
    dump_dir = make_fresh(str(Path(arguments.dump_dir).absolute()), "the dump folder")
    output_dir = make_fresh(arguments.output_dir, "the output folder")
    environment = _environment(arguments, dump_dir)
    stdout_path, stderr_path = output_dir / "stdout.txt", output_dir / "stderr.txt"
    start = time.monotonic()
    with stdout_path.open("wb") as stdout, stderr_path.open("wb") as stderr:
        try:
            process = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=arguments.cwd,
                start_new_session=True,
                # The agent has one thread, so running code between fork and exec is safe.
                preexec_fn=_die_with_agent,  # noqa: PLW1509
            )
        except OSError as error:
            raise usage(
                f"{program[0]} cannot be started: {error.strerror}",
                "is the path right, and the file executable and built for this board?",
            ) from error
        events.progress("run", 0, 1)
        try:
            timed_out = _wait(process, arguments.timeout)
        finally:
            _stop_group(process)
    log = RuntimeLog.read(stdout_path, stderr_path)
    code = process.returncode
    result: dict[str, Any] = {
        "exit_code": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
        "timed_out": timed_out,
        "duration_s": round(time.monotonic() - start, 3),
        "stdout": str(stdout_path),
        "stderr": str(stderr_path),
        "log_messages": log.to_json(),
        "warnings": [],
    }
    result.update(listing(dump_dir, log.dumped))
    if not result["dumps"]:
        result["warnings"].append(
            "the program made no dumps: it did not call rknn_run, or it or librknnrt ignores RKNN_DUMP_DIR"
        )
    return result


def _environment(arguments: argparse.Namespace, dump_dir: Path) -> dict[str, str]:
    environment = dict(os.environ)
    environment["RKNN_LOG_LEVEL"] = str(arguments.log_level)
    environment["RKNN_DUMP_DIR"] = str(dump_dir)
    environment["RKNN_DUMP_QUANT"] = str(arguments.dump_quant)
    environment.pop("RKNN_DUMP_TXT_TENSOR", None)
    if arguments.dump_text:
        environment["RKNN_DUMP_TXT_TENSOR"] = "1"
    for pair in arguments.env:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise usage(f"--env {pair}: is not NAME=VALUE")
        environment[name] = value
    return environment


def _die_with_agent() -> None:
    lib.rkrt_die_with_parent(signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], timeout_s: float | None) -> bool:
    """Waits for the program; True when its time was up. Raises Stopped when nobody reads the events."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            process.wait(_TICK_S)
            return False
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() > deadline:
                return True
        if reader_gone():
            raise Stopped("the connection to the host is lost")


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the program's process group: SIGTERM, then SIGKILL after a grace time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        except PermissionError as error:
            raise AgentFailure(
                "environment",
                f"the program (process {process.pid}) cannot be stopped: {error.strerror}",
                hint="it runs as another user; stop it on the board",
            ) from error
        if process.poll() is None:
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                continue
    process.wait()
