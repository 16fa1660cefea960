"""rknn_run on the emulated runtime, dumps off, against the toolkit's own inference, on the PP-OCR detector."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from bench_rows.row import NotMeasured, Row
from bench_rows.simulate import SIZE, detector
from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.runtime import EmulatedRuntime
from rkparity.errors import RkparityError, ToolkitError
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.build_record import write_build_record
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

ROUNDS = 9
# Runs in the toolkit's interpreter: builds the model and answers every line on stdin with one inference's time.
OWN = """
import json, os, sys, time
import numpy as np
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
model, picture, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
from rknn.api import RKNN
rknn = RKNN(verbose=False)
rknn.config(target_platform="rk3588", mean_values=[[127.5] * 3], std_values=[[127.5] * 3])
assert rknn.load_onnx(model, inputs=["x"], input_size_list=[[1, 3, size, size]]) == 0
assert rknn.build(do_quantization=False) == 0
assert rknn.init_runtime() == 0
pixels = np.load(picture)
for line in sys.stdin:
    begin = time.perf_counter()
    rknn.inference(inputs=[pixels], data_format=["nhwc"])
    print(json.dumps(time.perf_counter() - begin), file=answers, flush=True)
"""


class RknnInput(ctypes.Structure):
    """rknn_input."""

    _fields_ = [
        ("index", ctypes.c_uint32),
        ("buf", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("pass_through", ctypes.c_uint8),
        ("type", ctypes.c_int),
        ("fmt", ctypes.c_int),
    ]


def measure(work: Path) -> list[Row]:
    """Both take turns, each in a process of its own; the medians are compared."""
    try:
        python = find_toolkit_python(None)
    except ToolkitError as error:
        raise NotMeasured(error.message) from error
    pixels = np.random.default_rng(2).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(work / "picture.npy", pixels)
    spec = BuildSpec(
        Framework.ONNX,
        str(detector(work)),
        inputs=("x",),
        input_size_list=((1, 3, SIZE, SIZE),),
        mean_values=((127.5, 127.5, 127.5),),
        std_values=((127.5, 127.5, 127.5),),
    )
    rknn = work / "detector.rknn"
    with Worker(python, scratch=work / "toolkit") as worker:
        built = worker.build(spec, export=rknn)
    write_build_record(built)
    for name in ("RKNN_LOG_LEVEL", "RKPARITY_EMULATOR_FAULTS", "RKPARITY_EMULATOR_CACHE", "RKPARITY_EMULATOR_VERSION"):
        os.environ.pop(name, None)
    command = [str(python), "-c", OWN, str(work / "detector.onnx"), str(work / "picture.npy"), str(SIZE)]
    with (work / "own.log").open("wb") as log, subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=work
    ) as own:
        try:
            with EmulatedRuntime(ModelCatalogue(python, [rknn]), work / "board") as runtime:
                own_s, run_s, init_s = turns(own, runtime.library, rknn, pixels)
        except RkparityError as error:
            raise NotMeasured(error.message) from error
        finally:
            if own.stdin is not None:
                own.stdin.close()
    ratio = statistics.median(run_s) / statistics.median(own_s)
    return [
        Row(
            "emulator: rknn_run / toolkit's inference",
            f"{ratio:.2f} ({statistics.median(run_s) * 1000:.0f} ms of {statistics.median(own_s) * 1000:.0f} ms)",
            "<= 1.15",
            ratio <= 1.15,
        ),
        Row("emulator: rknn_init of a built model", f"{init_s * 1000:.0f} ms", "< 1 s", init_s < 1),
    ]


def turns(
    own: subprocess.Popen[str], library: Path, rknn: Path, pixels: np.ndarray
) -> tuple[list[float], list[float], float]:
    """The toolkit's times, the emulator's, and the one of rknn_init; the first of each only warms up."""
    rknnrt = ctypes.CDLL(str(library))
    context = ctypes.c_uint64()
    begin = time.perf_counter()
    check("rknn_init", rknnrt.rknn_init(ctypes.byref(context), os.fsencode(rknn), 0, 0, None))
    init_s = time.perf_counter() - begin
    given = RknnInput(0, pixels.ctypes.data, pixels.nbytes, 0, 3, 1)
    check("rknn_inputs_set", rknnrt.rknn_inputs_set(context, 1, ctypes.byref(given)))
    own_s, run_s = [], []
    for _ in range(ROUNDS + 1):
        if own.stdin is None or own.stdout is None:
            raise NotMeasured("the toolkit's process has no pipes")
        own.stdin.write("\n")
        own.stdin.flush()
        answer = own.stdout.readline()
        if not answer:
            raise NotMeasured("the toolkit's own inference failed")
        own_s.append(float(answer))
        begin = time.perf_counter()
        check("rknn_run", rknnrt.rknn_run(context, None))
        run_s.append(time.perf_counter() - begin)
    check("rknn_destroy", rknnrt.rknn_destroy(context))
    return own_s[1:], run_s[1:], init_s


def check(call: str, status: int) -> None:
    """NotMeasured when the emulator failed."""
    if status != 0:
        raise NotMeasured(f"{call} returned {status}")
