"""Functions of the library that are not traced (matrix multiplication, custom operators) reach the real library."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from layer_programs import ROOT, Kit

OTHERS = (
    *("rknn_matmul_create", "rknn_matmul_create_dynamic_shape", "rknn_matmul_set_io_mem", "rknn_matmul_set_core_mask"),
    *("rknn_matmul_set_quant_params", "rknn_matmul_get_quant_params", "rknn_matmul_set_dynamic_shape"),
    *("rknn_matmul_run", "rknn_matmul_destroy", "rknn_B_normal_layout_to_native_layout"),
    *("rknn_register_custom_ops", "rknn_custom_op_get_op_attr", "rknn_create_mem_from_mb_blk"),
)
LIBRARY = """
#include <stdint.h>
int rknn_init(void) { return 0; }
intptr_t rknn_matmul_create(intptr_t a, intptr_t b, intptr_t c) { return a + 10 * b + 100 * c; }
int rknn_matmul_run(uint64_t ctx) { return (int)ctx; }
"""
PROGRAM = """
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
int main(int argc, char **argv) {
    void *library = dlopen("librknnrt.so", RTLD_NOW);
    typedef intptr_t three(intptr_t, intptr_t, intptr_t);
    three *create = (three *)dlsym(library, "rknn_matmul_create");
    int (*run)(uint64_t) = (int (*)(uint64_t))dlsym(library, "rknn_matmul_run");
    int (*destroy)(uint64_t) = (int (*)(uint64_t))dlsym(library, "rknn_matmul_destroy");
    printf("%ld %d", (long)create(1, 2, 3), run(7));
    if (argc > 1)
        printf(" %d", destroy(7));
    return argv == 0;
}
"""


def exported(library: Path) -> set[str]:
    done = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in done.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm")
def test_every_public_function_is_there(native: Kit, tmp_path: Path) -> None:
    emulator = tmp_path / "librknnrt.so"
    sources = sorted((ROOT / "csrc" / "emulator").glob("*.c"))
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{ROOT / 'csrc'}"]
    subprocess.run([*command, *map(str, sources), "-o", str(emulator), "-lm", "-ldl", "-lpthread"], check=True)
    public = {name for name in exported(native.layer) if name.startswith("rknn_")}
    assert set(OTHERS) < public
    assert {name for name in exported(emulator) if name.startswith("rknn_")} == public


def test_they_reach_the_real_library(native: Kit, tmp_path: Path) -> None:
    for name, text, options in (
        ("librknnrt.so", LIBRARY, ["-shared", "-fPIC"]),
        ("program", PROGRAM, ["-ldl"]),
    ):
        (tmp_path / f"{name}.c").write_text(text)
        subprocess.run(["cc", str(tmp_path / f"{name}.c"), "-o", str(tmp_path / name), *options], check=True)
    (tmp_path / "trace").mkdir()
    plain = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    traced = {**plain, "LD_PRELOAD": str(native.layer), "RKPARITY_TRACE_DIR": str(tmp_path / "trace")}
    for environment in (plain, traced):
        done = subprocess.run([str(tmp_path / "program")], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "321 7"), done
    done = subprocess.run([str(tmp_path / "program"), "x"], env=traced, capture_output=True, text=True, check=False)
    assert done.stdout == "321 7 -1"
