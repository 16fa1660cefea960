"""A command on the board over one channel of a paramiko connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import paramiko

from rkparity.board.link.pipes import StderrTail
from rkparity.board.link.process import READ_NBYTES, RemoteProcess, lost

_OPEN_TIMEOUT_S = 15.0


class ChannelProcess(RemoteProcess):
    """A running command; standard error is drained by a thread so that it can never block the data."""

    def __init__(self, name: str, channel: paramiko.Channel, transport: paramiko.Transport) -> None:
        self._name = name
        self._channel = channel
        self._transport = transport
        self._tail = StderrTail()
        self._drain = threading.Thread(target=self._drain_stderr, daemon=True)
        self._drain.start()

    @classmethod
    def start(cls, name: str, transport: paramiko.Transport, command: str) -> ChannelProcess:
        """Opens a channel and starts `command` in it; ConnectionFailed when that is not possible."""
        try:
            channel = transport.open_session(timeout=_OPEN_TIMEOUT_S)
            channel.exec_command(command.encode("utf-8", "surrogateescape"))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise lost(name, str(error)) from error
        return cls(name, channel, transport)

    def read(self, limit: int = READ_NBYTES, *, timeout_s: float | None = None) -> bytes:
        """The next bytes of standard output; see RemoteProcess."""
        self._channel.settimeout(timeout_s)
        try:
            data = self._channel.recv(limit)
        except socket.timeout:
            raise TimeoutError from None
        if not data and not self._channel.eof_received and self._channel.exit_status < 0 and self._connection_ended():
            raise lost(self._name, self._reason())
        return data

    def write(self, data: bytes) -> None:
        """Sends bytes to standard input; see RemoteProcess."""
        self._channel.settimeout(None)
        try:
            self._channel.sendall(data)
        except OSError as error:
            if not self._transport.is_active():
                raise lost(self._name, self._reason()) from error
            raise BrokenPipeError from error

    def close_stdin(self) -> None:
        """Ends standard input."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit code, None when the server reports none (ended by a signal)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._channel.status_event.wait(
            0.5 if deadline is None else max(0.0, min(0.5, deadline - time.monotonic()))
        ):
            if not self._transport.is_active():
                raise lost(self._name, self._reason())
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
        self._drain.join(timeout=5)
        code = self._channel.exit_status
        if code >= 0:
            return code
        if self._connection_ended():
            raise lost(self._name, self._reason())
        return None

    def stderr_tail(self) -> str:
        """The last part of standard error so far."""
        return self._tail.text()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()
        self._drain.join(timeout=5)

    def _drain_stderr(self) -> None:
        while True:
            # A channel's timeout is shared by both streams: the reader of the other one sets it.
            try:
                data = self._channel.recv_stderr(65536)
            except socket.timeout:
                continue
            except (OSError, EOFError):
                return
            if not data:
                return
            self._tail.add(data)

    def _connection_ended(self) -> bool:
        """Whether the whole connection is gone; paramiko closes the channels a moment before it says so."""
        self._transport.join(0.0 if self._channel.eof_received else 1.0)
        return not self._transport.is_active()

    def _reason(self) -> str:
        error = self._transport.get_exception()
        return str(error) if error is not None else ""
