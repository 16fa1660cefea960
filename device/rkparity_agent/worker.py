"""Runs librknnrt in a child process, so that its output is captured and its crash or hang becomes an error event.

The library prints on stdout and stderr and, given a wrong layout, can end the process with a signal (evidence
160_gen_u8_nchw_pt0). The child gets both streams into a file and a pipe for events; the parent only relays.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity_agent._native import lib
from rkparity_agent.events import AgentFailure, EventStream

STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_S = 0.5
_CHUNK = 65536


class Stopped(Exception):
    """A signal asked the agent to stop."""


def raise_on_signals() -> None:
    """Lets SIGTERM, SIGINT and SIGHUP raise Stopped in the main thread."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(f"stopped by {signal.Signals(number).name}")

    for number in STOPPING_SIGNALS:
        signal.signal(number, stop)


def reader_gone() -> bool:
    """True when nobody can read the agent's stdout any more: the connection to the host is lost."""
    poller = select.poll()
    poller.register(sys.__stdout__.fileno() if sys.__stdout__ else 1, 0)
    return bool(poller.poll(0))


@dataclass
class _Child:
    """What the parent knows of its child."""

    pid: int
    pipe: int
    stage: str = "start"
    answer: dict[str, Any] | None = None
    pending: bytes = b""
    deadline: float | None = None


def run_in_child(
    work: Callable[[EventStream], dict[str, Any]], events: EventStream, log: Path, timeout_s: float | None = None
) -> dict[str, Any]:
    """Runs `work` in a child with stdout and stderr appended to `log`; returns what it returns.

    Progress and log events of the child go on to `events`. Raises AgentFailure: the child's own; kind "crash" when a
    signal ended it; "timeout" after `timeout_s`. Raises Stopped when the agent is told to stop or its reader went away.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_child(work, writing, log)
    os.close(writing)
    child = _Child(pid, reading, deadline=None if timeout_s is None else time.monotonic() + timeout_s)
    try:
        _relay(child, events, timeout_s)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(reading)
    _, status = os.waitpid(pid, 0)
    return _judge(child, status)


def _be_child(work: Callable[[EventStream], dict[str, Any]], writing: int, log: Path) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        for number in STOPPING_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        lib.rkrt_die_with_parent(signal.SIGKILL)
        captured = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.dup2(captured, 1)
        os.dup2(captured, 2)
        lib.rkrt_line_buffer_stdout()
        events = EventStream(writing)
        try:
            events.emit("result", work(events))
        except AgentFailure as failure:
            events.emit("error", failure.fields())
        lib.rkrt_flush_streams()
        code = 0
    finally:
        # Not sys.exit: the parent's cleanup must not run twice. An unexpected exception is told by its traceback.
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _relay(child: _Child, events: EventStream, timeout_s: float | None) -> None:
    while True:
        readable, _, _ = select.select([child.pipe], [], [], _TICK_S)
        if readable:
            chunk = os.read(child.pipe, _CHUNK)
            if not chunk:
                return
            *lines, child.pending = (child.pending + chunk).split(b"\n")
            for line in lines:
                _take(child, events, line)
        if child.deadline is not None and time.monotonic() > child.deadline:
            raise AgentFailure(
                "timeout",
                f"the runtime did not finish within {timeout_s:g} s (during {child.stage})",
                hint="give more time, or look for NPU errors in dmesg",
            )
        if reader_gone():
            raise Stopped("the connection to the host is lost")


def _take(child: _Child, events: EventStream, line: bytes) -> None:
    message = json.loads(line)
    if message["event"] in ("result", "error"):
        child.answer = message
        return
    if message["event"] == "progress":
        child.stage = message["stage"]
    events.relay(line + b"\n")


def _judge(child: _Child, status: int) -> dict[str, Any]:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise AgentFailure(
            "crash",
            f"librknnrt ended the process with {name} during {child.stage}",
            hint="a wrong fmt or size can do this: 4-D inputs are NHWC, others UNDEFINED; read the runtime log",
        )
    if child.answer is None:
        raise AgentFailure(
            "crash",
            f"the process running librknnrt exited with {os.WEXITSTATUS(status)} during "
            f"{child.stage} without an answer",
            hint="read the runtime log",
        )
    answer = child.answer
    event = answer.pop("event")
    if event == "error":
        raise AgentFailure.from_fields(answer)
    return answer
