"""The vendor's own Python client, rknn-toolkit-lite2 for aarch64, under qemu-user on the emulated library."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulator_bench import DATA, ROOT, compile_library

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.model import Model
from rkparity.toolkit.build_record import read_build_record, write_build_record
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker
from support import require

pytestmark = [pytest.mark.qemu, pytest.mark.toolkit]

CLIENT = Path(__file__).parent / "programs" / "lite_client.py"
COMPILER, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
# Pixels into int8 models, numbers into an int8 and an FP16 model without mean/std, indices: all bit for bit.
CASES = [
    "b25_c3w30/b25_c3w30_int8_rk3588",
    "cnn_classifier/c25_cnn_classifier_int8",
    "b25_split/b25_split_int8_rk3588",
    "b25_ids/b25_ids_fp16_rk3588",
    "non4d/c25_non4d_fp16",
]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aarch64 Python with rknn-toolkit-lite2; kept between test runs in the user's cache."""
    for tool in (COMPILER, QEMU, "apt-get"):
        require(shutil.which(tool), f"{tool} is not installed")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rkparity" / "qemu-lite2"
    done = subprocess.run(
        [str(ROOT / "scripts" / "qemu-lite2"), str(folder)],
        env={**os.environ, "RKPARITY_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    require(done.returncode == 0, f"no rknn-toolkit-lite2: {done.stderr[-300:]}")
    library = compile_library(tmp_path_factory.mktemp("aarch64") / "librknnrt.so", COMPILER)
    # In a container RKNNLite looks nowhere but here, whatever LIBRKNNRT_PATH is.
    shutil.copyfile(library, folder / "usr" / "lib" / ".librknnrt.part")
    (folder / "usr" / "lib" / ".librknnrt.part").replace(folder / "usr" / "lib" / "librknnrt.so")
    return folder


@pytest.fixture(scope="module")
def catalogue(toolkit_python: Path, models: Path) -> Iterator[ModelCatalogue]:
    catalogue = ModelCatalogue(toolkit_python, [models])
    yield catalogue
    catalogue.close()


@pytest.fixture(scope="module")
def worker(toolkit_python: Path) -> Iterator[Worker]:
    """A worker of its own, used the way a user uses the toolkit."""
    with Worker(toolkit_python) as worker:
        yield worker


def user_inputs(model: Model) -> list[np.ndarray]:
    random = np.random.default_rng(11)
    arrays = []
    for tensor in model.input_tensors:
        if len(tensor.shape) == 4:
            n, c, h, w = tensor.shape
            arrays.append(random.integers(0, 256, (n, h, w, c), dtype=np.uint8))
        elif tensor.dtype == "int64":
            arrays.append(random.integers(0, 16, tensor.shape, dtype=np.int64))
        else:
            arrays.append(random.standard_normal(tensor.shape).astype(np.float16).astype(np.float32))
    return arrays


def play(board: Path, socket: Path, rknn: Path, prefix: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [QEMU, "-L", board, board / "usr" / "bin" / "python3", CLIENT, rknn, prefix, *map(str, words)],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(board / "packages"),
            "RKPARITY_EMULATOR_SOCKET": str(socket),
            "RKNN_LOG_LEVEL": "2",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("case", CASES)
def test_rknnlite_gets_the_simulators_outputs(
    case: str,
    board: Path,
    catalogue: ModelCatalogue,
    worker: Worker,
    models: Path,
    served: Any,
    tmp_path: Path,
) -> None:
    rknn = models / f"{case}.rknn"
    model, _ = catalogue.open(hashlib.sha256(rknn.read_bytes()).hexdigest())
    arrays = user_inputs(model)
    files = [tmp_path / f"input{i}.npy" for i in range(len(arrays))]
    for path, array in zip(files, arrays):
        np.save(path, array)
    with served(catalogue.open) as server:
        done = play(board, server.socket_path, rknn, tmp_path / "output", *files)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rkparity emulated runtime: the layers' values come from the simulator" in done.stdout + done.stderr

    built = worker.build(read_build_record(rknn).spec)
    simulated = worker.infer(
        built.model_id,
        [array.astype(np.float32) if array.dtype == np.uint8 else array for array in arrays],
        ["nhwc" if array.ndim == 4 else "nchw" for array in arrays],
    )
    assert len(simulated) == len(model.outputs)
    for number, expected in enumerate(simulated):
        got = np.load(tmp_path / f"output{number}.npy")
        assert got.shape == model.output_tensors[number].shape
        np.testing.assert_array_equal(got.reshape(-1), expected.reshape(-1).astype(got.dtype))
        assert len(np.unique(got)) > 1


def test_rknnlite_changes_the_shapes(
    board: Path, worker: Worker, toolkit_python: Path, served: Any, tmp_path: Path
) -> None:
    """A model built with dynamic_input: RKNNLite asks for the ranges and calls rknn_set_input_shapes by itself."""
    sets = [([1, 3, 9, 30], [1, 5, 8]), ([1, 3, 18, 15], [1, 7, 8]), ([1, 3, 12, 20], [1, 3, 8])]
    spec = BuildSpec(
        Framework.ONNX,
        str(DATA / "two_inputs.onnx"),
        extra={"config": {"dynamic_input": [[list(shape) for shape in shapes] for shapes in sets]}},
    )
    rknn = tmp_path / "m.rknn"
    built = worker.build(spec, export=rknn)
    write_build_record(built)
    random = np.random.default_rng(12)
    words: list[object] = []
    simulated = []
    for index, ((n, c, h, w), shape) in enumerate(sets):
        arrays = [
            random.integers(0, 256, (n, h, w, c), dtype=np.uint8),
            random.standard_normal(shape).astype(np.float16).astype(np.float32),
        ]
        words += ["--"] if index else []
        for position, array in enumerate(arrays):
            np.save(tmp_path / f"input{index}{position}.npy", array)
            words.append(tmp_path / f"input{index}{position}.npy")
        simulated.append(worker.infer(built.model_id, [array.astype(np.float32) for array in arrays], ["nhwc", "nchw"]))
    catalogue = ModelCatalogue(toolkit_python, [rknn])
    try:
        with served(catalogue.open) as server:
            done = play(board, server.socket_path, rknn, tmp_path / "output", *words)
    finally:
        catalogue.close()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "static shape" not in done.stdout + done.stderr
    for index, expected in enumerate(simulated):
        for number, values in enumerate(expected):
            got = np.load(tmp_path / f"output{f'{index}_' if index else ''}{number}.npy")
            assert got.shape == values.shape
            np.testing.assert_array_equal(got, values.astype(got.dtype))
