"""simulate with every layer's tensor, against the toolkit's own accuracy_analysis, on the PP-OCR detector."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from bench_rows.row import NotMeasured, Row
from rkparity.errors import ToolkitError
from rkparity.runs import RunReader, open_npy
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.simulate import Simulation, simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

PACKAGE = "rapidocr-onnxruntime==1.4.4"
MODEL = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
SIZE = 480


def measure(work: Path) -> list[Row]:
    """Both ways in one worker, on one build; what they wrote must be equal."""
    try:
        python = find_toolkit_python(None)
    except ToolkitError as error:
        raise NotMeasured(error.message) from error
    np.save(work / "picture.npy", np.random.default_rng(2).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8))
    spec = BuildSpec(
        Framework.ONNX,
        str(detector(work)),
        inputs=("x",),
        input_size_list=((1, 3, SIZE, SIZE),),
        mean_values=((127.5, 127.5, 127.5),),
        std_values=((127.5, 127.5, 127.5),),
    )
    with Worker(python, scratch=work / "toolkit") as worker:
        built = worker.build(spec)
        inputs = prepare_inputs([work / "picture.npy"], built.inputs, worker, work / "inputs")
        start = time.perf_counter()
        ours = simulate(worker, built, inputs, work / "fast", fast=True)
        fast_s = time.perf_counter() - start
        start = time.perf_counter()
        worker.analyse(
            built.model_id,
            [item.feed for item in inputs],
            golden=work,
            simulator=work,
            folder=work / "analysis",
            fast=False,
        )
        own_s = time.perf_counter() - start
    same, count = equal_tensors(ours, work / "analysis")
    return [
        Row(
            "simulate: time / accuracy_analysis",
            f"1/{own_s / fast_s:.1f} ({fast_s:.1f} s of {own_s:.1f} s)",
            "<= 1/8",
            own_s / fast_s >= 8,
        ),
        Row("simulate: tensors equal to the toolkit's", f"{same} of {count}", "all", same == count > 0),
    ]


def equal_tensors(ours: Simulation, analysis: Path) -> tuple[int, int]:
    """How many tensors the toolkit wrote have the same bytes in our runs, and how many it wrote."""
    same = count = 0
    for name, reader in (("golden", ours.golden), ("simulator", ours.simulator)):
        by_file = {file_name(record.name): record for record in reader.manifest.tensors}
        for path in sorted((analysis / name / "npy").glob("*.npy")):
            count += 1
            record = by_file.get(path.stem)
            same += record is not None and is_same(reader, record.file, path)
    return same, count


def file_name(tensor: str) -> str:
    return tensor.translate(str.maketrans("/:.;", "____"))


def is_same(reader: RunReader, file: str, path: Path) -> bool:
    mine, theirs = open_npy(reader.file(file)), open_npy(path)
    return mine.shape == theirs.shape and mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes()


def detector(work: Path) -> Path:
    """The detector from RKPARITY_BENCH_MODEL, from scripts/demo's folder, or from the package index."""
    named = os.environ.get("RKPARITY_BENCH_MODEL")
    kept = Path(named) if named else Path(__file__).parents[2] / ".demo" / "detector.onnx"
    target = work / "detector.onnx"
    if kept.is_file():
        shutil.copyfile(kept, target)
        return target
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), PACKAGE]
    done = subprocess.run(command, check=False)
    wheels = sorted(work.glob("rapidocr_onnxruntime-*.whl"))
    if done.returncode != 0 or not wheels:
        raise NotMeasured(f"{PACKAGE} could not be downloaded")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        target.write_bytes(wheel.read(MODEL))
    return target
