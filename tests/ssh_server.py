"""SSH servers for tests: sshd and dropbear on loopback with throwaway keys, and one in process that misbehaves."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import paramiko

from rkparity.board.link.target import SshTarget
from support import require

# Some 128 KiB of tar: enough to be in the middle of a transfer.
_CHUNK = 32768


@dataclass(frozen=True)
class Server:
    """Where a running server is and how to get in."""

    port: int
    folder: Path
    user: str = field(default_factory=getpass.getuser)
    host: str = "127.0.0.1"

    @property
    def identity(self) -> Path:
        return self.folder / "id"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def target(self) -> SshTarget:
        return SshTarget(
            self.host, user=self.user, port=self.port, identity=self.identity, known_hosts=self.known_hosts
        )

    @property
    def options(self) -> list[str]:
        """The same as command line options."""
        return [
            "--board",
            f"{self.user}@{self.host}:{self.port}",
            "--identity",
            str(self.identity),
            "--known-hosts",
            str(self.known_hosts),
        ]


def make_keys(folder: Path) -> None:
    """A host key, a user key and the user's authorized_keys."""
    for name in ("host", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "id.pub", folder / "authorized_keys")


def trust(server: Server) -> Server:
    """Writes the server's key into its known_hosts."""
    key = " ".join((server.folder / "host.pub").read_text().split()[:2])
    server.known_hosts.write_text(f"[{server.host}]:{server.port} {key}\n")
    return server


@contextmanager
def openssh(folder: Path, *, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """OpenSSH's sshd as the current user."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    require(Path(program).exists() and shutil.which("ssh-keygen"), "OpenSSH's sshd is not installed")
    make_keys(folder)
    server = Server(_free_port(), folder)
    if os.getuid() == 0:
        # sshd's privilege separation wants this folder; the service's start-up script would have made it.
        Path("/run/sshd").mkdir(exist_ok=True)
    lines = [
        f"Port {server.port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        "StrictModes no",
        "UsePAM no",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        "PidFile none",
        "PasswordAuthentication no",
        "Subsystem sftp internal-sftp",
        "MaxSessions 50",
        "MaxStartups 100",
    ]
    lines += [f"SetEnv {' '.join(f'{key}={value}' for key, value in environment.items())}"] if environment else []
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
        try:
            _wait_for_port(server, process)
            yield trust(server)
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def dropbear(folder: Path) -> Iterator[Server]:
    """Dropbear with a home directory of its own; that takes a mount namespace, hence root."""
    program = shutil.which("dropbear") or "/usr/sbin/dropbear"
    require(Path(program).exists() and shutil.which("dropbearkey"), "dropbear is not installed")
    require(os.getuid() == 0 and shutil.which("unshare"), "dropbear's test needs root for a home directory of its own")
    subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(folder / "dropbear_host")], check=True, capture_output=True
    )
    made = subprocess.run(["dropbearkey", "-y", "-f", str(folder / "dropbear_host")], check=True, capture_output=True)
    make_keys(folder)
    public = next(line for line in made.stdout.decode().splitlines() if line.startswith("ssh-ed25519"))
    (folder / "host.pub").write_text(public + "\n")
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True)
    shutil.copy(folder / "authorized_keys", home / ".ssh" / "authorized_keys")
    (home / ".ssh").chmod(0o700)
    server = Server(_free_port(), folder)
    serve = f"{program} -F -E -s -r {folder}/dropbear_host -p 127.0.0.1:{server.port} -P {folder}/pid"
    script = f'mount --bind "{home}" "{Path.home()}" && exec {serve}'
    with (folder / "dropbear.log").open("wb") as log:
        process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stderr=log)
        try:
            _wait_for_port(server, process)
            yield trust(server)
        finally:
            process.terminate()
            process.wait(10)


@dataclass
class Faults:
    """What the server in process does wrong. `drop_after` closes the connection after so many bytes of output."""

    drop_after: int | None = None
    path: str | None = None
    password: str | None = None
    replace_output: dict[str, bytes] = field(default_factory=dict)
    sftp: bool = False


@contextmanager
def faulty(folder: Path, faults: Faults) -> Iterator[Server]:
    """A paramiko server that runs commands with `sh` and then does what `faults` says."""
    make_keys(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1], folder)
    transports: list[paramiko.Transport] = []
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(folder / "host")))
            if faults.sftp:
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
            try:
                transport.start_server(server=_Interface(transport, faults, folder))
            except (paramiko.SSHException, EOFError):
                transport.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield trust(server)
    finally:
        stopping.set()
        listener.close()
        for transport in transports:
            transport.close()


class _Interface(paramiko.ServerInterface):
    def __init__(self, transport: paramiko.Transport, faults: Faults, folder: Path) -> None:
        self._transport = transport
        self._faults = faults
        self._key = paramiko.PKey.from_path(str(folder / "id"))

    def get_allowed_auths(self, username: str) -> str:
        return "password" if self._faults.password else "publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == self._faults.password else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = self._faults.password is None and key.asbytes() == self._key.asbytes()
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._serve, args=(channel, command), daemon=True).start()
        return True

    def _serve(self, channel: paramiko.Channel, command: bytes) -> None:
        # The client may be gone at any time, as with a real server.
        with suppress(OSError, EOFError):
            self._run(channel, command)

    def _run(self, channel: paramiko.Channel, command: bytes) -> None:
        environment = {**os.environ, **({"PATH": self._faults.path} if self._faults.path else {})}
        shell = "/bin/sh"
        process = subprocess.Popen(
            [shell, "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert process.stdin and process.stdout and process.stderr
        given = bytearray()
        threading.Thread(target=_feed, args=(channel, process.stdin, given), daemon=True).start()
        sent = 0
        replacement = None
        while data := os.read(process.stdout.fileno(), _CHUNK):
            outputs = self._faults.replace_output.items()
            replacement = next((text for part, text in outputs if part.encode() in given), None)
            if replacement is not None:
                continue
            channel.sendall(data)
            sent += len(data)
            if self._faults.drop_after is not None and sent > self._faults.drop_after:
                self._faults.drop_after = None
                self._transport.close()
                process.kill()
                process.wait()
                return
        if replacement is not None:
            channel.sendall(replacement)
        channel.sendall_stderr(process.stderr.read())
        channel.send_exit_status(process.wait())
        channel.close()


def _feed(channel: paramiko.Channel, stdin: IO[bytes], given: bytearray) -> None:
    """Hands standard input on as it comes, keeping a copy."""
    with suppress(OSError, EOFError, ValueError):
        while data := channel.recv(_CHUNK):
            given += data
            stdin.write(data)
            stdin.flush()
    with suppress(OSError):
        stdin.close()


class _Handle(paramiko.SFTPHandle):
    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    def stat(self, path: str) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(Path(path).stat())

    lstat = stat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle:
        handle = _Handle(flags)
        handle.readfile = Path(path).open("rb")  # type: ignore[attr-defined]  # noqa: SIM115
        return handle


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for_port(server: Server, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if process.poll() is not None:
            raise AssertionError(f"the SSH server ended with {process.returncode}; see {server.folder}/*.log")
        try:
            socket.create_connection((server.host, server.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no SSH server on port {server.port}; see {server.folder}/*.log")
