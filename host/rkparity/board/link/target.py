"""How the user names a board: `[user@]host[:port]`, `@FILE`, `adb:SERIAL`, `local:FOLDER`; and options beside it."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from rkparity.board.link.transport import Transport

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


def add_board_options(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    """Adds the options every command that goes to a board has."""
    explanation = (
        "[user@]host[:port] (names of ~/.ssh/config work), @FILE written by `rkparity emulator start`, "
        "adb: or adb:SERIAL, local: or local:FOLDER for this machine"
    )
    if positional:
        parser.add_argument("board", metavar="BOARD", help=explanation)
    else:
        parser.add_argument("--board", metavar="BOARD", help=explanation)
    group = parser.add_argument_group("connection")
    group.add_argument("--identity", type=Path, metavar="FILE", help="private key to log in with, and no other")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="file whose first line is the password")
    group.add_argument("--jump", metavar="[USER@]HOST[:PORT]", help="go through this host; several: comma-separated")
    group.add_argument(
        "--known-hosts", type=Path, metavar="FILE", help="host keys to trust (default: ~/.ssh/known_hosts)"
    )
    group.add_argument(
        "--accept-new-host-key",
        action="store_true",
        help="trust and remember the key of a board never seen before (a changed key is always refused)",
    )
    group.add_argument(
        "--work-dir",
        metavar="DIR",
        help="folder on the board for the agent and run folders (default: ~/.cache/rkparity)",
    )


def target_of(arguments: argparse.Namespace) -> SshTarget | AdbTarget | LocalTarget:
    """The board that the parsed options name; UsageError or ConfigError when they cannot be used."""
    if not arguments.board:
        raise UsageError("no board given", hint="add --board [user@]host[:port]")
    target = parse_target(arguments.board)
    if not isinstance(target, SshTarget):
        given = [name for name in ("identity", "password_file", "jump", "known_hosts") if getattr(arguments, name)]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} has no meaning for {arguments.board}")
        return target
    for name in ("identity", "password_file"):
        path: Path | None = getattr(arguments, name)
        if path is not None and not path.is_file():
            raise UsageError(f"--{name.replace('_', '-')} {path}: no such file")
    return replace(
        target,
        identity=arguments.identity or target.identity,
        known_hosts=arguments.known_hosts or target.known_hosts,
        password_file=arguments.password_file,
        jump=arguments.jump,
        accept_new_host_key=arguments.accept_new_host_key,
    )


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
    return SshTarget(match["host"] or match["v6"], user=match["user"], port=port)


def connect(target: SshTarget | AdbTarget | LocalTarget) -> Transport:
    """Opens the way to the board; raises as the transport of that kind does."""
    if isinstance(target, SshTarget):
        from rkparity.board.link.ssh import SshTransport

        return SshTransport.connect(target)
    if isinstance(target, AdbTarget):
        from rkparity.board.link.adb import AdbTransport

        return AdbTransport.connect(target.serial)
    from rkparity.board.link.local import LocalTransport

    return LocalTransport(target.home)


def _read_board_file(path: Path) -> SshTarget:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}",
            hint="is the virtual board running? `rkparity emulator start --board-file FILE`",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not a board file: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("host"), str):
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
