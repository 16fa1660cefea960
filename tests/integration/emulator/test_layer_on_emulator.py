"""The validation layer around the emulated runtime: the same dumps and answers, and attributes of a real model."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from emulator_bench import ROOT

from rkparity.trace import Init, InputsSet, OutputsGet, read_traces
from support import require


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(shutil.which("cmake"), "no cmake")
    build = tmp_path_factory.mktemp("layer")
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), "-DRKPARITY_BUILD_MODULE=OFF"]
    for command in (configure, ["cmake", "--build", str(build), "--target", "rkparity_layer"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "csrc" / "layer" / "librkparity_layer.so"


def test_traced_program_on_the_emulated_runtime(
    layer: Path, library_path: Path, counting_models: Any, served: Any, models: Path, tmp_path: Path
) -> None:
    model = models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn"
    program = tmp_path / "app"
    source = Path(__file__).parent / "programs" / "general_api.c"
    subprocess.run(
        ["cc", f"-I{ROOT / 'csrc'}", str(source), "-o", str(program), f"-L{library_path.parent}", "-lrknnrt"],
        check=True,
    )
    seen = {}
    for name in ("plain", "traced"):
        dumps = tmp_path / name
        dumps.mkdir()
        environment = {"LD_LIBRARY_PATH": str(library_path.parent), "RKNN_LOG_LEVEL": "5", "RKNN_DUMP_DIR": str(dumps)}
        if name == "traced":
            (tmp_path / "trace").mkdir()
            environment.update({"LD_PRELOAD": str(layer), "RKPARITY_TRACE_DIR": str(tmp_path / "trace")})
        with served(counting_models.open):
            done = subprocess.run(
                [str(program), str(model), "2"],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "RKNN:" not in line]
        seen[name] = (lines, {path.name: path.read_bytes() for path in dumps.iterdir()})
    assert seen["traced"] == seen["plain"]
    assert seen["plain"][1]
    (trace,) = read_traces(tmp_path / "trace")
    assert trace.library is not None and trace.library.path == str(library_path)
    context = trace.contexts[0]
    assert context.api_version is not None and "emulated" in context.api_version
    assert (context.inputs[0].type, context.inputs[0].fmt, context.inputs[0].w_stride) == ("INT8", "NHWC", 32)
    assert context.native_outputs[0].fmt == "NC1HWC2"
    init = trace.calls[0].details
    assert isinstance(init, Init)
    assert init.model.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert any(isinstance(call.details, InputsSet) for call in trace.calls)
    got = next(call.details for call in trace.calls if isinstance(call.details, OutputsGet))
    assert got.outputs[0].content is not None and got.outputs[0].content.values is not None
