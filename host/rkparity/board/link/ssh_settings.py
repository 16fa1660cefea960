"""What ~/.ssh/config says about a board, merged with what the command line says."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.board.link.target import SshTarget, parse_target
from rkparity.errors import ConfigError, UsageError

# A device or a huge file may have no end of line.
_MAX_PASSWORD_NCHARS = 4096

DEFAULT_PORT = 22


@dataclass(frozen=True)
class SshSettings:
    """Everything needed for one SSH connection; `jumps` are the hops before it, first one first.

    `only_these_identities` is true when the user named a key on the command line: no other key is then offered.
    """

    host: str
    port: int
    user: str
    identities: tuple[Path, ...]
    only_these_identities: bool
    known_hosts: tuple[Path, ...]
    accept_new_host_key: bool
    password: str | None
    jumps: tuple[SshSettings, ...] = ()
    proxy_command: str | None = None

    @property
    def name(self) -> str:
        """How messages call this board."""
        port = "" if self.port == DEFAULT_PORT else f":{self.port}"
        return f"{self.user}@{self.host}{port}"


def resolve(target: SshTarget, *, config_file: Path | None = None) -> SshSettings:
    """Merges `target` with the SSH configuration (default ~/.ssh/config); command line first.

    Raises ConfigError when the configuration cannot be read, UsageError for an unusable password file or jump host.
    """
    return _resolve(target, config_file or Path.home() / ".ssh" / "config", seen=())


def _resolve(target: SshTarget, config_file: Path, seen: tuple[str, ...]) -> SshSettings:
    entry = _lookup(config_file, target.host)
    jump = target.jump or _text(entry, "proxyjump")
    jumps: tuple[SshSettings, ...] = ()
    if jump and jump.lower() != "none":
        if target.host in seen:
            raise ConfigError(f"{config_file}: ProxyJump leads back to {target.host}")
        jumps = tuple(_jump(hop, target, config_file, (*seen, target.host)) for hop in jump.split(","))
        jumps = tuple(inner for hop in jumps for inner in (*hop.jumps, hop))
    if target.identity is not None:
        identities: tuple[Path, ...] = (target.identity,)
    else:
        named = entry.get("identityfile", [])
        identities = tuple(path for path in (Path(name).expanduser() for name in named) if path.is_file())
    proxy_command = _text(entry, "proxycommand")
    return SshSettings(
        host=_text(entry, "hostname") or target.host,
        port=target.port or _port(entry, config_file),
        user=target.user or _text(entry, "user") or getpass.getuser(),
        identities=identities,
        only_these_identities=target.identity is not None,
        known_hosts=_known_hosts(target, entry),
        accept_new_host_key=target.accept_new_host_key,
        password=_password(target.password_file),
        jumps=jumps,
        proxy_command=None if jumps or not proxy_command or proxy_command.lower() == "none" else proxy_command,
    )


def _jump(hop: str, target: SshTarget, config_file: Path, seen: tuple[str, ...]) -> SshSettings:
    parsed = parse_target(hop.strip())
    if not isinstance(parsed, SshTarget):
        raise UsageError(f"--jump {hop}: is not [user@]host[:port]")
    # A jump host is trusted by the same known_hosts; the board's own key and password are not offered to it.
    hop_target = SshTarget(
        parsed.host,
        user=parsed.user,
        port=parsed.port,
        known_hosts=target.known_hosts,
        identity=target.identity,
        accept_new_host_key=target.accept_new_host_key,
    )
    return _resolve(hop_target, config_file, seen)


def _lookup(config_file: Path, host: str) -> dict[str, list[str]]:
    import paramiko

    if not config_file.is_file():
        return {}
    try:
        found = paramiko.SSHConfig.from_path(str(config_file)).lookup(host)
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise ConfigError(f"{config_file}: cannot be used: {error}") from error
    values: dict[str, Any] = dict(found)
    return {key: value if isinstance(value, list) else [str(value)] for key, value in values.items()}


def _text(entry: dict[str, list[str]], key: str) -> str | None:
    values = entry.get(key)
    return values[0] if values else None


def _port(entry: dict[str, list[str]], config_file: Path) -> int:
    text = _text(entry, "port")
    if text is None:
        return DEFAULT_PORT
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{config_file}: Port {text!r} is not between 1 and 65535")
    return int(text)


def _known_hosts(target: SshTarget, entry: dict[str, list[str]]) -> tuple[Path, ...]:
    if target.known_hosts is not None:
        return (target.known_hosts,)
    named = _text(entry, "userknownhostsfile")
    if named:
        return tuple(Path(name).expanduser() for name in named.split())
    return (Path.home() / ".ssh" / "known_hosts",)


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(_MAX_PASSWORD_NCHARS + 1)
        if len(line) > _MAX_PASSWORD_NCHARS:
            raise UsageError(f"--password-file {path}: its first line is longer than {_MAX_PASSWORD_NCHARS} characters")
        return line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {path}: cannot be read: {error}") from error
