"""The emulated runtime on this machine: the library in a folder of its own, and the server that gives it values."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rkparity.emulator.server import LayerValueServer
from rkparity.emulator.values import ValueSource
from rkparity.errors import RkparityError, UsageError
from rkparity.model import Model

LIBRARY_NAME = "librknnrt.so"
MINI_LIBRARY_NAME = "librknnmrt.so"
LIBRARY_VARIABLE = "RKPARITY_EMULATOR_LIBRARY"
VERSION_VARIABLE = "RKPARITY_EMULATOR_VERSION"
# What csrc/emulator/version.c knows.
VERSIONS = ("1.6.0", "1.5.2", "mini-2.3.2")
_MINI_CHIPS = ("rv1103", "rv1106")
# Read by the library; what is set when a board is started holds for all its programs.
SWITCHES = tuple(f"RKPARITY_EMULATOR_{name}" for name in ("FAULTS", "CACHE", "CRASH", "PLATFORM"))
_SOCKET_FILE = "librknnrt.emulator"


class Models(Protocol):
    """What the runtime serves; `rkparity.emulator.catalogue.ModelCatalogue` is the real one."""

    def prepare(self) -> None:
        """Readies what can be readied before the first rknn_init."""

    def open(self, sha256: str) -> tuple[Model, ValueSource]:
        """The model whose `.rknn` bytes have this digest."""

    def close(self) -> None:
        """Frees everything."""


def runtime_library() -> Path:
    """The emulated librknnrt of this installation, or the one RKPARITY_EMULATOR_LIBRARY names.

    When this module runs from a source tree, which has no compiled files, an installed rkparity's library serves.
    """
    named = os.environ.get(LIBRARY_VARIABLE)
    here = Path(__file__).resolve().parent
    installed = [Path(entry) / "rkparity" / "emulator" for entry in sys.path if entry]
    candidates = [Path(named)] if named else [folder / "lib" / LIBRARY_NAME for folder in (here, *installed)]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise RkparityError(
            f"{candidates[0]}: the emulated runtime is not there",
            hint="install rkparity with pip (its build compiles the library), or name a built one with "
            f"{LIBRARY_VARIABLE}",
        )
    return found


def runtime_version(wanted: str | None = None, chip: str = "") -> str:
    """Which runtime to emulate: the wanted one, the one RKPARITY_EMULATOR_VERSION names, or the chip's.

    RV1103 and RV1106 have the mini runtime. UsageError when a version is not one of VERSIONS.
    """
    version = wanted or os.environ.get(VERSION_VARIABLE) or ("mini-2.3.2" if chip in _MINI_CHIPS else VERSIONS[0])
    if version not in VERSIONS:
        raise UsageError(f"runtime {version!r} is not emulated", hint="choose one of " + ", ".join(VERSIONS))
    return version


class EmulatedRuntime:
    """The library in `folder`/lib and its server; a context manager. `models` is closed with it.

    `version` and `chip` decide which runtime is emulated, see `runtime_version`.
    """

    def __init__(self, models: Models, folder: Path, *, version: str | None = None, chip: str = "") -> None:
        self._models = models
        self._version = runtime_version(version, chip)
        self.library_folder = folder / "lib"
        self.library = self.library_folder / LIBRARY_NAME
        source = runtime_library()
        self.library_folder.mkdir(parents=True, exist_ok=True)
        # librknnmrt is a library of its own: programs for RV1103 and RV1106 link that name.
        for file in (source, source.with_name(MINI_LIBRARY_NAME)):
            if file == source or file.is_file():
                target = self.library_folder / (LIBRARY_NAME if file == source else file.name)
                shutil.copyfile(file, target)
                target.chmod(0o755)
        self._server = LayerValueServer(models.open)

    def __enter__(self) -> EmulatedRuntime:
        try:
            self._models.prepare()
            self._server.__enter__()
            (self.library_folder / _SOCKET_FILE).write_text(f"{self._server.socket_path}\n", encoding="utf-8")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and frees the models."""
        self._server.close()
        self._models.close()

    def environment(self) -> Mapping[str, str]:
        """What a program needs to load this library instead of a board's."""
        return {
            "LD_LIBRARY_PATH": str(self.library_folder),
            "RKPARITY_LIBRKNNRT": str(self.library),
            VERSION_VARIABLE: self._version,
            **{name: os.environ[name] for name in SWITCHES if os.environ.get(name)},
        }
