"""One shell on the board for all small scripts: starting a login shell for each costs more than most of them take."""

from __future__ import annotations

import re
import secrets
import shlex
import time

from rkparity.board.link.process import Completed, RemoteProcess
from rkparity.errors import BoardError


class ShellSession:
    """A running `sh -s` that is given script after script; each runs in a subshell with an empty standard input.

    A script's standard error is collected by the shell and told after the script's output, so the streams of all
    scripts stay apart.
    """

    def __init__(self, name: str, process: RemoteProcess) -> None:
        self._name = name
        self._process = process
        self._token = secrets.token_hex(8)
        self._end = re.compile(
            rb"\x01END-%s ([0-9]{1,3})\n(.*)\n\x01DONE-%s\n" % (self._token.encode(), self._token.encode()), re.DOTALL
        )
        process.write(b"exec 3>&1\n")

    def run(self, script: str, *, timeout_s: float | None, limit_nbytes: int) -> Completed:
        """Runs one script to its end.

        Raises ConnectionFailed when the connection is lost, TimeoutError when it takes too long, BoardError when it
        says too much or ends the shell; the session cannot be used any more after any of them.
        """
        wrapped = (
            f"e=$( ( eval {shlex.quote(script)} ) </dev/null 2>&1 >&3 3>&- ); c=$?\n"
            f'printf \'\\001END-{self._token} %d\\n%s\\n\\001DONE-{self._token}\\n\' "$c" "$e"\n'
        )
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._process.write(wrapped.encode("utf-8", "surrogateescape"))
        except BrokenPipeError as error:
            raise self._ended() from error
        done = f"\x01DONE-{self._token}\n".encode()
        answer = bytearray()
        while not answer.endswith(done):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            data = self._process.read(timeout_s=left)
            if not data:
                raise self._ended()
            answer += data
            if len(answer) > limit_nbytes:
                raise BoardError(f"{self._name}: a script answered with more than {limit_nbytes} bytes")
        match = self._end.search(answer)
        if match is None:
            raise BoardError(f"{self._name}: the board's shell answered {bytes(answer[-200:])!r}")
        return Completed(int(match[1]), bytes(answer[: match.start()]), match[2].decode("utf-8", "replace"))

    def close(self) -> None:
        """Ends the shell."""
        self._process.close_stdin()
        self._process.close()

    def _ended(self) -> BoardError:
        said = self._process.stderr_tail().strip().splitlines()
        return BoardError(
            f"{self._name}: the board's shell ended{f': {said[-1]}' if said else ' without a word'}",
            hint="log in by hand and see whether `sh -s` works there",
        )
