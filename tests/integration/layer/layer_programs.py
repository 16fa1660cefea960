"""Builds the validation layer, a small runtime and programs for one target; runs them with and without the layer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from rkparity.trace import Trace, read_traces
from support import require

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "tests" / "c" / "layer"


@dataclass(frozen=True)
class Target:
    """A way to build: compiler prefix, CMake's processor, sanitizers, and what runs the programs."""

    name: str
    prefix: str = ""
    processor: str = ""
    sanitize: str = ""
    runner: tuple[str, ...] = ()

    @property
    def compiler(self) -> str:
        return f"{self.prefix}gcc"


NATIVE = Target("native")
ADDRESS = Target("address", sanitize="address,undefined")
THREAD = Target("thread", sanitize="thread")
AARCH64 = Target(
    "aarch64", "aarch64-linux-gnu-", "aarch64", runner=("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu")
)
ARMHF = Target("armhf", "arm-linux-gnueabihf-", "armv7l", runner=("qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"))


@dataclass(frozen=True)
class Done:
    """A finished program."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Kit:
    """Everything built for one target. `runtime` and `minimal` are folders that hold a librknnrt.so."""

    target: Target
    layer: Path
    runtime: Path
    minimal: Path
    linked: Path
    opening: Path
    small: Path
    preloads: tuple[str, ...] = field(default=())

    def run(
        self,
        program: Path,
        *arguments: str,
        trace: Path | None = None,
        preload: bool = True,
        library_path: Path | None = None,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Done:
        """Runs a program; with `trace`, through the layer, which writes there."""
        own = {"LD_LIBRARY_PATH": str(library_path or self.runtime), "ASAN_OPTIONS": "detect_leaks=0"}
        preloads = list(self.preloads)
        if trace is not None:
            trace.mkdir(exist_ok=True)
            own["RKPARITY_TRACE_DIR"] = str(trace)
            preloads += [str(self.layer)] if preload else []
        if preloads:
            own["LD_PRELOAD"] = " ".join(preloads)
        own.update(environment or {})
        command = [str(program), *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RKPARITY_", "LD_"))}
        if self.target.runner:
            # qemu itself must not be given the variables of the program it runs.
            pairs = [part for name, value in own.items() for part in ("-E", f"{name}={value}")]
            command = [*self.target.runner, *pairs, *command]
            own = {}
        done = subprocess.run(
            command,
            env={**inherited, **own},
            capture_output=True,
            text=True,
            errors="replace",
            cwd=cwd,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def trace(self, program: Path, *arguments: str, trace: Path, **options: object) -> Trace:
        """Runs a program that must succeed and reads its only trace."""
        done = self.run(program, *arguments, trace=trace, **options)  # type: ignore[arg-type]
        assert done.code == 0, done
        (found,) = read_traces(trace)
        return found


def build_kit(target: Target, folder: Path) -> Kit:
    """Builds the layer by its CMakeLists.txt and the programs by hand."""
    require(shutil.which(target.compiler), f"no {target.compiler}")
    require(shutil.which("cmake"), "no cmake")
    require(not target.runner or shutil.which(target.runner[0]), f"no {' '.join(target.runner[:1])}")
    build = folder / "build"
    options = [f"-DCMAKE_C_COMPILER={target.compiler}", "-DCMAKE_BUILD_TYPE=Release", "-DRKPARITY_BUILD_MODULE=OFF"]
    if target.processor:
        options += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={target.processor}"]
    if target.sanitize:
        options.append(f"-DCMAKE_C_FLAGS=-g -fsanitize={target.sanitize} -fno-sanitize-recover=undefined")
    _run(["cmake", "-S", str(ROOT), "-B", str(build), *options])
    _run(["cmake", "--build", str(build), "--target", "rkparity_layer"])
    for name in ("runtime", "minimal"):
        (folder / name).mkdir()
    common = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "csrc")]
    if target.sanitize:
        common.append(f"-fsanitize={target.sanitize}")
    shared = ["-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-soname,librknnrt.so"]
    runtime, minimal = folder / "runtime" / "librknnrt.so", folder / "minimal" / "librknnrt.so"
    plain, app = str(SOURCES / "plain_runtime.c"), str(SOURCES / "app.c")
    _run([target.compiler, *common, *shared, plain, "-o", str(runtime)])
    _run([target.compiler, *common, *shared, "-DPLAIN_MINIMAL", '-DPLAIN_NAME="minimal"', plain, "-o", str(minimal)])
    libraries = ["-lpthread", "-ldl"]
    linked, opening, small = folder / "app_linked", folder / "app_opening", folder / "app_small"
    _run([target.compiler, *common, app, "-o", str(linked), str(runtime), *libraries])
    _run([target.compiler, *common, "-DAPP_DLOPEN", app, "-o", str(opening), *libraries])
    _run([target.compiler, *common, "-DAPP_MINIMAL", app, "-o", str(small), str(minimal), *libraries])
    preloads: tuple[str, ...] = ()
    if target.sanitize:
        name = "libasan.so" if "address" in target.sanitize else "libtsan.so"
        preloads = (_run([target.compiler, f"-print-file-name={name}"]).strip(),)
    layer = build / "csrc" / "layer" / "librkparity_layer.so"
    return Kit(target, layer, runtime.parent, minimal.parent, linked, opening, small, preloads)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def without_addresses(text: str) -> str:
    """A trace's text without what differs from run to run: addresses, times, threads, processes."""
    text = re.sub(r'"0x[0-9a-f]+"', '"0x"', text)
    return re.sub(r'"(t_ns|unix_ns|dur_ns|tid|pid|ppid|pointer_bits)":\d+', r'"\1":0', text)
