"""The vendor's runtime library that a virtual board is to run: what it is, and whether it will do."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import UsageError

# e_machine of the ELF header.
MACHINES = {183: "aarch64", 40: "armv7l"}
_NEEDED = (b"rknn_init", b"rknn_destroy", b"rknn_query", b"rknn_run")
_VERSION = re.compile(rb"librknn(m?)rt version: *(\d+)\.(\d+)\.(\d+)[^\0\n]{0,80}")
# Before 1.3 the library logs and answers otherwise; 1.4.0 is the oldest that was seen to work on the stand-in.
_OLDEST = (1, 4, 0)
_FROM_BOARD = "give the librknnrt.so of your board or of the vendor's SDK (rknpu2/runtime/Linux/librknn_api/aarch64)"


@dataclass(frozen=True)
class VendorLibrary:
    """A librknnrt, by what its file says. `machine` is the ELF number, `arch` what `uname -m` says on such a board."""

    path: Path
    machine: int
    arch: str
    version: tuple[int, int, int]
    version_text: str
    is_mini: bool

    @property
    def driver_version(self) -> int:
        """What the stand-in driver says of itself, to fit the library: 803 is 0.8.3."""
        return 803 if self.version < (2, 0, 0) else 908

    def about(self) -> str:
        """One phrase for people."""
        name = "librknnmrt" if self.is_mini else "librknnrt"
        return f"the vendor's {name} {self.version_text} ({self.arch})"


def read_library(path: Path) -> VendorLibrary:
    """Looks at the library; UsageError when it is not one that a virtual board can run, and why."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint=_FROM_BOARD) from error
    if data[:4] != b"\x7fELF" or len(data) < 64:
        raise UsageError(f"{path}: is not a shared library", hint=_FROM_BOARD)
    machine = int(struct.unpack_from("<H", data, 18)[0])
    arch = MACHINES.get(machine)
    if arch is None:
        raise UsageError(
            f"{path}: is a library for another machine (ELF machine {machine}), not for 64-bit or 32-bit Arm",
            hint=_FROM_BOARD,
        )
    found = _VERSION.search(data)
    if found is None:
        raise UsageError(f"{path}: does not say which librknnrt it is; is it one?", hint=_FROM_BOARD)
    missing = [name.decode() for name in _NEEDED if b"\0" + name + b"\0" not in data]
    if missing:
        raise UsageError(f"{path}: does not export {', '.join(missing)}", hint=_FROM_BOARD)
    major, minor, patch = (int(found.group(number)) for number in (2, 3, 4))
    version = (major, minor, patch)
    if version < _OLDEST:
        raise UsageError(
            f"{path}: is version {major}.{minor}.{patch}; the stand-in NPU serves 1.4.0 and later",
            hint="update the board's runtime, or use the emulated runtime: leave --library out",
        )
    if found.group(1):
        raise UsageError(
            f"{path}: is the mini runtime of RV1103 and RV1106; the stand-in NPU serves librknnrt only",
            hint="use the emulated runtime: leave --library out",
        )
    return VendorLibrary(path.resolve(), machine, arch, version, f"{major}.{minor}.{patch}", bool(found.group(1)))
