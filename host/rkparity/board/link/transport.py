"""What every way to a board offers: start a command there, talk to it, learn how it ended."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from rkparity.board.link.process import Completed, RemoteProcess, last_line, time_left
from rkparity.board.link.shell import ShellSession
from rkparity.errors import BoardError


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
                    data = process.read(timeout_s=time_left(deadline))
                    if not data:
                        break
                    chunks.append(data)
                    total += len(data)
                    if total > limit_nbytes:
                        raise BoardError(f"{self.name}: `{argv[0]}` answered with more than {limit_nbytes} bytes")
                code = process.wait(timeout_s=time_left(deadline))
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
