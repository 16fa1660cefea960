"""Puts a kit folder together: its files, the agent's launcher, the manifest; whoever compiled the binaries."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rkparity import __version__
from rkparity.board.install.kit import SCHEMA, Kit, normal_arch, read_kit
from rkparity.errors import BoardError, UsageError

LAUNCHER = '''"""Starts the agent of this kit: python3 agent.py COMMAND ...; see docs/agent.md of rkparity."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
backend = os.path.join(here, "backends", "cp%d%d" % sys.version_info[:2])
if os.path.isdir(backend):
    sys.path.insert(1, backend)
sys.dont_write_bytecode = True
if sys.version_info < (3, 8):
    sys.stdout.write(
        '{"event":"error","kind":"environment","message":"Python %d.%d is too old for the agent",'
        '"hint":"use Python 3.8 or later, or rkrun","exit_code":3}\\n' % sys.version_info[:2]
    )
    sys.exit(3)

from rkparity_agent.__main__ import main

sys.exit(main())
'''


def assemble(files: Mapping[str, Path], folder: Path, *, arch: str, version: str, python: str | None = None) -> Kit:
    """Copies `files` (place in the kit: file here) into `folder`, adds agent.py and kit.json, and reads it back.

    The same files make the same bytes, and the same hash. `python` is the interpreter that certainly fits, if one does.
    A kit that `folder` holds is replaced; UsageError when it holds something else.
    """
    if folder.exists():
        if not (folder / "kit.json").is_file():
            raise UsageError(f"{folder}: exists already and is no kit", hint="name another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for place, source in sorted(files.items()):
        to = folder / place
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to)
        to.chmod(0o755 if place.startswith("bin/") or place.endswith(".so") else 0o644)
    if any(place.startswith("rkparity_agent/") for place in files):
        _write(folder / "agent.py", LAUNCHER)
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    listing = "".join(f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    manifest: dict[str, object] = {
        "schema": SCHEMA,
        "arch": arch,
        "version": version,
        "hash": hashlib.sha256(listing.encode()).hexdigest()[:16],
        "files": hashes,
    }
    if python is not None:
        manifest["python"] = python
    _write(folder / "kit.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return read_kit(folder)


def local_kit(folder: Path) -> Kit:
    """Puts a kit for this machine together: the installed agent, its compiled module, cffi's backend, rkrun if there.

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
    files = {f"rkparity_agent/{path.name}": path for path in package.iterdir() if path.suffix in (".py", ".so")}
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    files[f"backends/{tag}/{Path(backend.origin).name}"] = Path(backend.origin)
    # Installed beside the interpreter, which need not be on PATH.
    runner = shutil.which("rkrun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if runner is not None:
        files["bin/rkrun"] = Path(runner)
    return assemble(files, folder, arch=normal_arch(platform.machine()), version=__version__, python=sys.executable)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
