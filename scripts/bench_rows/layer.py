"""The validation layer: what a call costs without hashing, and how fast buffers are hashed, for every type."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from bench_rows.row import NotMeasured, Row
from rkparity.board.install.layer import find_layer

ROUNDS = 7
MEBIBYTES = 64
TYPES = (
    *("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64"),
    *("BOOL", "INT4", "BFLOAT16"),
)
"""The API's numbers of types, from 0 (rknn_tensor_type)."""
SOURCES = Path(__file__).resolve().parents[2] / "csrc"


def measure(work: Path) -> list[Row]:
    """Thread CPU times of a program of C calls against a runtime that does nothing, with and without the layer."""
    program = build(work)
    layer = find_layer(platform.machine(), scratch=work)
    bare = fastest_calls(work, program, None)
    traced = fastest_calls(work, program, layer, RKPARITY_TRACE_NO_HASH="1")
    small = fastest_calls(work, program, layer)["rknn_inputs_set"] - traced["rknn_inputs_set"]
    cost = {call: traced[call] - bare[call] for call in bare}
    dearest = max(cost, key=lambda call: cost[call])
    rates = {name: hashing(work, program, layer, number) for number, name in enumerate(TYPES)}
    slowest = min(rates, key=lambda name: rates[name][1])
    read, rate = rates[slowest]
    return [
        Row("layer: dearest call, no hashing", f"{cost[dearest]:.2f} us ({dearest})", "<= 2 us", cost[dearest] <= 2),
        Row("  the others", ", ".join(f"{call[len('rknn_') :]} {cost[call]:.2f}" for call in cost if call != dearest)),
        Row(
            "layer: hash and statistics, slowest type",
            f"{rate:.2f} GB/s ({slowest}; {rate / read:.2f} of a plain read)",
            ">= 2 GB/s",
            rate >= 2,
        ),
        Row("  looking at a buffer of 48 bytes", f"{small:.2f} us more"),
        Row("  the others", ", ".join(f"{name} {rates[name][1]:.1f}" for name in rates if name != slowest)),
    ]


def build(work: Path) -> Path:
    """The runtime that does nothing and the program, compiled into `work`."""
    here = Path(__file__).parent
    runtime, program = work / "librknnrt.so", work / "layer_calls"
    flags = ["-std=gnu11", "-O2", "-I", str(SOURCES)]
    shared = ["-shared", "-fPIC", "-Wl,-soname,librknnrt.so"]
    try:
        subprocess.run(["cc", *flags, *shared, str(here / "idle_runtime.c"), "-o", str(runtime)], check=True)
        subprocess.run(["cc", *flags, str(here / "layer_calls.c"), "-o", str(program), str(runtime)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotMeasured(f"the C compiler cc cannot be used: {error}") from error
    return program


def run(work: Path, command: list[str], layer: Path | None, **variables: str) -> list[tuple[str, float]]:
    """The program's lines: what, and how much."""
    trace = work / "trace"
    trace.mkdir(exist_ok=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(work), **variables}
    if layer is not None:
        environment.update({"LD_PRELOAD": str(layer), "RKPARITY_TRACE_DIR": str(trace)})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    written = list(trace.iterdir())
    for file in written:
        file.unlink()
    if done.returncode != 0 or bool(written) != (layer is not None):
        raise NotMeasured(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return [(line.rsplit(" ", 1)[0], float(line.rsplit(" ", 1)[1])) for line in done.stdout.splitlines()]


def fastest_calls(work: Path, program: Path, layer: Path | None, **variables: str) -> dict[str, float]:
    """Microseconds of every kind of call: the shortest of several processes."""
    rounds = [dict(run(work, [str(program), "calls"], layer, **variables)) for _ in range(ROUNDS)]
    return {call: min(taken[call] for taken in rounds) / 1e3 for call in rounds[0]}


def hashing(work: Path, program: Path, layer: Path, number: int) -> tuple[float, float]:
    """GB/s of a plain read of the buffer and of the layer's look at it, the best of several turns in one process."""
    lines = run(work, [str(program), "look", str(number), str(MEBIBYTES)], layer)
    return max(rate for what, rate in lines if what == "read"), max(rate for what, rate in lines if what == "look")
