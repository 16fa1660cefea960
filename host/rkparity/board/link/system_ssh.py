"""The system's `ssh` for bulk data: faster than a Python client, with the same keys and the same host check."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from rkparity.board.link.pipes import PipeProcess
from rkparity.board.link.ssh_settings import SshSettings
from rkparity.errors import ConnectionFailed

_READY = b"\x01RKPARITY-READY\x01"
_READY_TIMEOUT_S = 15.0
_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr,chacha20-poly1305@openssh.com"


@dataclass(frozen=True)
class SystemSsh:
    """How to call `ssh` for one board."""

    name: str
    argv: tuple[str, ...]

    @classmethod
    def for_settings(cls, settings: SshSettings, *, password_used: bool) -> SystemSsh | None:
        """None where `ssh` is missing or could not log in the way paramiko did (password, jump host, proxy)."""
        program = shutil.which("ssh")
        if program is None or password_used or settings.jumps or settings.proxy_command:
            return None
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=3",
            "ConnectTimeout=15",
            f"Ciphers={_CIPHERS}",
            "Compression=no",
            "LogLevel=ERROR",
            "ClearAllForwardings=yes",
            "UserKnownHostsFile=" + " ".join(f'"{path}"' for path in settings.known_hosts),
            f"Port={settings.port}",
        ]
        if settings.only_these_identities:
            options.append("IdentitiesOnly=yes")
        argv = [program, "-F", "none", "-T", "-x", "-a", "-l", settings.user]
        for option in options:
            argv += ["-o", option]
        for identity in settings.identities:
            argv += ["-i", str(identity)]
        return cls(settings.name, (*argv, "--", settings.host))

    def launch(self, command: str) -> PipeProcess:
        """Starts `command` without waiting for the login; `ready` does."""
        # The marker tells a failed login from a command that failed; a shell's greeting before it is skipped.
        argv = [*self.argv, f"printf '\\001RKPARITY-READY\\001'; exec {command}"]
        return PipeProcess(self.name, argv, lost_code=255)


def ready(process: PipeProcess) -> bool:
    """Waits for the login; false, with the process closed, when this `ssh` cannot get in."""
    seen = b""
    try:
        while not seen.endswith(_READY):
            data = process.read(1, timeout_s=_READY_TIMEOUT_S)
            if not data or len(seen) > 65536:
                break
            seen += data
        else:
            return True
    except (ConnectionFailed, TimeoutError):
        seen = b""
    process.close()
    return False
