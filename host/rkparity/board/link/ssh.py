"""A board reached over SSH with paramiko; bulk data goes through the system's `ssh` where that can be used."""

from __future__ import annotations

import contextlib
import getpass
import logging
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import paramiko

from rkparity.board.link.host_keys import KnownHosts, entry_name
from rkparity.board.link.pipes import PipeProcess
from rkparity.board.link.process import RemoteProcess, lost, shell_command
from rkparity.board.link.ssh_channel import ChannelProcess
from rkparity.board.link.ssh_settings import SshSettings, resolve
from rkparity.board.link.system_ssh import SystemSsh, ready
from rkparity.board.link.transport import Transport
from rkparity.errors import BoardError, ConnectionFailed, LoginRefused, RkparityError

if TYPE_CHECKING:
    from rkparity.board.link.target import SshTarget

CONNECT_TIMEOUT_S = 15.0
_KEEPALIVE_S = 10
_USER_TIMEOUT_MS = 30_000
# Boards with AES instructions move data fastest with GCM: one pass for cipher and integrity.
_CIPHERS_FIRST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")
# Downloads from dropbear were seen to stall near 500 MB of one connection (SSH.NET issue 1671, backend.ai issue 1819).
_DROPBEAR_BULK_NBYTES = 256 << 20
_BULK_SHELL = shell_command(["sh", "-s"])

logging.getLogger("paramiko").addHandler(logging.NullHandler())

_Socket = Union[socket.socket, paramiko.Channel, paramiko.ProxyCommand]


class SshTransport(Transport):
    """One logged-in SSH connection, with the connections to its jump hosts."""

    def __init__(self, settings: SshSettings, clients: list[paramiko.SSHClient], password: str | None) -> None:
        self.name = settings.name
        self._settings = settings
        self._clients = clients
        self._password = password
        self._extra: list[list[paramiko.SSHClient]] = []
        self._warm: PipeProcess | None = None
        self._system = SystemSsh.for_settings(settings, password_used=password is not None)

    @classmethod
    def connect(cls, target: SshTarget, *, settings: SshSettings | None = None) -> SshTransport:
        """Connects and logs in.

        Raises ConnectionFailed (unreachable, no SSH server, no common algorithm), HostKeyError (unknown or changed key)
        or LoginRefused; ConfigError and UsageError for unusable settings.
        """
        settings = settings or resolve(target)
        clients, password = _connect_all(settings, settings.password)
        return cls(settings, clients, password)

    @property
    def bulk_limit_nbytes(self) -> int | None:
        """256 MB for dropbear, which stalls on longer downloads; none otherwise."""
        return _DROPBEAR_BULK_NBYTES if self._is_dropbear else None

    @property
    def _is_dropbear(self) -> bool:
        return "dropbear" in str(self._transport.remote_version).lower()

    @property
    def _transport(self) -> paramiko.Transport:
        transport = self._clients[-1].get_transport()
        if transport is None or not transport.is_active():
            raise lost(self.name)
        return transport

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> RemoteProcess:
        """Starts a command over a new channel of the connection."""
        return ChannelProcess.start(self.name, self._transport, shell_command(argv, env=env, cwd=cwd))

    def start_bulk(self, argv: Sequence[str]) -> RemoteProcess:
        """Starts a command whose data go through the system's `ssh` if that works here, else through paramiko."""
        if self._system is not None:
            command = shell_command(argv)
            warm, self._warm = self._warm, None
            if warm is None or command != _BULK_SHELL:
                if warm is not None:
                    warm.close()
                warm = self._system.launch(command)
            if ready(warm):
                return warm
            self._system = None
        if self._is_dropbear:
            clients, _ = _connect_all(self._settings, self._password)
            self._extra.append(clients)
            transport = clients[-1].get_transport()
            if transport is None:
                raise lost(self.name)
            return ChannelProcess.start(self.name, transport, shell_command(argv))
        return self.start(argv)

    def warm_bulk(self) -> None:
        """Lets the system's `ssh` log in while other things are asked of the board."""
        if self._system is not None and self._warm is None:
            self._warm = self._system.launch(_BULK_SHELL)

    def fetch(self, path: str) -> Iterator[bytes]:
        """The bytes of one file over SFTP; through `cat` where the server has no SFTP."""
        try:
            sftp = self._transport.open_sftp_client()
        except (paramiko.SSHException, EOFError, OSError):
            sftp = None
        if sftp is None:
            yield from super().fetch(path)
            return
        with contextlib.closing(sftp):
            try:
                with sftp.open(path, "rb", bufsize=0) as file:
                    file.prefetch(file.stat().st_size or 0)
                    while True:
                        data = file.read(1 << 18)
                        if not data:
                            return
                        yield data
            except (EOFError, paramiko.SSHException) as error:
                raise lost(self.name, str(error)) from error
            except OSError as error:
                if not self._clients[-1].get_transport() or "closed" in str(error).lower():
                    raise lost(self.name, str(error)) from error
                raise BoardError(f"{self.name}: cannot read {path}: {error}") from error

    def close(self) -> None:
        """Ends the connection and those to its jump hosts, the innermost first."""
        self.close_shell()
        if self._warm is not None:
            self._warm.close()
            self._warm = None
        for clients in (*self._extra, self._clients):
            _close_all(clients)


