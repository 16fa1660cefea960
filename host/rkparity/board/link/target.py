"""How the user names a board: `[user@]host[:port]`, `@FILE`, `adb:SERIAL`, `local:FOLDER`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import ConfigError, UsageError
from rkparity.io import read_json

_HOST = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True)
class SshTarget:
    """A board reached over SSH; None means "as ~/.ssh/config says, else the default".

    `jump` is a comma-separated list of `[user@]host[:port]`, first hop first. `password_file` holds the password in its
    first line.
    """

    host: str
    user: str | None = None
    port: int | None = None
    identity: Path | None = None
    password_file: Path | None = None
    jump: str | None = None
    known_hosts: Path | None = None
    accept_new_host_key: bool = False


@dataclass(frozen=True)
class AdbTarget:
    """A board reached through adb; an empty serial means the only device."""

    serial: str


@dataclass(frozen=True)
class LocalTarget:
    """This machine; `home` stands for the board's home directory."""

    home: Path | None


def parse_target(text: str) -> SshTarget | AdbTarget | LocalTarget:
    """Reads a board's name; UsageError when it is none, ConfigError when `@FILE` is not a board file."""
    if text.startswith("@"):
        return _read_board_file(Path(text[1:]))
    if text == "adb" or text.startswith("adb:"):
        return AdbTarget(text[4:])
    if text == "local" or text.startswith("local:"):
        return LocalTarget(Path(text[6:]) if text[6:] else None)
    match = _HOST.fullmatch(text)
    # A host that begins with a dash would be an option to ssh.
    if match is None or (match["host"] or match["v6"]).startswith("-") or (match["user"] or "").startswith("-"):
        raise UsageError(f"{text!r} is no board", hint="write [user@]host[:port], @FILE, adb:SERIAL or local:FOLDER")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"{text!r}: port {port} is not between 1 and 65535")
    check_host_name(match["host"] or match["v6"])
    return SshTarget(match["host"] or match["v6"], user=match["user"], port=port)


def check_host_name(host: str) -> None:
    """UsageError for a name that DNS cannot have (a part of more than 63 bytes, an empty one, no Unicode text)."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise UsageError(f"{host[:100]!r} is no host name: {error}") from error


def _read_board_file(path: Path) -> SshTarget:
    value = read_json(path, hint="is the virtual board running? `rkparity emulator start --board-file FILE`")
    if not isinstance(value.get("host"), str):
        raise ConfigError(f'{path}: a board file is a JSON object with at least "host"')
    for key, kind in (("user", str), ("port", int), ("identity", str), ("known_hosts", str)):
        if value.get(key) is not None and not isinstance(value[key], kind):
            raise ConfigError(f"{path}: {key} must be {'a number' if kind is int else 'text'}, not {value[key]!r}")
    identity, known_hosts = value.get("identity"), value.get("known_hosts")
    return SshTarget(
        value["host"],
        user=value.get("user"),
        port=value.get("port"),
        identity=(path.parent / identity) if identity else None,
        known_hosts=(path.parent / known_hosts) if known_hosts else None,
    )
