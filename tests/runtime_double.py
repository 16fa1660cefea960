"""The test double of librknnrt: building it, telling it what to answer, reading what it was given."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import require

ROOT = Path(__file__).resolve().parent.parent

# A 3-channel image model of 30 pixels width: rows are 32 pixels apart in memory (as in evidence 160_b25_c3w30_*).
IMAGE_INPUT = "input x NHWC INT8 -4 0.0572583526 32 864 1,9,30,3"
IMAGE_OUTPUT = "output y NCHW INT8 9 0.0636600107 0 4608 1,5,9,30"
NATIVE_OUTPUT = "native_output y NC1HWC2 INT8 9 0.0636600107 0 8704 1,2,1,272,16"


def build_double(folder: Path, *, compiler: str = "cc", minimal: bool = False) -> Path:
    """Compiles the double into `folder`; `minimal` leaves out every optional function."""
    require(shutil.which(compiler), f"no C compiler ({compiler})")
    library = folder / ("librknnrt_minimal.so" if minimal else "librknnrt.so")
    subprocess.run(
        [compiler, "-std=gnu11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-I", str(ROOT / "csrc")]
        + (["-DRKDOUBLE_MINIMAL"] if minimal else [])
        + [str(ROOT / "tests" / "double" / "librknnrt_double.c"), "-o", str(library)],
        check=True,
    )
    return library


@dataclass(frozen=True)
class Double:
    """One configured double: `environment` makes a process use it, `record` is where it notes what it got."""

    library: Path
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / "record"

    @property
    def environment(self) -> dict[str, str]:
        return {"RKDOUBLE_CONFIG": str(self.folder / "double.conf"), "RKDOUBLE_RECORD": str(self.record)}

    @property
    def model(self) -> Path:
        path = self.folder / "model.rknn"
        path.write_bytes(b"RKNN")
        return path

    def configure(self, *lines: str) -> None:
        self.record.mkdir(exist_ok=True)
        (self.folder / "double.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def calls(self) -> list[str]:
        return (self.record / "calls.txt").read_text(encoding="utf-8").splitlines()

    def calls_of(self, *prefixes: str) -> list[str]:
        return [line for line in self.calls() if line.startswith(prefixes)]

    def received(self, name: str) -> bytes:
        return (self.record / f"{name}.bin").read_bytes()
