"""The virtual board: an SSH server on this machine whose sessions have the emulated librknnrt."""

from __future__ import annotations

import enum
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.emulator.keys import make_key
from rkparity.emulator.openssh import HOST, OpenSshServer, find_sshd
from rkparity.emulator.runtime import EmulatedRuntime, Models
from rkparity.errors import RkparityError

if TYPE_CHECKING:
    from rkparity.emulator.embedded_ssh import EmbeddedSshServer

VIRTUAL_BOARD_VARIABLE = "RKPARITY_VIRTUAL_BOARD"
_DEFAULT_CHIP = "rk3588"


class SshKind(str, enum.Enum):
    """Which SSH server a virtual board has."""

    AUTO = "auto"
    """OpenSSH's where it is installed and lets this user in, the embedded one otherwise."""
    OPENSSH = "openssh"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Connection:
    """How to reach a virtual board; the content of a board file."""

    host: str
    port: int
    user: str
    identity: Path
    known_hosts: Path

    def to_json(self) -> dict[str, Any]:
        """The keys that `--board @FILE` reads."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "identity": str(self.identity),
            "known_hosts": str(self.known_hosts),
        }


class VirtualBoard:
    """A virtual board serving `models`; a context manager.

    `root` is the folder that is the board (`home`, `lib/librknnrt.so`): a temporary one, removed at the end, when none
    is given. `version` is the runtime to emulate (`rkparity.emulator.runtime.VERSIONS`), the chip's when None. Once
    started, `host`, `port`, `user`, `identity_file` and `known_hosts_file` say how to log in.
    """

    def __init__(
        self,
        models: Models,
        *,
        chip: str = _DEFAULT_CHIP,
        root: Path | None = None,
        ssh: SshKind = SshKind.AUTO,
        port: int = 0,
        version: str | None = None,
    ) -> None:
        self.chip = chip
        self._version = version
        self.host = HOST
        self.port = port
        self.user = ""
        self.ssh_server = ""
        self._models = models
        self._ssh = ssh
        self._own_root = root is None
        self.root = Path(tempfile.mkdtemp(prefix="rkparity-board-")) if root is None else root.resolve()
        self.home = self.root / "home"
        self.identity_file = self.root / "ssh" / "user_key"
        self.known_hosts_file = self.root / "ssh" / "known_hosts"
        self._runtime: EmulatedRuntime | None = None
        self._server: OpenSshServer | EmbeddedSshServer | None = None

    def __enter__(self) -> VirtualBoard:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._install_python()
            self._runtime = EmulatedRuntime(self._models, self.root, version=self._version, chip=self.chip)
            self._runtime.__enter__()
            self._server = self._open_door()
        except BaseException:
            self.close()
            raise
        self.port, self.user, self.ssh_server = self._server.port, self._server.user, self._server.name
        host_line = (self.root / "ssh" / "host_key.pub").read_text(encoding="ascii").strip()
        self.known_hosts_file.write_text(f"[{HOST}]:{self.port} {host_line}\n", encoding="ascii")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the SSH server, its sessions and the runtime's server, and removes a temporary root."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None
        if self._own_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def connection(self) -> Connection:
        """How to log in."""
        return Connection(self.host, self.port, self.user, self.identity_file, self.known_hosts_file)

    def environment(self) -> Mapping[str, str]:
        """What every session has in its environment besides HOME."""
        if self._runtime is None:
            raise RkparityError("the virtual board has not been started")
        path = os.pathsep.join([str(self.root / "bin"), os.environ.get("PATH", os.defpath)])
        return {**self._runtime.environment(), VIRTUAL_BOARD_VARIABLE: self.chip, "PATH": path}

    def _install_python(self) -> None:
        """The board's python3 is the interpreter at work here: sshd's own PATH may hold none, or another version."""
        link = self.root / "bin" / "python3"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(sys.executable).resolve())

    def _open_door(self) -> OpenSshServer | EmbeddedSshServer:
        folder = self.root / "ssh"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        host_key, user_key = make_key(folder / "host_key"), make_key(self.identity_file)
        if self._ssh is not SshKind.EMBEDDED and (self._ssh is SshKind.OPENSSH or find_sshd() is not None):
            server = OpenSshServer(
                folder,
                host_key=host_key,
                user_key=user_key,
                home=self.home,
                environment=self.environment(),
                port=self.port,
            )
            if lets_in(server, self.identity_file):
                return server
            server.close()
            if self._ssh is SshKind.OPENSSH:
                raise RkparityError(
                    f"sshd refuses the user {server.user} (a locked account?)",
                    hint="use the embedded server: --ssh embedded",
                )
        from rkparity.emulator.embedded_ssh import EmbeddedSshServer

        return EmbeddedSshServer(
            folder, host_key=host_key, user_key=user_key, home=self.home, environment=self.environment(), port=self.port
        )


def lets_in(server: OpenSshServer, identity: Path) -> bool:
    """Whether a login with our key works; sshd refuses locked accounts, as root's is on some machines."""
    import paramiko

    transport = paramiko.Transport((HOST, server.port))
    try:
        transport.start_client(timeout=10)
        transport.auth_publickey(server.user, paramiko.Ed25519Key.from_private_key_file(os.fspath(identity)))
        return transport.is_authenticated()
    except (paramiko.SSHException, OSError, EOFError):
        return False
    finally:
        transport.close()


def chip_of(models: Sequence[Path]) -> str:
    """The chip the first model was compiled for; rk3588 when none is given by its file."""
    from rkparity.model import read_model

    for path in models:
        if path.is_file():
            return read_model(path).platform
    return _DEFAULT_CHIP
