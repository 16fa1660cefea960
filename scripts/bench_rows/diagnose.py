"""Explaining a 640 x 640 x 3 input: the slowest of several mistakes, one that nothing explains among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench_rows.row import Row

_BUDGET_S, _BUDGET_MB, _CORES = 2.0, 300, 2


def measure(work: Path) -> list[Row]:
    """Times and memory of a process that does nothing else, on two cores."""
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    cores = sorted(os.sched_getaffinity(0))[:_CORES]
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores)), sys.executable, str(Path(__file__).resolve())],
        check=True,
        capture_output=True,
        text=True,
        cwd=work,
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": str(_CORES),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        },
    )
    result = json.loads(done.stdout)
    rows = [
        Row(f"explain an input of 640 x 640 x 3: {name}", f"{took:.2f} s", f"<= {_BUDGET_S:g} s", took <= _BUDGET_S)
        for name, took in result["seconds"].items()
    ]
    slowest = max(result["seconds"].values())
    ratio = slowest / result["correlation"]
    rows.append(
        Row("  the slowest against one phase correlation", f"{ratio:.0f} times {1000 * result['correlation']:.0f} ms")
    )
    rows.append(
        Row(
            "  memory of the process",
            f"{result['megabytes']:.0f} MB, {result['before']:.0f} MB before",
            f"<= {_BUDGET_MB} MB",
            result["megabytes"] <= _BUDGET_MB,
        )
    )
    return rows


def _run() -> dict[str, object]:
    import time

    import numpy as np
    from scipy import fft

    from rkparity.diagnose.inputs import ExpectedInput, ObservedInput, explain_input

    def megabytes() -> float:
        # ru_maxrss would hold what the process was forked from as well; this begins at exec.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    generator = np.random.default_rng(3)
    picture = np.stack([_landscape(generator) for _ in range(3)], axis=2)
    # 720 x 960 brought to 640 x 640 by the nearest pixel; how does not matter for the time.
    rows, columns = np.arange(640) * 720 // 640, np.arange(640) * 960 // 640
    wanted = np.ascontiguousarray(picture[rows[:, None], columns[None, :]])
    moved = np.zeros_like(wanted)
    moved[5:, 3:] = 255 - wanted[:-5, :-3]
    noise = np.clip(wanted + generator.normal(0, 15, wanted.shape), 0, 255).astype(np.uint8)
    cases = {
        "BGR": wanted[:, :, ::-1],
        "moved, inverted": moved,
        "turned, less contrast": np.rot90(wanted) * 0.7 + 20,
        "YUV of another standard": _other_yuv(wanted),
        "noise (nothing explains it)": noise,
    }
    before = megabytes()
    seconds = {}
    for name, pixels in cases.items():
        dump = np.ascontiguousarray(pixels.astype(np.uint8).transpose(2, 0, 1)[None])
        times = []
        for _ in range(3):
            start = time.perf_counter()
            explain_input(ObservedInput(dump), ExpectedInput(wanted[None], None, (0.0,), (255.0,)), picture)
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    first = wanted[:, :, 0].astype(np.float32)
    start = time.perf_counter()
    for _ in range(10):
        fft.irfft2(fft.rfft2(first) * fft.rfft2(first[::-1]).conj(), s=first.shape)
    correlation = (time.perf_counter() - start) / 10
    return {"seconds": seconds, "correlation": correlation, "before": before, "megabytes": megabytes()}


def _landscape(generator: object) -> object:
    """720 x 960 pixels of noise with the spectrum of photographs (amplitude falls as 1 / frequency)."""
    import numpy as np

    assert isinstance(generator, np.random.Generator)
    down, right = np.fft.fftfreq(720)[:, None], np.fft.rfftfreq(960)[None, :]
    amplitude = 1 / np.maximum(np.hypot(down, right), 1 / 960)
    phase = np.exp(2j * np.pi * generator.random((720, 481)))
    plane = np.fft.irfft2(amplitude * phase, s=(720, 960))
    return np.clip(128 + 45 * plane / plane.std(), 0, 255).astype(np.uint8)


def _other_yuv(pixels: object) -> object:
    """RGB encoded with BT.709 and decoded with BT.601."""
    import numpy as np

    rgb = np.asarray(pixels, np.float32)
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    blue, red = np.rint((rgb[:, :, 2] - luma) / 1.8556), np.rint((rgb[:, :, 0] - luma) / 1.5748)
    luma = np.rint(luma)
    made = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=2)
    return np.clip(np.rint(made), 0, 255)


if __name__ == "__main__":
    json.dump(_run(), sys.stdout)
