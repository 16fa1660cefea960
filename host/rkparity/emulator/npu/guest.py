"""What an Arm program needs to run on this machine: an emulator, an Arm C library, the stand-in driver."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rkparity.emulator.npu.library import VendorLibrary
from rkparity.errors import RkparityError

SYSROOT_VARIABLE = "RKPARITY_SYSROOT"
DRIVERS_VARIABLE = "RKPARITY_NPU_DRIVERS"
DRIVER_NAME = "librkparity_npu.so"
EXEC_NAME = "librkparity_guest.so"


# What `uname -m` says on Arm machines, in this module's words.
_HERE = {"aarch64": "aarch64", "arm64": "aarch64", "armv7l": "armv7l", "armv8l": "armv7l"}


@dataclass(frozen=True)
class Architecture:
    """A board's architecture: qemu's name, Debian's cross folder and packages, the C library's loader."""

    emulators: tuple[str, ...]
    cross_folder: Path
    cross_packages: str
    compiler_package: str
    loader: str


_ARCHITECTURES = {
    "aarch64": Architecture(
        ("qemu-aarch64-static", "qemu-aarch64"),
        Path("/usr/aarch64-linux-gnu"),
        "libc6-arm64-cross libstdc++6-arm64-cross",
        "gcc-aarch64-linux-gnu",
        "ld-linux-aarch64.so.1",
    ),
    "armv7l": Architecture(
        ("qemu-arm-static", "qemu-arm"),
        Path("/usr/arm-linux-gnueabihf"),
        "libc6-armhf-cross libstdc++6-armhf-cross",
        "gcc-arm-linux-gnueabihf",
        "ld-linux-armhf.so.3",
    ),
}


@dataclass(frozen=True)
class Guest:
    """How to run programs of the library's machine here. `emulator` is None on an Arm machine of the same kind."""

    library: VendorLibrary
    emulator: Path | None
    sysroot: Path
    driver: Path
    exec_library: Path

    def environment(self) -> dict[str, str]:
        """What the preloaded libraries read."""
        if self.emulator is None:
            return {"LD_PRELOAD": str(self.driver)}
        return {
            "RKPARITY_GUEST_EMULATOR": str(self.emulator),
            "RKPARITY_GUEST_SYSROOT": str(self.sysroot),
            "RKPARITY_GUEST_MACHINE": str(self.library.machine),
            "RKPARITY_GUEST_PRELOAD": str(self.driver),
            "RKPARITY_GUEST_SELF": str(self.exec_library),
            "LD_PRELOAD": str(self.exec_library),
        }


def find_guest(library: VendorLibrary, sysroot: Path | None = None) -> Guest:
    """Everything found, or RkparityError that names what to install.

    The sysroot: the one given, the one RKPARITY_SYSROOT names, or Debian's cross C library.
    """
    known = _ARCHITECTURES[library.arch]
    native = _HERE.get(platform.machine().lower()) == library.arch
    emulator = None if native else _emulator(known, library)
    if sysroot is None and not native:
        named = os.environ.get(SYSROOT_VARIABLE)
        sysroot = Path(named) if named else known.cross_folder
    if sysroot is not None:
        _check_sysroot(sysroot, known)
    return Guest(
        library,
        emulator,
        Path("/") if sysroot is None else sysroot.resolve(),
        _compiled(Path(library.arch) / DRIVER_NAME, known.compiler_package),
        _compiled(Path(EXEC_NAME), known.compiler_package),
    )


_UNAME = """#!/bin/sh
case "$1" in
-m) echo {arch} ;;
*) exec /bin/uname "$@" ;;
esac
"""
# Found before this machine's own, which is no program of the board.
_NO_PYTHON = """#!/bin/sh
echo "python3: this virtual board has no Python: its sysroot {sysroot} holds none" >&2
exit 127
"""


def install_tools(guest: Guest, folder: Path) -> None:
    """Puts the board's `uname` and `python3` into `folder`: what they say is of the board's machine."""
    _write_script(folder / "uname", _UNAME.format(arch=guest.library.arch))
    python = guest.sysroot / "usr" / "bin" / "python3"
    for name in ("python3", "python"):
        (folder / name).unlink(missing_ok=True)
        if python.exists():
            (folder / name).symlink_to(python)
        else:
            _write_script(folder / name, _NO_PYTHON.format(sysroot=guest.sysroot))


def _write_script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _emulator(known: Architecture, library: VendorLibrary) -> Path:
    for name in known.emulators:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise RkparityError(
        f"{library.path.name} is a library for {library.arch}, and {known.emulators[0]} is not installed",
        hint="on Debian and Ubuntu: apt-get install qemu-user-static " + known.cross_packages,
    )


def _check_sysroot(sysroot: Path, known: Architecture) -> None:
    """The loader, the C library and the C++ library that librknnrt is linked to must be there."""
    hint = (
        f"on Debian and Ubuntu: apt-get install {known.cross_packages}; or name a folder with a board's libraries in "
        f"{SYSROOT_VARIABLE} (scripts/qemu-sysroot makes one)"
    )
    if not sysroot.is_dir():
        raise RkparityError(f"{sysroot}: there are no Arm C libraries", hint=hint)
    folders = [sysroot / "lib", sysroot / "usr" / "lib"]
    folders += [path for folder in folders for path in folder.glob("*-linux-gnu*")]
    for name in (known.loader, "libc.so.6", "libstdc++.so.6"):
        if not any((folder / name).exists() for folder in folders):
            raise RkparityError(f"{sysroot}: holds no {name}", hint=hint)


def _compiled(place: Path, compiler_package: str) -> Path:
    """A compiled part of this installation, or from the folder RKPARITY_NPU_DRIVERS names."""
    named = os.environ.get(DRIVERS_VARIABLE)
    here = Path(__file__).resolve().parent
    installed = [Path(entry) / "rkparity" / "emulator" / "npu" for entry in sys.path if entry]
    folders = [Path(named)] if named else [folder / "lib" for folder in (here, *installed)]
    found = next((folder / place for folder in folders if (folder / place).is_file()), None)
    if found is None:
        raise RkparityError(
            f"the stand-in driver {place} is not in this installation of rkparity",
            hint="it is made when rkparity is installed where a cross compiler is: apt-get install "
            f"{compiler_package}, then install rkparity again; or name a folder that holds it in {DRIVERS_VARIABLE}",
        )
    return found.resolve()
