"""The vendor's runtime for tests: its library, the stand-in driver, Arm programs; each required in CI, else skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulator_bench import ROOT, compile_library

from rkparity.emulator.npu.guest import DRIVER_NAME, DRIVERS_VARIABLE, EXEC_NAME
from support import require

COMPILER, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
# A librknnrt of the user's, for every test here.
LIBRARY_VARIABLE = "RKPARITY_VENDOR_LIBRARY"
WHEEL = "rknpu==1.5.2"
STRICT = ("-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@pytest.fixture(scope="session")
def vendor_library() -> Path:
    """The library that RKPARITY_VENDOR_LIBRARY names, or the one inside a PyPI wheel, kept in the temporary folder."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return Path(named)
    folder = Path(tempfile.gettempdir()) / "rkparity-vendor-library-1.5.2"
    library = folder / "librknnrt.so"
    if not library.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
            command += ["--platform", "manylinux2014_aarch64", "--python-version", "3.11", "--dest", scratch, WHEEL]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            wheels = list(Path(scratch).glob("*.whl"))
            require(wheels, f"{WHEEL} cannot be downloaded: {done.stderr[-200:]}")
            with zipfile.ZipFile(wheels[0]) as wheel:
                inside = next(name for name in wheel.namelist() if "/librknnrt" in name)
                folder.mkdir(exist_ok=True)
                part = folder / f"part-{os.getpid()}"
                part.write_bytes(wheel.read(inside))
                part.replace(library)
    return library


def compiled(compiler: str, sources: list[Path], target: Path, *options: str) -> Path:
    """Builds `target`; an assertion shows what the compiler said."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [compiler, *STRICT, f"-I{ROOT / 'csrc'}", *map(str, sources), "-o", str(target), *options]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def compile_driver(compiler: str, target: Path) -> Path:
    """The stand-in driver."""
    baseline = ["-include", str(ROOT / "csrc" / "runtime" / "glibc_baseline.h")]
    shared = ["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--no-as-needed", "-l:libdl.so.2", "-lpthread"]
    return compiled(compiler, sorted((ROOT / "csrc" / "npu").glob("*.c")), target, *baseline, *shared)


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stand-in driver for aarch64 and the exec library, from the sources; what `find_guest` finds meanwhile."""
    for tool in (COMPILER, QEMU, "cc"):
        require(shutil.which(tool), f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("drivers")
    compile_driver(COMPILER, folder / "aarch64" / DRIVER_NAME)
    compiled(
        "cc",
        [ROOT / "csrc" / "npu" / "guest" / "exec.c"],
        folder / EXEC_NAME,
        "-shared",
        "-fPIC",
        "-ldl",
        "-fvisibility=hidden",
    )
    before = os.environ.get(DRIVERS_VARIABLE)
    os.environ[DRIVERS_VARIABLE] = str(folder)
    yield folder
    os.environ.pop(DRIVERS_VARIABLE) if before is None else os.environ.__setitem__(DRIVERS_VARIABLE, before)


@pytest.fixture(scope="session")
def rkrun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C runner for aarch64."""
    require(shutil.which(COMPILER), f"{COMPILER} is not installed")
    sources = [path for part in ("runner", "runtime") for path in sorted((ROOT / "csrc" / part).glob("*.c"))]
    sources.append(ROOT / "csrc" / "kernels" / "convert.c")
    target = tmp_path_factory.mktemp("rkrun") / "rkrun"
    return compiled(COMPILER, sources, target, "-ldl", "-lm", "-lpthread")


@pytest.fixture(scope="session")
def arm_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a librknnrt.so to link Arm programs to; what they run with is the board's."""
    require(shutil.which(COMPILER), f"{COMPILER} is not installed")
    return compile_library(tmp_path_factory.mktemp("stub") / "librknnrt.so", COMPILER, ("-O0",)).parent
