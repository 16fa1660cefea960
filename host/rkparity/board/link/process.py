"""A command that runs on a board, whatever the way there: its streams, its lines, how it ended."""

from __future__ import annotations

import abc
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from rkparity.errors import BoardError, ConnectionFailed

READ_NBYTES = 1 << 20
STDERR_KEPT_NBYTES = 64 * 1024
# A line of the agent's protocol is a few kilobytes; a megabyte without a line end is not the protocol.
MAX_LINE_NBYTES = 8 << 20


@dataclass(frozen=True)
class Completed:
    """How a command on the board ended; `exit_code` is None when the board does not say (killed by a signal)."""

    exit_code: int | None
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are no UTF-8 are kept as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape")


class RemoteProcess(abc.ABC):
    """A command running on the board."""

    @abc.abstractmethod
    def read(self, limit: int = READ_NBYTES, *, timeout_s: float | None = None) -> bytes:
        """The next bytes of standard output, empty at its end.

        Raises ConnectionFailed when the connection is lost, TimeoutError when nothing came for `timeout_s`.
        """

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Sends bytes to standard input; ConnectionFailed when lost, BrokenPipeError when the command reads no more."""

    @abc.abstractmethod
    def close_stdin(self) -> None:
        """Tells the command that its standard input has ended."""

    @abc.abstractmethod
    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit code, None if the board reported none; ConnectionFailed when lost, TimeoutError when too late."""

    @abc.abstractmethod
    def stderr_tail(self) -> str:
        """The last part of standard error so far."""

    @abc.abstractmethod
    def close(self) -> None:
        """Drops our side; harmless when called twice. The command may run on: see `stop_process` in `launch`."""

    def __enter__(self) -> RemoteProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lines(process: RemoteProcess, *, deadline: float | None = None) -> Iterator[bytes]:
    """Standard output line by line without line ends; a last line without one is given too.

    Raises ConnectionFailed as `read` does, TimeoutError when `deadline` (of time.monotonic) passes, BoardError for a
    line longer than `MAX_LINE_NBYTES`.
    """
    buffer = bytearray()
    while True:
        data = process.read(64 * 1024, timeout_s=time_left(deadline))
        if not data:
            break
        buffer += data
        *complete, rest = bytes(buffer).split(b"\n") if b"\n" in data else (bytes(buffer),)
        if len(rest) > MAX_LINE_NBYTES:
            raise BoardError(f"a line of more than {MAX_LINE_NBYTES} bytes came from the board")
        yield from complete
        buffer = bytearray(rest)
    if buffer:
        yield bytes(buffer)


def shell_command(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None) -> str:
    """`argv` as one line for the board's login shell, every word quoted; `env` given through env(1)."""
    words = [shlex.quote(word) for word in argv]
    if env:
        words = ["env", *(shlex.quote(f"{key}={value}") for key, value in env.items()), *words]
    command = " ".join(words)
    return f"cd {shlex.quote(cwd)} && {command}" if cwd else command


def last_line(text: str) -> str:
    """The last line with something on it."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def lost(name: str, reason: str = "") -> ConnectionFailed:
    """The error for a connection that ended by itself."""
    return ConnectionFailed(
        f"{name}: the connection was lost{f': {reason}' if reason else ''}",
        hint="check that the board is on and reachable, then try again",
    )


def time_left(deadline: float | None) -> float | None:
    """Seconds until `deadline` (of time.monotonic), None for no deadline; TimeoutError when it has passed."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
