"""One worker process under the toolkit's interpreter: spawn, ask, time out, bury."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from rkparity.errors import MissingPackageError, ToolkitError, ToolkitTimeoutError
from rkparity.toolkit.cause_line import logged_line, raised_line

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_WORKER_PATH = Path(__file__).resolve().parent / "worker"
_QUIT_TIMEOUT_S = 5.0
_LOG_TAIL_NBYTES = 256 * 1024


def strip_colour(text: str) -> str:
    """`text` without terminal colour codes."""
    return _ANSI.sub("", text)


def worker_environment() -> dict[str, str]:
    """The user's environment without what steers their own Python: PYTHONPATH (ROS sets one) would shadow packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {
        **kept,
        "TQDM_DISABLE": "1",
        "PYTHONNOUSERSITE": "1",
        # Sets of names in one order: the same model is built the same way every time.
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(_WORKER_PATH),
    }


class WorkerProcess:
    """A running worker; `ask` sends one job and waits for its answer.

    The toolkit's own output (standard output and error of the process) goes to `log`. After a crash or a timeout the
    process is gone and every further `ask` raises ToolkitError saying so. Safe to use from several threads: jobs queue.
    """

    def __init__(self, python: Path, *, cwd: Path, log: Path) -> None:
        self.log = log
        self._lock = threading.Lock()
        self._buried: str | None = None
        self._buffer = b""
        # Held open: a clean-up of the temporary folder must not break a long-lived worker.
        self._log_fd = os.open(log, os.O_RDONLY | os.O_CREAT, 0o600)
        read_fd, write_fd = os.pipe()
        environment = worker_environment()
        try:
            with log.open("ab") as log_file:
                self._process = subprocess.Popen(
                    [str(python), "-m", "rkparity_toolkit_worker", str(write_fd)],
                    stdin=subprocess.PIPE,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=environment,
                    pass_fds=(write_fd,),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(read_fd)
            os.close(self._log_fd)
            raise ToolkitError(
                f"{python}: cannot be started: {error.strerror}",
                hint="make the toolkit environment again: rkparity setup-toolkit --force",
            ) from error
        finally:
            os.close(write_fd)
        self._read_fd = read_fd

    def ask(self, job: str, *, timeout_s: float, **arguments: Any) -> Any:
        """Runs one job and returns its result.

        Raises ToolkitError: the toolkit's own last line when it refused, the signal when it died; ToolkitTimeoutError
        with the time when it did not answer in `timeout_s`.
        """
        with self._lock:
            if self._buried is not None:
                raise ToolkitError(f"the toolkit worker is gone: {self._buried}", hint=f"what it printed: {self.log}")
            start = self.log_size()
            request = json.dumps({"job": job, **arguments}) + "\n"
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(request.encode())
                self._process.stdin.flush()
            except BrokenPipeError:
                raise self._bury(job, start) from None
            line = None
            try:
                line = self._read_line(job, timeout_s, start)
            finally:
                # Ctrl-C: the answer of this job must not be taken for that of the next, and nobody waits for it.
                if line is None and self._buried is None:
                    self._end()
                    self._buried = f"it was interrupted during {job!r}"
        answer = json.loads(line)
        if not answer["ok"]:
            raise self._refusal(job, answer["error"], start)
        return answer["result"]

    @property
    def is_gone(self) -> bool:
        """Whether it died, was ended or closed: every further job is refused."""
        return self._buried is not None

    def log_since(self, position: int) -> str:
        """What the toolkit printed from byte `position` of the log on, without colours; the end of it when long."""
        size = self.log_size()
        start = max(position, size - _LOG_TAIL_NBYTES)
        return strip_colour(os.pread(self._log_fd, max(size - start, 0), start).decode("utf-8", "replace"))

    def log_size(self) -> int:
        """Bytes the toolkit has printed so far."""
        return os.fstat(self._log_fd).st_size

    def close(self) -> None:
        """Ends the process, kindly first, and does not wait for what the toolkit may have left behind (adb)."""
        if self._buried is None and self._process.poll() is None:
            with contextlib.suppress(ToolkitError):
                self.ask("quit", timeout_s=_QUIT_TIMEOUT_S)
            self._buried = "it was closed"
        self._end()
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1

    def _read_line(self, job: str, timeout_s: float, start: int) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._read_fd], [], [], max(left, 0))
            if not ready:
                self._end()
                self._buried = f"it took more than {timeout_s:g} s over {job!r} and was ended"
                raise ToolkitTimeoutError(
                    f"rknn-toolkit2 did not finish {job!r} within {timeout_s:g} s and was ended; its last line: "
                    f"{self._last_words(start) or '(nothing)'}",
                    hint=f"give more time with --timeout; what it printed: {self.log}",
                )
            chunk = os.read(self._read_fd, 65536)
            if not chunk:
                raise self._bury(job, start)
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _bury(self, job: str, start: int) -> ToolkitError:
        # The answer channel closed: the process is dead or dying; SIGKILL settles it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_QUIT_TIMEOUT_S)
        self._end()
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._buried = f"it {how} during {job!r}"
        return ToolkitError(
            f"rknn-toolkit2 {how} during {job!r}; its last line: {self._last_words(start) or '(nothing)'}",
            hint=f"what it printed: {self.log}",
        )

    def _refusal(self, job: str, error: dict[str, Any], start: int) -> ToolkitError:
        message, name = strip_colour(error["message"]), error["call"]
        if error["kind"] == "missing":
            return MissingPackageError(message)
        if error["kind"] == "raised":
            message = raised_line(message)
        if error["kind"] in ("code", "none"):
            words = logged_line(self.log_since(start)).removeprefix(f"{name}: ")
            message = f"{words} ({name} {message})" if words else message
        return ToolkitError(
            f"rknn-toolkit2{' ' + name if name else ''}: {message}", hint=f"what it printed: {self.log}"
        )

    def _last_words(self, start: int) -> str:
        return logged_line(self.log_since(start))

    def _end(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._read_fd >= 0:
            os.close(self._read_fd)
            self._read_fd = -1