class _Policy(paramiko.MissingHostKeyPolicy):
    """Hands every host key to KnownHosts: the client itself is given no keys, so it asks for each."""

    def __init__(self, known: KnownHosts, accept_new: bool) -> None:
        self._known = known
        self._accept_new = accept_new

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Returns if the key may be trusted, raises HostKeyError otherwise."""
        self._known.check(hostname, key, accept_new=self._accept_new)


def _connect_all(settings: SshSettings, password: str | None) -> tuple[list[paramiko.SSHClient], str | None]:
    """Connects hop after hop; returns the clients, the board's last, and the password that was used."""
    clients: list[paramiko.SSHClient] = []
    used: str | None = None
    try:
        for hop in (*settings.jumps, settings):
            sock = _open_socket(hop, clients[-1] if clients else None)
            client, used = _login(hop, sock, password if hop is settings else hop.password)
            clients.append(client)
    except BaseException:
        _close_all(clients)
        raise
    return clients, used


def _close_all(clients: list[paramiko.SSHClient]) -> None:
    for client in reversed(clients):
        client.close()


def _open_socket(hop: SshSettings, through: paramiko.SSHClient | None) -> _Socket:
    where = f"{hop.host} port {hop.port}"
    try:
        if through is not None:
            transport = through.get_transport()
            if transport is None:
                raise lost(hop.name)
            return transport.open_channel(
                "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=CONNECT_TIMEOUT_S
            )
        if hop.proxy_command is not None:
            return paramiko.ProxyCommand(hop.proxy_command)
        sock = socket.create_connection((hop.host, hop.port), timeout=CONNECT_TIMEOUT_S)
    except (OSError, paramiko.SSHException, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ConnectionFailed(
            f"cannot reach {where}: {reason}",
            hint="check the address, the port, and that an SSH server runs on the board",
        ) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # With the keepalive packets this makes a board that was switched off a lost connection after half a minute.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
    return sock


def _login(hop: SshSettings, sock: _Socket, password: str | None) -> tuple[paramiko.SSHClient, str | None]:
    try:
        return _try_login(hop, sock, password), password
    except LoginRefused:
        if password is not None or not (sys.stdin and sys.stdin.isatty()):
            raise
        typed = getpass.getpass(f"password of {hop.name}: ")
        if hop.jumps or hop.proxy_command or not isinstance(sock, socket.socket):
            raise
        return _try_login(hop, _open_socket(hop, None), typed), typed


def _try_login(hop: SshSettings, sock: _Socket, password: str | None) -> paramiko.SSHClient:
    known = KnownHosts(hop.known_hosts)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_Policy(known, hop.accept_new_host_key))
    # The stubs know a single file name only; the client takes a list.
    key_files: Any = [str(path) for path in hop.identities]
    try:
        client.connect(
            hop.host,
            hop.port,
            username=hop.user,
            password=password,
            sock=sock,
            key_filename=key_files,
            allow_agent=not hop.only_these_identities,
            look_for_keys=not hop.only_these_identities,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
            transport_factory=_factory(known.key_types(entry_name(hop.host, hop.port))),
        )
        transport = client.get_transport()
        if transport is None:
            raise lost(hop.name)
        transport.set_keepalive(_KEEPALIVE_S)
    except RkparityError:
        client.close()
        raise
    except paramiko.PasswordRequiredException as error:
        client.close()
        raise LoginRefused(
            f"{hop.name}: the private key is protected by a passphrase: {error}",
            hint="load it into the SSH agent first: ssh-add FILE",
        ) from error
    except paramiko.AuthenticationException as error:
        client.close()
        tried = (
            "the password"
            if password is not None
            else (", ".join(str(path) for path in hop.identities) or "the SSH agent's and the default keys")
        )
        raise LoginRefused(
            f"{hop.name}: the board refused the login (tried {tried}): {error}",
            hint="check the user name; use --identity KEY or --password-file FILE",
        ) from error
    except paramiko.ssh_exception.IncompatiblePeer as error:
        client.close()
        raise ConnectionFailed(
            f"{hop.name}: no SSH algorithm in common: {error}",
            hint="old dropbear servers offer only RSA/SHA-1: give the board an ECDSA or Ed25519 host key",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        client.close()
        if "No authentication methods" in str(error):
            raise LoginRefused(
                f"{hop.name}: there is no key and no password to log in with",
                hint="use --identity KEY or --password-file FILE",
            ) from error
        raise ConnectionFailed(
            f"{hop.name}: the SSH connection failed: {str(error) or type(error).__name__}",
            hint="is it an SSH server that listens there?",
        ) from error
    return client


def _factory(known_types: tuple[str, ...]) -> Callable[..., paramiko.Transport]:
    """Makes transports that ask first for host keys of the types known and for fast ciphers."""

    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        security.ciphers = _reordered(security.ciphers, _CIPHERS_FIRST)
        wanted = tuple(
            name
            for kind in known_types
            for name in (("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,))
        )
        security.key_types = _reordered(security.key_types, wanted)
        return transport

    return make


def _reordered(offered: Sequence[str], first: Sequence[str]) -> tuple[str, ...]:
    preferred = [name for name in first if name in offered]
    return (*preferred, *(name for name in offered if name not in preferred))
