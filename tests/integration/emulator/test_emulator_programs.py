"""Unmodified C and C++ programs on the emulated library: natively, sanitized, for aarch64 and armhf under qemu."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from emulator_bench import DATA, ROOT, CountingModels, compile_library

from support import require

PROGRAMS = Path(__file__).parent / "programs"
# Output y counts 0, 1, ... in int8, the last of 1350 is 69; zp 9, scale 0.06366 (see CountingSource).
SHAPES_EXPECTED = (
    "27x60: 8100 values, last 99, equal\n18x30: 2700 values, last 99, equal\n9x30: 1350 values, last 149, equal\n"
)
EXPECTED = "inputs 1 outputs 1 first -0.57294 last 3.8196 differing 0\n"


def compile_program(source: Path, target: Path, library: Path, compiler: str, options: Sequence[str]) -> Path:
    command = [
        compiler,
        *options,
        f"-I{ROOT / 'csrc'}",
        str(source),
        "-o",
        str(target),
        f"-L{library.parent}",
        "-lrknnrt",
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def start(command: Sequence[str], library: Path, environment: Mapping[str, str] | None = None) -> Any:
    return subprocess.run(
        command,
        env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def model(models: Path) -> str:
    return str(models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn")


@pytest.mark.parametrize("cache", ["0", "1"])
def test_c_program(
    cache: str, library_path: Path, counting_models: Any, served: Any, model: str, tmp_path: Path
) -> None:
    """It synchronises its memories, so that it works with a cache as well."""
    program = compile_program(PROGRAMS / "general_api.c", tmp_path / "app", library_path, "cc", ["-Wall", "-Werror"])
    with served(counting_models.open):
        done = start([str(program), model, "3"], library_path, {"RKPARITY_EMULATOR_CACHE": cache})
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr


def test_cpp_program(library_path: Path, counting_models: Any, served: Any, model: str, tmp_path: Path) -> None:
    require(shutil.which("c++"), "no C++ compiler")
    program = compile_program(
        PROGRAMS / "demo.cpp", tmp_path / "app", library_path, "c++", ["-std=c++11", "-Wall", "-Werror"]
    )
    with served(counting_models.open):
        done = start([str(program), model], library_path)
    assert (done.returncode, done.stdout) == (0, "1.6.0 (rkparity emulated runtime) 1350 bytes\n"), done.stderr


def test_program_without_a_server_gets_an_error(library_path: Path, model: str, tmp_path: Path) -> None:
    program = compile_program(PROGRAMS / "general_api.c", tmp_path / "app", library_path, "cc", [])
    done = start([str(program), model, "1"], library_path, {"RKPARITY_EMULATOR_SOCKET": "/nowhere"})
    assert done.returncode == 1
    assert "the emulator's server does not answer" in done.stderr


@pytest.mark.parametrize("level", ["0", "5"])
def test_sanitizers_and_leaks(
    level: str, counting_models: Any, served: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(shutil.which("cc"), "no C compiler")
    options = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    library = compile_library(tmp_path / "librknnrt.so", "cc", options)
    program = compile_program(PROGRAMS / "general_api.c", tmp_path / "app", library, "cc", options)
    with served(counting_models.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", level)
        done = start([str(program), model, "50"], library, {"ASAN_OPTIONS": "detect_leaks=1"})
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr[-3000:]


def test_c_program_that_changes_shapes(served: Any, tmp_path: Path) -> None:
    """1,020 runs under the sanitizers, with a leak check."""
    require(shutil.which("cc"), "no C compiler")
    options = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    library = compile_library(tmp_path / "librknnrt.so", "cc", options)
    program = compile_program(
        PROGRAMS / "dynamic_shapes.c", tmp_path / "app", library, "cc", [*options, "-Wall", "-Werror"]
    )
    with served(CountingModels(DATA).open):
        for cache in ("0", "1"):
            environment = {"RKPARITY_EMULATOR_CACHE": cache, "ASAN_OPTIONS": "detect_leaks=1"}
            done = start([str(program), str(DATA / "dynamic_input.rknn"), "170"], library, environment)
            assert (done.returncode, done.stdout) == (0, SHAPES_EXPECTED), done.stderr[-3000:]


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("compiler", "emulator", "sysroot"),
    [
        ("aarch64-linux-gnu-gcc", "qemu-aarch64-static", "/usr/aarch64-linux-gnu"),
        ("arm-linux-gnueabihf-gcc", "qemu-arm-static", "/usr/arm-linux-gnueabihf"),
    ],
)
def test_other_architectures(
    compiler: str, emulator: str, sysroot: str, counting_models: Any, served: Any, model: str, tmp_path: Path
) -> None:
    require(shutil.which(compiler) and shutil.which(emulator), f"no {compiler} or {emulator}")
    library = compile_library(tmp_path / "librknnrt.so", compiler)
    program = compile_program(PROGRAMS / "general_api.c", tmp_path / "app", library, compiler, [])
    with served(counting_models.open):
        done = start(
            [emulator, "-L", sysroot, "-E", f"LD_LIBRARY_PATH={tmp_path}", str(program), model, "2"],
            library,
            {"LD_LIBRARY_PATH": ""},
        )
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr
    program = compile_program(PROGRAMS / "dynamic_shapes.c", tmp_path / "shapes", library, compiler, [])
    with served(CountingModels(DATA).open):
        done = start(
            [emulator, "-L", sysroot, "-E", f"LD_LIBRARY_PATH={tmp_path}", program, DATA / "dynamic_input.rknn", "2"],
            library,
            {"LD_LIBRARY_PATH": ""},
        )
    assert (done.returncode, done.stdout) == (0, SHAPES_EXPECTED), done.stderr


@pytest.mark.qemu
def test_cpp_program_for_aarch64(counting_models: Any, served: Any, model: str, tmp_path: Path) -> None:
    compiler, emulator = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
    require(shutil.which(compiler) and shutil.which(emulator), f"no {compiler} or {emulator}")
    library = compile_library(tmp_path / "librknnrt.so", "aarch64-linux-gnu-gcc")
    program = compile_program(PROGRAMS / "demo.cpp", tmp_path / "app", library, compiler, ["-std=c++11"])
    with served(counting_models.open):
        done = start(
            [emulator, "-L", "/usr/aarch64-linux-gnu", "-E", f"LD_LIBRARY_PATH={tmp_path}", str(program), model],
            library,
            {"LD_LIBRARY_PATH": ""},
        )
    assert (done.returncode, done.stdout) == (0, "1.6.0 (rkparity emulated runtime) 1350 bytes\n"), done.stderr


@pytest.mark.parametrize("damage", ["cut", "counts", "noise", "empty"])
def test_damaged_descriptions_are_refused(
    damage: str, counting_models: Any, served: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server sends is checked before it is believed; under the sanitizers, for many damages of each kind."""
    import random

    from rkparity.emulator import server as server_module

    original = server_module.describe
    generator = random.Random(damage)  # noqa: S311  reproducible damage, no secrets

    def damaged(model: Any, *, simulator: str) -> bytes:
        data = bytearray(original(model, simulator=simulator))
        if damage == "cut":
            return bytes(data[: generator.randrange(len(data))])
        if damage == "counts":
            at = generator.randrange(0, len(data) - 4)
            data[at : at + 4] = b"\xff\xff\xff\xff"
        elif damage == "noise":
            for _ in range(20):
                data[generator.randrange(len(data))] = generator.randrange(256)
        return bytes(data) if damage != "empty" else b""

    monkeypatch.setattr(server_module, "describe", damaged)
    options = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    library = compile_library(tmp_path / "librknnrt.so", "cc", options)
    require(shutil.which("c++"), "no C++ compiler")
    program = compile_program(PROGRAMS / "demo.cpp", tmp_path / "app", library, "c++", options)
    refused = 0
    with served(counting_models.open):
        for _ in range(25 if damage != "empty" else 1):
            done = start([str(program), model], library)
            assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-3000:]
            refused += "the model's description is damaged" in done.stderr
    assert refused > 0
