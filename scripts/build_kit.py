"""Builds a board kit: agent, compiled module, cffi's backends and rkrun in one folder and one tar; see docs/agent.md.

The binaries must load on old boards, so symbols that newer glibc versions renamed are bound to their first versions and
the result is checked with objdump. The same sources and compiler give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rkparity import __version__
from rkparity.board.install.build_kit import assemble
from rkparity.errors import RkparityError

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "device" / "rkparity_agent"
# Each Python's newest cffi that has a wheel for it; the module runs with all of them.
CFFI = {"3.8": "1.17.1", "3.9": "2.0.0", "3.10": "2.1.1", "3.11": "2.1.1", "3.12": "2.1.1", "3.13": "2.1.1"}


class KitError(Exception):
    """A kit that cannot be built; the message says what is missing."""


@dataclass(frozen=True)
class Target:
    """A kind of board: `machine` is what `uname -m` says there, `glibc` the oldest glibc the kit may need."""

    machine: str
    prefix: str
    glibc: tuple[int, int]
    first_version: str
    wheel_platforms: tuple[str, ...]
    debian_packages: str


TARGETS = {
    "aarch64": Target(
        "aarch64",
        "aarch64-linux-gnu-",
        (2, 17),
        "GLIBC_2.17",
        ("manylinux2014_aarch64", "manylinux_2_17_aarch64"),
        "gcc-aarch64-linux-gnu",
    ),
    "armhf": Target("armv7l", "arm-linux-gnueabihf-", (2, 28), "GLIBC_2.4", (), "gcc-arm-linux-gnueabihf"),
    "x86_64": Target(
        "x86_64",
        "x86_64-linux-gnu-",
        (2, 17),
        "GLIBC_2.2.5",
        ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
        "gcc binutils",
    ),
}


def run(arguments: list[str], what: str) -> str:
    """Runs a tool; KitError with the end of its output when it fails."""
    try:
        done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError as error:
        raise KitError(f"{what}: {arguments[0]} is not installed") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise KitError(f"{what} failed:\n{tail}")
    return done.stdout


def compile_binaries(target: Target, build: Path, with_module: bool) -> dict[str, Path]:
    """Cross-compiles rkrun, the validation layer and, if wanted, the Python module; their paths by place in the kit."""
    compiler = shutil.which(f"{target.prefix}gcc")
    if compiler is None:
        raise KitError(f"{target.prefix}gcc is not installed; on Debian: apt-get install {target.debian_packages}")
    link = f"-nostartfiles {' '.join(start_files(target, compiler, build))}"
    baseline = ROOT / "csrc" / "runtime" / "glibc_baseline.h"
    configure = [
        "cmake",
        "-S",
        str(ROOT),
        "-B",
        str(build),
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={target.machine}",
        f"-DCMAKE_C_COMPILER={compiler}",
        f"-DCMAKE_C_FLAGS=-include {baseline} -ffile-prefix-map={ROOT}=. -ffile-prefix-map={build}=build",
        f"-DCMAKE_EXE_LINKER_FLAGS={link} -s",
        "-DCMAKE_MODULE_LINKER_FLAGS=-s",
        # Before glibc 2.34 dlopen was in libdl, which then must be asked for.
        "-DCMAKE_C_STANDARD_LIBRARIES=-Wl,--no-as-needed -l:libdl.so.2 -Wl,--as-needed",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
        f"-DRKPARITY_BUILD_MODULE={'ON' if with_module else 'OFF'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        # Cross-compiling, CMake does not ask the interpreter where its headers are.
        f"-DPython3_INCLUDE_DIR={sysconfig.get_path('include')}",
    ]
    run(configure, "cmake")
    names = ["rkrun", "rkparity_layer"] + (["_native"] if with_module else [])
    run(["cmake", "--build", str(build), "--parallel", "2", "--target", *names], "the build")
    binaries = {
        "bin/rkrun": build / "csrc" / "runner" / "rkrun",
        "lib/librkparity_layer.so": build / "csrc" / "layer" / "librkparity_layer.so",
    }
    if with_module:
        binaries["rkparity_agent/_native.abi3.so"] = build / "csrc" / "cffi" / "_native.abi3.so"
    return binaries


def start_files(target: Target, compiler: str, build: Path) -> list[str]:
    """The C start files with __libc_start_main bound to its first version.

    glibc 2.34 gave it a new version; the old one takes the same arguments, and a program without constructors needs
    neither crtbegin.o nor crtend.o.
    """
    found = {
        name: run([compiler, f"-print-file-name={name}"], "the compiler").strip()
        for name in ("Scrt1.o", "crti.o", "crtn.o")
    }
    build.mkdir(parents=True, exist_ok=True)
    patched = build / "start.o"
    run(
        [
            f"{target.prefix}objcopy",
            f"--redefine-sym=__libc_start_main=__libc_start_main@{target.first_version}",
            found["Scrt1.o"],
            str(patched),
        ],
        "objcopy",
    )
    return [str(patched), found["crti.o"], found["crtn.o"]]


def check_glibc(target: Target, binary: Path) -> tuple[int, int]:
    """The newest glibc version a binary needs; KitError when it is newer than the target allows."""
    table = run([f"{target.prefix}objdump", "-T", str(binary)], "objdump")
    needed = [
        (int(major), int(minor), line)
        for line in table.splitlines()
        for major, minor in re.findall(r"\*UND\*.*GLIBC_(\d+)\.(\d+)", line)
    ]
    newest = max(needed, default=(0, 0, ""))
    if newest[:2] > target.glibc:
        symbols = sorted({line.split()[-1] for major, minor, line in needed if (major, minor) > target.glibc})
        raise KitError(
            f"{binary.name} needs glibc {newest[0]}.{newest[1]}, allowed is {target.glibc[0]}.{target.glibc[1]}: "
            + ", ".join(symbols)
        )
    return newest[:2]


def fetch_backends(target: Target, scratch: Path) -> dict[str, Path]:
    """cffi's backend module for each Python, from the wheels on PyPI; returns their paths by place in the kit."""
    found: dict[str, Path] = {}
    for python, version in CFFI.items():
        folder = scratch / python
        platforms = [option for name in target.wheel_platforms for option in ("--platform", name)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", *platforms, "--python-version", python, "--dest", str(folder)]
        run([*command, f"cffi=={version}"], f"pip download of cffi {version} for Python {python}")
        tag = "cp" + python.replace(".", "")
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                base = name.rsplit("/", 1)[-1]
                if name.startswith("_cffi_backend") and name.endswith(".so"):
                    found[f"backends/{tag}/{base}"] = unpack(archive, name, folder)
                elif base in ("LICENSE", "LICENSE.txt", "AUTHORS"):
                    found[f"backends/{base}.cffi"] = unpack(archive, name, folder)
    return found


def unpack(archive: zipfile.ZipFile, name: str, folder: Path) -> Path:
    """One file of a wheel, written under its base name."""
    path = folder / name.rsplit("/", 1)[-1]
    path.write_bytes(archive.read(name))
    return path


def agent_files() -> dict[str, Path]:
    """The agent's Python files by place in the kit."""
    return {f"rkparity_agent/{path.name}": path for path in sorted(AGENT.glob("*.py"))}


def pack(folder: Path, archive: Path) -> None:
    """The kit as a tar whose bytes depend on its content only."""
    partial = archive.with_suffix(".part")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            info = tar.gettarinfo(str(path), path.relative_to(folder).as_posix())
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            if path.is_file():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    partial.replace(archive)


def build(arch: str, out: Path) -> Path:
    """Builds the kit for `arch` into `out`/`arch` and its tar beside it; returns the folder."""
    target = TARGETS[arch]
    with_module = bool(target.wheel_platforms)
    with tempfile.TemporaryDirectory(prefix="rkparity-kit-") as name:
        scratch = Path(name)
        files = compile_binaries(target, scratch / "build", with_module)
        for place, binary in files.items():
            major, minor = check_glibc(target, binary)
            print(f"{arch}: {place}: {binary.stat().st_size} bytes, needs glibc {major}.{minor}")
        if with_module:
            files.update(agent_files())
            files.update(fetch_backends(target, scratch / "wheels"))
        else:
            print(f"{arch}: no cffi backend for this architecture on PyPI: the kit holds rkrun and the layer only")
        out.mkdir(parents=True, exist_ok=True)
        kit = assemble(files, out / arch, arch=target.machine, version=__version__)
    archive = out / f"rkparity-kit-{arch}-{kit.version}.tar"
    pack(out / arch, archive)
    print(f"{arch}: {out / arch} and {archive} ({archive.stat().st_size} bytes), hash {kit.hash}")
    return out / arch


def main() -> int:
    """Parses the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/build-kit", description="Builds a board kit.")
    parser.add_argument("--arch", required=True, choices=sorted(TARGETS))
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "kits", help="default: dist/kits")
    arguments = parser.parse_args()
    try:
        build(arguments.arch, arguments.out)
    except (KitError, RkparityError) as error:
        print(f"build-kit: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
