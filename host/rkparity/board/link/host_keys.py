"""Whether a board's SSH host key is the one known: unknown keys need the user's word, changed keys are refused."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import ConfigError, HostKeyError

if TYPE_CHECKING:
    import paramiko

SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")


class KnownHosts:
    """The keys of the user's known_hosts files and the system's."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._keys: list[tuple[str, paramiko.PKey]] = []
        self._revoked: set[str] = set()
        for path in (*files, SYSTEM_KNOWN_HOSTS):
            if not path.is_file():
                continue
            try:
                self._load(path)
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: cannot be read as a known_hosts file: {error}") from error

    def key_types(self, entry: str) -> tuple[str, ...]:
        """The types of the keys known for `entry`, so that the server is asked for one of these first."""
        return tuple(dict.fromkeys(key.get_name() for key in self._lookup(entry)))

    def check(self, entry: str, key: paramiko.PKey, *, accept_new: bool) -> None:
        """Returns when `key` may be trusted for `entry` (`host` or `[host]:port`), remembering a new one if told to.

        Raises HostKeyError naming the key's fingerprint.
        """
        fingerprint = fingerprint_of(key)
        if key.get_base64() in self._revoked:
            raise HostKeyError(f"{entry}: the host key {fingerprint} is marked as revoked in known_hosts")
        known = self._lookup(entry)
        if known:
            if any(mine == key for mine in known):
                return
            where = ", ".join(str(path) for path in self._files)
            known_text = ", ".join(sorted(fingerprint_of(mine) for mine in known))
            raise HostKeyError(
                f"{entry}: the host key has CHANGED: the board shows {key.get_name()} {fingerprint}, "
                f"{where} has {known_text}",
                hint=f"a reinstalled board, or someone in between; if sure: ssh-keygen -R '{entry}', then again",
            )
        if not accept_new:
            raise HostKeyError(
                f"{entry}: unknown host key {key.get_name()} {fingerprint}",
                hint="compare it on the board (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add "
                "--accept-new-host-key, or log in once with ssh",
            )
        self._remember(entry, key)

    def _remember(self, entry: str, key: paramiko.PKey) -> None:
        path = self._files[0]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ends_in_line = not path.exists() or path.stat().st_size == 0 or path.read_bytes().endswith(b"\n")
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{'' if ends_in_line else chr(10)}{entry} {key.get_name()} {key.get_base64()}\n")
        except OSError as error:
            raise ConfigError(f"{path}: the new host key cannot be remembered: {error.strerror}") from error
        self._keys.append((entry, key))

    def _load(self, path: Path) -> None:
        """Reads line by line: paramiko's own reader stops at `@revoked` and `@cert-authority` lines."""
        from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if not fields or fields[0].startswith("#"):
                continue
            if fields[0].startswith("@"):
                if fields[0] == "@revoked" and len(fields) >= 4:
                    self._revoked.add(fields[3])
                continue
            try:
                entry = HostKeyEntry.from_line(" ".join(fields), number)
            except InvalidHostKey:
                # As ssh does: a line that cannot be read trusts nobody.
                continue
            if entry is not None and entry.hostnames and entry.key is not None:
                self._keys += [(name, entry.key) for name in entry.hostnames]

    def _lookup(self, entry: str) -> list[paramiko.PKey]:
        from paramiko import HostKeys

        return [
            key
            for name, key in self._keys
            if name == entry or (name.startswith("|1|") and HostKeys.hash_host(entry, name) == name)
        ]


def entry_name(host: str, port: int) -> str:
    """The name known_hosts files use for a host."""
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint_of(key: paramiko.PKey) -> str:
    """`SHA256:...` as ssh prints it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
