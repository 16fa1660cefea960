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
    from rkparity.emulator.npu.guest import Guest
    from rkparity.emulator.npu.runtime import VendorRuntime

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
    started, `host`, `port`, `user`, `identity_file` and `known_hosts_file` say how to log in. With `guest` the runtime
    is the vendor's own, and the board's programs are Arm programs.
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
        guest: Guest | None = None,
    ) -> None:
        self.chip = chip
        self._guest = guest
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
        self._runtime: EmulatedRuntime | VendorRuntime | None = None
        self._server: OpenSshServer | EmbeddedSshServer | None = None

    def __enter__(self) -> VirtualBoard:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._install_tools()
            self._runtime = self._make_runtime()
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
        return {**self._runtime.environment(), VIRTUAL_BOARD_VARIABLE: self.described, "PATH": path}

    @property
    def is_vendors(self) -> bool:
        """Whether the runtime is the vendor's own."""
        return self._guest is not None

    @property
    def described(self) -> str:
        """The chip, and whose runtime it is when that is the vendor's."""
        if self._guest is None:
            return self.chip
        return f"{self.chip} ({self._guest.library.about()}, stand-in NPU, values from the simulator)"

    def _make_runtime(self) -> EmulatedRuntime | VendorRuntime:
        if self._guest is None:
            return EmulatedRuntime(self._models, self.root, version=self._version, chip=self.chip)
        from rkparity.emulator.npu.runtime import NpuModels, VendorRuntime

        if not isinstance(self._models, NpuModels):
            raise RkparityError("the vendor's runtime needs models that are files")
        return VendorRuntime(self._models, self.root, self._guest, chip=self.chip)

    def _install_tools(self) -> None:
        """The board's python3 is the interpreter at work here: sshd's own PATH may hold none, or another version.

        A board of another machine has that machine's `uname`, and its Python if its sysroot holds one.
        """
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        link = folder / "python3"
        link.unlink(missing_ok=True)
        if self._guest is None:
            link.symlink_to(Path(sys.executable).resolve())
            return
        from rkparity.emulator.npu.guest import install_tools

        install_tools(self._guest, folder)

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
