"""A thousand runs through the whole life of contexts and memories: no leak, threads and processes kept apart."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from emulator_bench import compile_library
from test_emulator_programs import PROGRAMS, compile_program

from support import require

SMALL = ["b25_c3w30/b25_c3w30_int8_rk3588", "multi_input/c25_multi_input_fp16", "b25_ids/b25_ids_int8_rk3588"]


@pytest.fixture
def rknns(models: Path) -> list[str]:
    return [str(models / f"{name}.rknn") for name in SMALL]


def built(folder: Path, options: Sequence[str]) -> tuple[Path, Path]:
    """The program and the library, compiled with these options."""
    require(shutil.which("cc"), "no C compiler")
    library = compile_library(folder / "librknnrt.so", "cc", ["-g", *options])
    return compile_program(PROGRAMS / "soak.c", folder / "soak", library, "cc", ["-g", *options, "-pthread"]), library


def start(command: Sequence[str], library: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], runs: int) -> None:
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, output) == (0, f"{runs} runs, 0 failures\n"), errors[-3000:]


@pytest.mark.parametrize("cache", ["0", "1"])
def test_a_thousand_runs_under_the_sanitizers(
    cache: str, rknns: list[str], counting_models: Any, served: Any, tmp_path: Path
) -> None:
    options = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program, library = built(tmp_path, options)
    with served(counting_models.open):
        process = start(
            [str(program), "168", "1", *rknns], library, ASAN_OPTIONS="detect_leaks=1", RKPARITY_EMULATOR_CACHE=cache
        )
        finished(process, 1008)


def test_a_thousand_runs_under_valgrind(rknns: list[str], counting_models: Any, served: Any, tmp_path: Path) -> None:
    require(shutil.which("valgrind"), "valgrind is not installed")
    program, library = built(tmp_path, ["-O1"])
    with served(counting_models.open):
        command = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all"]
        command += ["--error-exitcode=9", str(program), "168", "1", *rknns]
        finished(start(command, library), 1008)


def test_threads_under_the_thread_sanitizer(
    rknns: list[str], counting_models: Any, served: Any, tmp_path: Path
) -> None:
    program, library = built(tmp_path, ["-O1", "-fsanitize=thread"])
    with served(counting_models.open):
        finished(start([str(program), "8", "6", *rknns], library, TSAN_OPTIONS="exitcode=9"), 288)


def test_processes_with_threads_at_once(rknns: list[str], counting_models: Any, served: Any, tmp_path: Path) -> None:
    program, library = built(tmp_path, ["-O2"])
    with served(counting_models.open):
        processes = [start([str(program), "10", "4", *rknns], library) for _ in range(4)]
        for process in processes:
            finished(process, 240)
