"""Board kits: the device agent with everything it needs for one architecture, found or put together on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity import __version__
from rkparity.errors import BoardError, DataError
from rkparity.runs.store import confined

SCHEMA = "rkparity.kit/1"
KITS_ENVIRONMENT = "RKPARITY_KITS"
_ARCHES = {"arm64": "aarch64", "armv8l": "armv7l", "armv7": "armv7l", "armhf": "armv7l", "amd64": "x86_64"}

_LAUNCHER = '''"""Starts the device agent of this kit with the compiled modules beside it."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
backend = os.path.join(here, "backends", "cp%d%d" % sys.version_info[:2])
sys.path[:0] = [here] + ([backend] if os.path.isdir(backend) else [])
sys.dont_write_bytecode = True

from rkparity_agent.__main__ import main  # noqa: E402

sys.exit(main())
'''


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


def find_kit(machine: str, *, scratch: Path) -> Kit:
    """The kit for a board's `uname -m`; for this machine's own architecture one is put together in `scratch`.

    Looked for in $RKPARITY_KITS, the installed package, and dist/kits of a checkout. Raises BoardError when there is
    none.
    """
    arch = normal_arch(machine)
    looked = []
    for folder in _kit_folders():
        looked.append(str(folder))
        for manifest in sorted(folder.glob("*/kit.json")):
            kit = read_kit(manifest.parent)
            if kit.arch == arch:
                return kit
    if arch == normal_arch(platform.machine()):
        return local_kit(scratch / "kit")
    raise BoardError(
        f"there is no board kit for {machine} (looked in {', '.join(looked)})",
        hint=f"build it with scripts/build-kit --arch {'armhf' if arch == 'armv7l' else arch}, or name its folder's "
        f"parent in {KITS_ENVIRONMENT}",
    )


def read_kit(path: Path) -> Kit:
    """Reads a kit folder and checks that every file is there; DataError when not."""
    manifest = path / "kit.json"
    try:
        value: Any = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{manifest}: cannot be read: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
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


def local_kit(dest: Path) -> Kit:
    """Puts a kit for this machine together in `dest`: the installed agent, its compiled module, cffi's backend.

    Raises BoardError when the compiled module is not installed.
    """
    spec = importlib.util.find_spec("rkparity_agent")
    backend = importlib.util.find_spec("_cffi_backend")
    if spec is None or spec.origin is None:
        raise BoardError("the device agent's package is not installed", hint="install rkparity again")
    package = Path(spec.origin).parent
    if not any(package.glob("_native*.so")):
        raise BoardError(
            f"{package}: the agent's compiled module is not built", hint="install rkparity, or run scripts/setup"
        )
    if backend is None or backend.origin is None:
        raise BoardError("cffi's backend module is not installed", hint="pip install cffi")
    if dest.exists():
        shutil.rmtree(dest)
    (dest / "rkparity_agent").mkdir(parents=True)
    for source in sorted(package.iterdir()):
        if source.suffix in (".py", ".so"):
            shutil.copyfile(source, dest / "rkparity_agent" / source.name)
    backends = dest / "backends" / f"cp{sys.version_info[0]}{sys.version_info[1]}"
    backends.mkdir(parents=True)
    shutil.copyfile(backend.origin, backends / Path(backend.origin).name)
    (dest / "agent.py").write_text(_LAUNCHER, encoding="utf-8")
    # Installed beside the interpreter, which need not be on PATH.
    runner = shutil.which("rkrun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if runner is not None:
        (dest / "bin").mkdir()
        shutil.copy(runner, dest / "bin" / "rkrun")
    files = {
        str(path.relative_to(dest)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dest.rglob("*"))
        if path.is_file()
    }
    digest = hashlib.sha256("".join(f"{name} {value}\n" for name, value in files.items()).encode()).hexdigest()
    value = {
        "schema": SCHEMA,
        "arch": normal_arch(platform.machine()),
        "version": __version__,
        "hash": digest,
        "files": files,
        "python": sys.executable,
    }
    (dest / "kit.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    return read_kit(dest)


def _kit_folders() -> Iterator[Path]:
    named = os.environ.get(KITS_ENVIRONMENT)
    if named:
        yield Path(named)
    board = Path(__file__).resolve().parents[1]
    yield board / "kits"
    # Run from the source tree, or installed into the checkout's own .venv as scripts/setup does.
    for checkout in (board.parents[2], Path(sys.prefix).parent):
        if (checkout / "pyproject.toml").is_file():
            yield checkout / "dist" / "kits"
