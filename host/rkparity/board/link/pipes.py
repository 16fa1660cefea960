"""Commands reached through a local process: this machine's own shell, the system's ssh, adb."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

from rkparity.board.link.process import READ_NBYTES, STDERR_KEPT_NBYTES, RemoteProcess, last_line, lost
from rkparity.errors import ConnectionFailed

_PIPE_NBYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class StderrTail:
    """Keeps the last part of what a reader thread takes from standard error."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._lock = threading.Lock()

    def add(self, data: bytes) -> None:
        """Appends and forgets the oldest bytes."""
        with self._lock:
            self._kept += data
            del self._kept[: max(0, len(self._kept) - STDERR_KEPT_NBYTES)]

    def text(self) -> str:
        """What is kept, as text."""
        with self._lock:
            return self._kept.decode("utf-8", "replace")


class PipeProcess(RemoteProcess):
    """A local child process standing for a command on the board.

    `lost_code` is the child's exit code that means "the connection failed" (255 of ssh), if there is one.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        lost_code: int | None = None,
    ) -> None:
        self._name = name
        self._lost_code = lost_code
        try:
            # Its own session: Ctrl-C at the terminal reaches rkparity alone, which then ends the command in order.
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise ConnectionFailed(f"{name}: cannot start `{argv[0]}`: {error.strerror}") from error
        self._stdin, self._stdout, self._stderr = _streams(self._child)
        _enlarge(self._stdout)
        self._tail = StderrTail()
        self._drain = threading.Thread(target=self._drain_stderr, daemon=True)
        self._drain.start()

    @property
    def pid(self) -> int:
        """The child's process id, also of its process group."""
        return self._child.pid

    def read(self, limit: int = READ_NBYTES, *, timeout_s: float | None = None) -> bytes:
        """The next bytes of standard output; see RemoteProcess."""
        descriptor = self._stdout.fileno()
        if timeout_s is not None and not select.select([descriptor], [], [], timeout_s)[0]:
            raise TimeoutError
        data = os.read(descriptor, limit)
        if not data and self._lost_code is not None and self.wait() == self._lost_code:
            raise lost(self._name, last_line(self.stderr_tail()))
        return data

    def write(self, data: bytes) -> None:
        """Sends bytes to standard input; see RemoteProcess."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._stdin.write(view) or 0 :]
        except BrokenPipeError:
            if self._lost_code is not None and self._child.poll() == self._lost_code:
                raise lost(self._name, last_line(self.stderr_tail())) from None
            raise

    def close_stdin(self) -> None:
        """Ends standard input."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit code, None when a signal ended the child."""
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        self._drain.join(timeout=5)
        return code if code >= 0 else None

    def stderr_tail(self) -> str:
        """The last part of standard error so far."""
        return self._tail.text()

    def close(self) -> None:
        """Closes the pipes and ends the child if it still runs."""
        self.close_stdin()
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._drain.join(timeout=5)
        self._stdout.close()
        if not self._drain.is_alive():
            self._stderr.close()

    def _drain_stderr(self) -> None:
        while True:
            data = os.read(self._stderr.fileno(), 65536)
            if not data:
                return
            self._tail.add(data)


def _streams(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise AssertionError("all three streams were asked for as pipes")
    return child.stdin, child.stdout, child.stderr


def _enlarge(pipe: IO[bytes]) -> None:
    """Asks Linux for a larger pipe: fewer switches between ssh and us; a refusal changes only the speed."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), _F_SETPIPE_SZ, _PIPE_NBYTES)
    except (ImportError, OSError):
        return
