"""What every way to a board offers: start a command there, talk to it, learn how it ended."""

from __future__ import annotations

import abc
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rkparity.errors import BoardError, ConnectionFailed

if TYPE_CHECKING:
    from rkparity.board.link.shell import ShellSession

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


class Transport(abc.ABC):
    """A way to one board. `name` is how messages call the board.

    `keeps_shell` is false where a command gets its standard input only when it has ended.
    """

    name: str
    keeps_shell = True
    _shell: ShellSession | None = None

    @abc.abstractmethod
    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> RemoteProcess:
        """Starts a command; every argument is quoted, nothing is expanded by the board's shell."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the connection."""

    def start_bulk(self, argv: Sequence[str]) -> RemoteProcess:
        """Starts a command that moves much data, by the fastest way this transport has."""
        return self.start(argv)

    def start_bulk_script(self, script: str) -> RemoteProcess:
        """Starts a shell script whose output is much data; its length has no limit either."""
        process = self.start_bulk(["sh", "-s"])
        try:
            process.write(script.encode("utf-8", "surrogateescape"))
            process.close_stdin()
        except BrokenPipeError:
            process.close()
            raise BoardError(f"{self.name}: the board's shell ended without reading its script") from None
        except BaseException:
            process.close()
            raise
        return process

    @property
    def bulk_limit_nbytes(self) -> int | None:
        """How much one bulk command should move at most before the next one is started; None for no limit."""
        return None

    def fetch(self, path: str) -> Iterator[bytes]:
        """The bytes of one file, for boards without tar."""
        process = self.start_bulk(["cat", path])
        with process:
            process.close_stdin()
            while True:
                data = process.read(timeout_s=60)
                if not data:
                    break
                yield data
            code = process.wait(timeout_s=60)
            if code != 0:
                raise BoardError(
                    f"{self.name}: cannot read {path}: {last_line(process.stderr_tail()) or f'exit code {code}'}"
                )

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = 60,
        limit_nbytes: int = 64 << 20,
    ) -> Completed:
        """Runs a command to its end and returns everything it said.

        Raises ConnectionFailed when the connection is lost, BoardError when it takes longer than `timeout_s` or says
        more than `limit_nbytes`.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self.start(argv, env=env, cwd=cwd) as process:
            try:
                if stdin:
                    process.write(stdin)
                process.close_stdin()
                input_refused = False
            except BrokenPipeError:
                # The command ended without reading; its exit code and standard error say why.
                input_refused = True
            chunks: list[bytes] = []
            total = 0
            try:
                while True:
                    data = process.read(timeout_s=_left(deadline))
                    if not data:
                        break
                    chunks.append(data)
                    total += len(data)
                    if total > limit_nbytes:
                        raise BoardError(f"{self.name}: `{argv[0]}` answered with more than {limit_nbytes} bytes")
                code = process.wait(timeout_s=_left(deadline))
            except TimeoutError as error:
                raise BoardError(
                    f"{self.name}: `{argv[0]}` did not end within {timeout_s:g} s",
                    hint="the board may be overloaded; look at it with `top`",
                ) from error
            if input_refused and code == 0:
                raise BoardError(f"{self.name}: `{argv[0]}` did not read its input")
            return Completed(code, b"".join(chunks), process.stderr_tail())

    def run_script(self, script: str, *, timeout_s: float | None = 60, limit_nbytes: int = 64 << 20) -> Completed:
        """Runs a POSIX shell script sent on standard input: dropbear cuts commands at 9000 bytes, not these.

        Raises as `run` does.
        """
        if not self.keeps_shell:
            data = script.encode("utf-8", "surrogateescape")
            return self.run(["sh", "-s"], stdin=data, timeout_s=timeout_s, limit_nbytes=limit_nbytes)
        from rkparity.board.link.shell import ShellSession

        if self._shell is None:
            self._shell = ShellSession(self.name, self.start(["sh", "-s"]))
        session, self._shell = self._shell, None
        try:
            answer = session.run(script, timeout_s=timeout_s, limit_nbytes=limit_nbytes)
        except TimeoutError as error:
            session.close()
            raise BoardError(
                f"{self.name}: a script did not end within {timeout_s or 0:g} s",
                hint="the board may be overloaded; look at it with `top`",
            ) from error
        except BaseException:
            session.close()
            raise
        self._shell = session
        return answer

    def close_shell(self) -> None:
        """Ends the shell kept for scripts; transports call it when they close."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def warm_bulk(self) -> None:  # noqa: B027  most transports have nothing to open
        """Says that bulk data will be moved soon: a transport may open its way for it meanwhile."""

    def __enter__(self) -> Transport:
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
        data = process.read(64 * 1024, timeout_s=_left(deadline))
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


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
