"""compare-dumps on a pair of runs of MobileNetV2's size, about 100 MB each, warm cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from bench_rows.row import Row, fastest
from rkparity.compare import compare_runs
from rkparity.runs import Engine, InputForm, Manifest, ModelRecord, Precision, Role, RunReader, RunWriter

PICTURE = 432
# MobileNetV2: expansion, channels, repeats, stride of each stage.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
CHILD = """
import sys, time
from rkparity.cli.main import main
code = main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", peak.split()[1], "exit", code, file=sys.stderr)
"""


def measure(work: Path) -> list[Row]:
    """The comparison itself against reading the files; then the whole command, with start-up, and its memory."""
    dumps, simulator = make_runs(work)
    files = [*sorted(dumps.glob("*.npy")), *sorted((simulator / "tensors").iterdir())]
    reader = RunReader.open(simulator)
    read, compare = fastest(lambda: read_all(files), lambda: compare_runs(dumps, reader), rounds=40)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "compare-dumps", str(dumps), str(simulator)],
        capture_output=True,
        text=True,
        check=False,
    )
    peak_kb, code = (int(word) for word in done.stderr.split()[-3::2])
    command = [sys.executable, "-m", "rkparity", "compare-dumps", str(dumps), str(simulator)]
    (whole,) = fastest(lambda: subprocess.run(command, capture_output=True, check=False), rounds=3)
    nbytes = sum(file.stat().st_size for file in files)
    return [
        Row(
            "compare-dumps: time / plain read",
            f"{compare / read:.2f} ({compare * 1e3:.0f} ms, {nbytes / 1e6:.0f} MB)",
            "<= 2.0",
            compare / read <= 2,
        ),
        Row("compare-dumps: peak memory", f"{peak_kb / 1024:.0f} MB", "<= 150 MB", peak_kb <= 150 * 1024),
        Row("  the whole command, start-up included", f"{whole * 1e3:.0f} ms, exit code {code}"),
    ]


def read_all(files: list[Path]) -> None:
    """Reads every byte into one buffer."""
    buffer = bytearray(1 << 20)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def shapes() -> list[tuple[int, ...]]:
    """The output shape of every convolution."""
    size, channels = PICTURE // 2, 32
    result = [(1, channels, size, size)]
    for expansion, out, repeats, stride in STAGES:
        for repeat in range(repeats):
            inner = channels * expansion
            if expansion != 1:
                result.append((1, inner, size, size))
            size = -(-size // stride) if repeat == 0 else size
            result += [(1, inner, size, size), (1, out, size, size)]
            channels = out
    return [*result, (1, 1280, size, size), (1, 1280, 1, 1), (1, 1000, 1, 1)]


def make_runs(work: Path) -> tuple[Path, Path]:
    """A dump folder and a simulator run that agree but for float16 rounding."""
    dumps, simulator = work / "dumps", work / "simulator"
    dumps.mkdir()
    random = np.random.default_rng(1)
    picture = random.standard_normal((1, 3, PICTURE, PICTURE), dtype=np.float32)
    layers = [("input", "InputOperator", picture)]
    for number, shape in enumerate(shapes(), start=1):
        layers.append((f"conv{number}", "Conv", random.standard_normal(shape, dtype=np.float32)))
    layers.append(("output", "OutputOperator", layers[-1][2]))
    with RunWriter(simulator) as writer:
        records, inputs = [], ()
        for order, (name, op_type, tensor) in enumerate(layers):
            role = Role.INPUT if order == 0 else Role.OUTPUT if order == len(layers) - 1 else Role.LAYER
            exact = tensor.astype(np.float16).astype(np.float32)
            kind = "Input" if role is Role.INPUT else op_type
            records.append(writer.add_tensor(name, exact, order=order, op_type=kind, role=role))
            if role is Role.INPUT:
                inputs = (writer.add_input(name, exact, layout="NCHW", form=InputForm.NORMALIZED),)
            dims = "_".join(map(str, tensor.shape))
            dumped = exact if order == 0 else np.nextafter(exact, np.float32(0))
            np.save(dumps / f"{order:03d}_{op_type}_{name}_shape_{dims}_float.npy", dumped)
        writer.finish(Manifest(Engine.SIMULATOR, Precision.FP16, ModelRecord("mobilenet"), inputs, tuple(records)))
    return dumps, simulator
