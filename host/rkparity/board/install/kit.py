"""Board kits: the device agent with everything it needs for one architecture, and how such a folder is read."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import DataError
from rkparity.io import read_json
from rkparity.runs.store import confined

SCHEMA = "rkparity.kit/1"
_ARCHES = {"arm64": "aarch64", "armv8l": "armv7l", "armv7": "armv7l", "armhf": "armv7l", "amd64": "x86_64"}


@dataclass(frozen=True)
class Kit:
    """A kit folder on this machine. `files` maps each file's relative path to its SHA-256.

    `python` is the interpreter a kit made from a running installation was made with: it certainly fits.
    """

    path: Path
    arch: str
    version: str
    hash: str
    files: dict[str, str]
    python: str | None = None

    @property
    def folder_name(self) -> str:
        """The kit's folder on a board."""
        return f"{self.version}-{self.hash[:16]}"

    @property
    def has_agent(self) -> bool:
        """Whether the kit has the Python agent."""
        return "agent.py" in self.files

    @property
    def has_runner(self) -> bool:
        """Whether the kit has rkrun."""
        return "bin/rkrun" in self.files

    def is_executable(self, name: str) -> bool:
        """Whether a file of the kit is a program."""
        return bool((self.path / name).stat().st_mode & stat.S_IXUSR)


def normal_arch(machine: str) -> str:
    """`uname -m` in the words kits use: aarch64, armv7l, x86_64."""
    return _ARCHES.get(machine.lower(), machine)


def read_kit(path: Path) -> Kit:
    """Reads a kit folder and checks that every file is there; DataError when not."""
    manifest = path / "kit.json"
    value = read_json(manifest, unreadable=DataError, damaged=DataError)
    if value.get("schema") != SCHEMA:
        raise DataError(
            f"{manifest}: is not a kit of schema {SCHEMA}", hint="build the kit again with scripts/build-kit"
        )
    files = value.get("files")
    texts = [str(value.get(key) or "") for key in ("arch", "version", "hash")]
    if not isinstance(files, dict) or not all(texts):
        raise DataError(f"{manifest}: lacks arch, version, hash or files")
    for name, digest in files.items():
        confined(name, source=str(manifest))
        if not (path / name).is_file() or not isinstance(digest, str):
            raise DataError(f"{path}: the kit lacks {name}", hint="build the kit again with scripts/build-kit")
    return Kit(path, normal_arch(texts[0]), texts[1], texts[2], dict(files), value.get("python"))
