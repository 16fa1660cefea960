"""A real OpenSSH sshd on loopback, with its own configuration and keys, as the virtual board's door."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from rkparity.emulator.keys import KeyPair
from rkparity.errors import RkparityError

HOST = "127.0.0.1"
_START_TIMEOUT_S = 10.0
_SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/sftp-server",
)


def find_sshd() -> Path | None:
    """OpenSSH's server, if it is installed. It refuses to start by a relative path, so this is absolute."""
    found = shutil.which(
        "sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
    )
    return Path(found).resolve() if found else None


class OpenSshServer:
    """sshd in the foreground as a child; every session runs in `home` with `environment`."""

    name = "OpenSSH sshd"

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
        sshd = find_sshd()
        if sshd is None:
            raise RkparityError(
                "OpenSSH's sshd is not installed", hint="on Debian and Ubuntu: apt-get install openssh-server"
            )
        self.user = getpass.getuser()
        self._folder = folder
        self._sshd = sshd
        self._log = folder / "sshd.log"
        (folder / "authorized_keys").write_text(user_key.public_line + "\n", encoding="ascii")
        _write_login(folder / "login", home, environment)
        if os.geteuid() == 0:
            # sshd run by root separates privileges in this directory, which a distribution's service makes.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.port, self._process = self._start(host_key, port)

    def _start(self, host_key: KeyPair, port: int) -> tuple[int, subprocess.Popen[bytes]]:
        # Another program may take a free port between our look and sshd's start; then the next one.
        for _ in range(5):
            chosen = port or _free_port()
            config = self._folder / "sshd_config"
            config.write_text(self._config(host_key, chosen), encoding="utf-8")
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    [str(self._sshd), "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            if _wait_for_banner(chosen, process):
                return chosen, process
            _end(process)
            if port:
                break
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
        raise RkparityError(f"sshd does not start: {last[0]}", hint="use the embedded server: --ssh embedded")

    def _config(self, host_key: KeyPair, port: int) -> str:
        sftp = next((path for path in _SFTP_SERVERS if Path(path).exists()), None)
        lines = [
            f"Port {port}",
            f"ListenAddress {HOST}",
            f"HostKey {_quoted(host_key.private_file)}",
            f"AuthorizedKeysFile {_quoted(self._folder / 'authorized_keys')}",
            f"ForceCommand {_quoted(self._folder / 'login')}",
            f"AllowUsers {self.user}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PubkeyAuthentication yes",
            "PrintMotd no",
            "UseDNS no",
            "X11Forwarding no",
            "AllowAgentForwarding no",
            "AllowTcpForwarding yes",
            "MaxSessions 64",
            "MaxStartups 64",
            "LogLevel INFO",
        ]
        if sftp is not None:
            lines.append(f"Subsystem sftp {sftp}")
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """Ends sshd; sessions at work are hung up on."""
        _end(self._process)


def _write_login(path: Path, home: Path, environment: Mapping[str, str]) -> None:
    """The command every session runs: sets the board's environment, then does what the client asked for."""
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
    path.write_text(
        f"""#!/bin/sh
export HOME={shlex.quote(str(home))}
{exports}
cd "$HOME" || exit 1
if [ -n "$SSH_ORIGINAL_COMMAND" ]; then
    exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
fi
exec /bin/sh -i
""",
        encoding="utf-8",
    )
    path.chmod(0o755)


def _quoted(path: Path) -> str:
    return f'"{path}"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for_banner(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return process.poll() is None
        except OSError:
            time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
