"""A board reached through `adb`: Android, and Rockchip's Linux images with adbd.

`adb exec-out` is the one service every adbd has that does not change bytes; it tells neither exit code nor standard
error, and takes no input. So commands are wrapped: standard error goes to a file on the board, the exit code comes as a
trailer, and input is sent as a file beforehand.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from rkparity.board.link.pipes import PipeProcess
from rkparity.board.link.process import READ_NBYTES, RemoteProcess, lost, shell_command
from rkparity.board.link.transport import Transport
from rkparity.errors import ConnectionFailed

_TRAILER = b"\x01RKPARITY-EXIT:"
# The marker, up to three digits, a line end.
_TRAILER_MAX_NBYTES = len(_TRAILER) + 4
_SCRATCH = ("/data/local/tmp", "/userdata", "/tmp")  # noqa: S108
_TIMEOUT_S = 60.0
_PUSH_TIMEOUT_S = 600.0


class AdbTransport(Transport):
    """One device of `adb devices`; `scratch` is a folder of the device that can be written."""

    keeps_shell = False

    def __init__(self, program: str, serial: str, scratch: str) -> None:
        self.name = f"adb:{serial}" if serial else "adb"
        self._argv = [program, *(["-s", serial] if serial else [])]
        self._scratch = scratch

    @classmethod
    def connect(cls, serial: str) -> AdbTransport:
        """Checks that adb is there and the device answers; ConnectionFailed otherwise."""
        program = shutil.which("adb")
        if program is None:
            raise ConnectionFailed("`adb` is not on PATH", hint="install Android's platform-tools, or use SSH")
        transport = cls(program, serial, _SCRATCH[-1])
        state = transport.call(["get-state"])
        if state != "device":
            raise ConnectionFailed(f"{transport.name}: the device is {state or 'not there'}", hint="see `adb devices`")
        test = "; ".join(f"if [ -w {folder} ]; then echo {folder}; exit 0; fi" for folder in _SCRATCH)
        scratch = transport.call(["exec-out", f"sh -c {shlex.quote(test)}"])
        if scratch not in _SCRATCH:
            raise ConnectionFailed(f"{transport.name}: none of {', '.join(_SCRATCH)} can be written on the device")
        return cls(program, serial, scratch)

    def call(self, arguments: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> str:
        """One adb command's standard output; ConnectionFailed with adb's own words when it fails."""
        try:
            done = subprocess.run([*self._argv, *arguments], capture_output=True, timeout=timeout_s, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConnectionFailed(f"{self.name}: adb did not answer: {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise ConnectionFailed(f"{self.name}: {said or 'adb failed'}", hint="see `adb devices`")
        return done.stdout.decode("utf-8", "replace").strip()

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> RemoteProcess:
        """Prepares a command; it starts when its standard input has ended."""
        base = f"{self._scratch}/rkparity-{secrets.token_hex(8)}"
        return AdbProcess(self, shell_command(argv, env=env, cwd=cwd), base)

    def close(self) -> None:
        """Nothing to close."""

    def exec_out(self, command: str) -> PipeProcess:
        """Starts a shell command whose standard output comes unchanged."""
        return PipeProcess(self.name, [*self._argv, "exec-out", command])

    def push(self, data: tempfile._TemporaryFileWrapper[bytes], target: str) -> None:
        """Copies one file to the device."""
        data.flush()
        self.call(["push", data.name, target], timeout_s=_PUSH_TIMEOUT_S)


class AdbProcess(RemoteProcess):
    """A wrapped command: input is collected here and pushed as a file when it has ended; then the command starts."""

    def __init__(self, transport: AdbTransport, command: str, base: str) -> None:
        self._transport = transport
        self._command = command
        self._base = base
        self._input: tempfile._TemporaryFileWrapper[bytes] | None = None
        self._process: PipeProcess | None = None
        self._held = b""
        self._code: int | None = None
        self._ended = False

    def write(self, data: bytes) -> None:
        """Collects standard input."""
        if self._input is None:
            self._input = tempfile.NamedTemporaryFile(prefix="rkparity-adb-")  # noqa: SIM115  closed by close()
        self._input.write(data)

    def close_stdin(self) -> None:
        """Sends what was collected and starts the command."""
        if self._process is not None:
            return
        source = "/dev/null"
        if self._input is not None:
            source = f"{self._base}.in"
            self._transport.push(self._input, source)
        wrapped = f"({self._command}) < {source} 2> {self._base}.err; printf '\\001RKPARITY-EXIT:%d\\n' $?"
        self._process = self._transport.exec_out(f"sh -c {shlex.quote(wrapped)}")
        self._process.close_stdin()

    def read(self, limit: int = READ_NBYTES, *, timeout_s: float | None = None) -> bytes:
        """The next bytes of standard output; the trailer is held back."""
        self.close_stdin()
        while not self._ended and self._process is not None:
            data = self._process.read(limit, timeout_s=timeout_s)
            self._held += data
            if not data:
                self._ended = True
                body, marker, code = self._held.rpartition(_TRAILER)
                if not marker or not code.strip().isdigit():
                    raise lost(self._transport.name, self._process.stderr_tail().strip())
                self._code = int(code)
                self._held = b""
                return body
            if len(self._held) > _TRAILER_MAX_NBYTES:
                given, self._held = self._held[:-_TRAILER_MAX_NBYTES], self._held[-_TRAILER_MAX_NBYTES:]
                return given
        return b""

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit code; above 128 it tells of a signal, as shells do."""
        while self.read(timeout_s=timeout_s):
            pass
        return None if self._code is not None and self._code > 128 else self._code

    def stderr_tail(self) -> str:
        """Standard error, read from the board's file after the command's end."""
        if not self._ended:
            return ""
        return self._transport.call(["exec-out", f"sh -c 'tail -c 65536 {self._base}.err'"])

    def close(self) -> None:
        """Ends adb's side and removes the files on the board."""
        if self._process is not None:
            self._process.close()
            self._process = None
            self._ended = True
            # A device that went away meanwhile has been reported by what was being read.
            with contextlib.suppress(ConnectionFailed):
                self._transport.call(["exec-out", f"rm -f {self._base}.in {self._base}.err"])
        if self._input is not None:
            self._input.close()
            self._input = None
