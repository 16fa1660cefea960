"""An SSH server inside this process, for machines without OpenSSH: real processes, real files, paramiko's protocol."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from rkparity.emulator.embedded_sftp import BoardFiles
from rkparity.emulator.keys import KeyPair

HOST = "127.0.0.1"
_PIECE_NBYTES = 1 << 15
_MSG_CHANNEL_SUCCESS = 99
_ANSWER_TIMEOUT_S = 2.0


class EmbeddedSshServer:
    """Accepts one user key; every command runs in `home` with `environment`."""

    name = "embedded SSH server"

    def __init__(
        self,
        folder: Path,
        *,
        host_key: KeyPair,
        user_key: KeyPair,
        home: Path,
        environment: Mapping[str, str],
        port: int,
    ) -> None:
        self.user = getpass.getuser()
        self._host_key = paramiko.Ed25519Key.from_private_key_file(str(host_key.private_file))
        self._accepted = paramiko.Ed25519Key.from_private_key_file(str(user_key.private_file))
        self._home = home
        self._environment = {**os.environ, **environment, "HOME": str(home)}
        self._transports: list[paramiko.Transport] = []
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="embedded-ssh", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and ends every session and its processes."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()
        self._thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        transport = _Transport(connection)
        self._transports.append(transport)
        transport.add_server_key(self._host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, BoardFiles, self._home)
        # A client that hangs up or speaks no SSH is its own affair.
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            transport.start_server(server=_Session(self._accepted, self._home, self._environment))


class _Transport(paramiko.Transport):
    """Tells when a request to start a command was answered: its output and end must come after the answer.

    paramiko has no hook there; without `_send_user_message` the wait for it only times out.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.answered = threading.Condition()
        self.channels_answered: set[int] = set()
        super().__init__(connection)

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        message = data.asbytes()
        if message[0] == _MSG_CHANNEL_SUCCESS:
            with self.answered:
                self.channels_answered.add(int.from_bytes(message[1:5], "big"))
                self.answered.notify_all()

    def wait_until_answered(self, channel: paramiko.Channel) -> None:
        """Returns when the client knows that its command was started, or does not want to know."""
        number = channel.remote_chanid
        with self.answered:
            self.answered.wait_for(lambda: number in self.channels_answered, timeout=_ANSWER_TIMEOUT_S)
            self.channels_answered.discard(number)  # the client may use the number again


class _Session(paramiko.ServerInterface):
    def __init__(self, accepted: paramiko.PKey, home: Path, environment: Mapping[str, str]) -> None:
        self._accepted = accepted
        self._home = home
        self._environment = dict(environment)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == getpass.getuser() and key.asbytes() == self._accepted.asbytes()
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._start(channel, ["/bin/sh", "-c", os.fsdecode(command)])
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self._start(channel, ["/bin/sh"])
        return True

    def _start(self, channel: paramiko.Channel, argv: list[str]) -> None:
        process = subprocess.Popen(
            argv,
            cwd=self._home,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=_carry, args=(channel, process), daemon=True).start()


def _carry(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    """Moves bytes between a channel and its process until the process has ended, then tells its exit code."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    transport = channel.get_transport()
    if isinstance(transport, _Transport):
        transport.wait_until_answered(channel)
    ended = threading.Event()
    feeder = threading.Thread(target=_feed, args=(channel, process, ended), daemon=True)
    readers = [
        threading.Thread(target=_drain, args=(process.stdout.fileno(), channel.sendall), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr.fileno(), channel.sendall_stderr), daemon=True),
    ]
    for thread in (feeder, *readers):
        thread.start()
    for reader in readers:
        reader.join()
    code = process.wait()
    ended.set()
    with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
        channel.send_exit_status(code if code >= 0 else 128 - code)
    channel.close()
    feeder.join(timeout=2)
    process.stdout.close()
    process.stderr.close()


def _feed(channel: paramiko.Channel, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """The channel's input for the process; afterwards watches that the client is still there."""
    assert process.stdin is not None
    channel.settimeout(0.2)
    while not ended.is_set() and not _left(channel):
        try:
            data = channel.recv(_PIECE_NBYTES)
            if not data:
                break
            process.stdin.write(data)
            process.stdin.flush()
        except socket.timeout:
            continue
        except OSError:
            break  # the process has closed its input
    with contextlib.suppress(OSError):
        process.stdin.close()
    while not ended.wait(0.2):
        if _left(channel):
            _hang_up(process)
            return


def _left(channel: paramiko.Channel) -> bool:
    return channel.closed or not channel.get_transport().is_active()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """The client is gone: its command's whole group gets SIGHUP, as from OpenSSH."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGHUP)


def _drain(fd: int, send: Callable[[bytes], object]) -> None:
    while True:
        data = os.read(fd, _PIECE_NBYTES)
        if not data:
            return
        with contextlib.suppress(OSError, EOFError):
            send(data)
