"""The vendor's own librknnrt under emulation on the stand-in NPU: its dumps and outputs are the simulator's."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from emulator_bench import ROOT
from npu_bench import COMPILER, compiled

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.npu.guest import Guest, find_guest
from rkparity.emulator.npu.library import read_library
from rkparity.emulator.npu.runtime import VendorRuntime
from rkparity.emulator.protocol import GraphValue
from rkparity.io import read_json
from rkparity.model import Model, ModelTensor

pytestmark = [pytest.mark.qemu, pytest.mark.toolkit]

# Pixels, floats, several inputs, indices the CPU reads, look-up operators, a softmax, outputs in reversed order.
CASES = [
    "b25_c3w30/b25_c3w30_int8_rk3588",
    "b25_c3w30/b25_c3w30_fp16_rk3588",
    "cnn_classifier/c25_cnn_classifier_int8",
    "cnn_classifier/c25_cnn_classifier_fp16",
    "multi_input/c25_multi_input_int8",
    "multi_input/c25_multi_input_fp16",
    "b25_split/b25_split_int8_rk3588",
    "b25_ids/b25_ids_int8_rk3588",
    "b25_ids/b25_ids_fp16_rk3588",
    "non4d/c25_non4d_int8",
    "odd_names/c25_odd_names_fp16",
]
NAMES = sorted({case.split("/")[0] for case in CASES})


@dataclass(frozen=True)
class Bench:
    """A started runtime, the models it serves, and the runner."""

    runtime: VendorRuntime
    catalogue: ModelCatalogue
    folder: Path
    rkrun: Path

    def model(self, case: str) -> tuple[Model, Path]:
        path = self.folder / f"{case}.rknn"
        return self.catalogue.open(hashlib.sha256(path.read_bytes()).hexdigest())[0], path

    def expected(self, path: Path, values: list[GraphValue]) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, ...]]:
        """The simulator's layers by tensor name and its outputs, asked directly."""
        _, source = self.catalogue.open(hashlib.sha256(path.read_bytes()).hexdigest())
        found = source.compute(values, want_layers=True)
        return dict(found.layers), found.outputs

    def start(self, *words: object, level: str = "0") -> subprocess.CompletedProcess[str]:
        """An Arm program, started by a shell as on the board."""
        environment = {"PATH": os.defpath, "RKNN_LOG_LEVEL": level, **self.runtime.environment()}
        command = ["/bin/sh", "-c", 'exec "$@"', "sh", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def guest(vendor_library: Path, drivers: Path) -> Guest:
    return find_guest(read_library(vendor_library))


@pytest.fixture(scope="module")
def bench(
    toolkit_python: Path, models: Path, guest: Guest, rkrun: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    catalogue = ModelCatalogue(toolkit_python, [models / name for name in NAMES])
    with VendorRuntime(catalogue, tmp_path_factory.mktemp("board"), guest, chip="rk3588") as runtime:
        yield Bench(runtime, catalogue, models, rkrun)


def given(model: Model, folder: Path) -> tuple[list[str], list[GraphValue]]:
    """Inputs as a program has them, files for rkrun; and the same as the graph's input holds them."""
    random = np.random.default_rng(7)
    words, values = [], []
    for number, tensor in enumerate(model.input_tensors):
        path = folder / f"input{number}.raw"
        if len(tensor.shape) == 4:
            n, c, h, w = tensor.shape
            pixels = random.integers(0, 256, (n, h, w, c), dtype=np.uint8)
            pixels.tofile(path)
            words.append(f"{path}:uint8:nhwc")
            logical = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
            if tensor.is_quantized:
                values.append(GraphValue("uint8", logical.data.cast("B"), True))
                continue
            mean, std = next(
                (np.array(item.mean), np.array(item.std)) for item in model.normalization if item.name == tensor.name
            )
            normal = (logical - mean.reshape(1, -1, 1, 1).astype(np.float32)) / std.reshape(1, -1, 1, 1).astype(
                np.float32
            )
            values.append(GraphValue("float16", normal.astype(np.float16).data.cast("B"), False))
        elif tensor.dtype == "int64":
            indices = random.integers(0, 16, tensor.shape, dtype=np.int64)
            indices.tofile(path)
            words.append(f"{path}:int64:undefined")
            values.append(GraphValue("int64", indices.data.cast("B"), False))
        elif tensor.is_quantized:
            codes = random.integers(-128, 128, tensor.shape).astype(np.int8)
            numbers = (codes.astype(np.float32) - tensor.zero_point[0]) * np.float32(tensor.scale[0])
            numbers.astype(np.float32).tofile(path)
            words.append(f"{path}:float32:undefined")
            values.append(GraphValue("int8", codes.data.cast("B"), False))
        else:
            halves = random.standard_normal(tensor.shape).astype(np.float16)
            halves.astype(np.float32).tofile(path)
            words.append(f"{path}:float32:undefined")
            values.append(GraphValue("float16", halves.data.cast("B"), False))
    return words, values


def arguments(bench: Bench, path: Path, words: list[str], tmp_path: Path) -> list[object]:
    (tmp_path / "dumps").mkdir(exist_ok=True)
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    options = [option for word in words for option in ("--input", word)]
    library = ["--library", str(bench.runtime.library)]
    return [bench.rkrun, "run", *library, "--model", path, *options, "--output-dir", out]


def held(tensor: ModelTensor, values: np.ndarray) -> np.ndarray:
    """What is left of the simulator's values in the tensor's type; the simulator keeps some off their grid."""
    if tensor.is_quantized:
        scale = np.float32(tensor.scale[0])
        return np.clip(np.rint(values / scale), -128 - tensor.zero_point[0], 127 - tensor.zero_point[0]) * scale
    return values.astype(np.float16).astype(np.float32) if tensor.dtype == "float16" else values


@pytest.mark.parametrize("case", CASES)
def test_every_dump_is_the_simulators(case: str, bench: Bench, tmp_path: Path) -> None:
    model, path = bench.model(case)
    words, values = given(model, tmp_path)
    done = bench.start(*arguments(bench, path, words, tmp_path), "--dump-dir", tmp_path / "dumps")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    layers, _ = bench.expected(path, values)
    dumps = sorted((tmp_path / "dumps").glob("*.npy"))
    assert len(dumps) == len(model.expected_dumps())
    compared = 0
    for dump, expected in zip(dumps, sorted(model.expected_dumps(), key=lambda item: item.stem)):
        if expected.op_type == "InputOperator" or expected.tensor.name not in layers:
            continue
        found = np.load(dump).reshape(-1)
        wanted = held(expected.tensor, layers[expected.tensor.name]).astype(found.dtype)
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-7, err_msg=dump.name)
        compared += 1
    assert compared >= len(model.outputs)
    assert read_json(bench.runtime.journal)["void"] == []


@pytest.mark.parametrize(
    "api", [("--api", "general"), ("--api", "zero-copy"), ("--api", "zero-copy", "--native-outputs")]
)
@pytest.mark.parametrize("case", ["cnn_classifier/c25_cnn_classifier_int8", "b25_c3w30/b25_c3w30_fp16_rk3588"])
def test_outputs_are_the_simulators_without_dumps(
    case: str, api: tuple[str, ...], bench: Bench, tmp_path: Path
) -> None:
    model, path = bench.model(case)
    words, values = given(model, tmp_path)
    done = bench.start(*arguments(bench, path, words, tmp_path), *api)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    _, outputs = bench.expected(path, values)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    for item, tensor, output in zip(result["outputs"], model.output_tensors, outputs):
        wanted = output.astype(np.float32)
        found = np.load(tmp_path / "out" / item["file"])
        if "--native-outputs" in api and len(tensor.native_dims) == 5:
            # (N, C1, H, W, C2), of which rkrun keeps what the attribute says.
            channels, points = tensor.shape[1], int(np.prod(tensor.shape[2:]))
            laid = found.reshape(-1, found.shape[-2], found.shape[-1])[:, :points]
            found = laid.transpose(0, 2, 1).reshape(-1, points)[:channels]
        if tensor.is_quantized and found.dtype == np.float32:
            wanted = (wanted - tensor.zero_point[0]) * np.float32(tensor.scale[0])
        np.testing.assert_allclose(found.reshape(-1).astype(np.float32), wanted, rtol=2e-6)


def test_an_unserved_model_ends_the_program_with_the_reason(bench: Bench, tmp_path: Path, models: Path) -> None:
    path = models / "b25_d1" / "b25_d1_int8_rk3588.rknn"
    np.zeros(20, np.float32).tofile(tmp_path / "x.raw")
    done = bench.start(*arguments(bench, path, [f"{tmp_path / 'x.raw'}:float32:undefined"], tmp_path))
    assert done.returncode == -signal.SIGABRT  # librknnrt itself would go on and return 0
    log = (tmp_path / "out" / "runtime.log").read_text()
    assert "this virtual board was not started with" in log
    assert "the program is ended: its outputs would be no results" in log


def test_a_failed_submit_can_be_ordered(bench: Bench, tmp_path: Path) -> None:
    model, path = bench.model("b25_c3w30/b25_c3w30_int8_rk3588")
    words, _ = given(model, tmp_path)
    orders = bench.runtime.library_folder / "librknnrt.faults"
    orders.write_text("fail-run:-1")
    try:
        done = bench.start(*arguments(bench, path, words, tmp_path))
    finally:
        orders.unlink()
    # The real library logs the failed submit and returns 0.
    assert done.returncode == 0
    log = (tmp_path / "out" / "runtime.log").read_text()
    assert "the failure that was ordered" in log
    assert "failed to submit!" in log


def test_emulator_exec_runs_an_arm_program(
    vendor_library: Path, drivers: Path, models: Path, toolkit_python: Path, arm_stub: Path, tmp_path: Path
) -> None:
    """A program in the form of the vendor's demos, linked to librknnrt.so, and a library of the user's."""
    app = compiled(COMPILER, [ROOT / "scripts" / "ppocr" / "app.c"], tmp_path / "app", f"-L{arm_stub}", "-lrknnrt")
    model = models / "cnn_classifier" / "c25_cnn_classifier_int8.rknn"
    np.save(tmp_path / "pixels.npy", np.full((1, 64, 64, 3), 77, np.uint8))
    command = [sys.executable, "-m", "rkparity.cli.main", "emulator", "exec", "--library", str(vendor_library)]
    command += ["--toolkit-python", str(toolkit_python), "--model", str(model), "--"]
    done = subprocess.run(
        [*command, str(app), str(model), str(tmp_path / "pixels.npy")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "RKNN_LOG_LEVEL": "2"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "librknnrt version: 1.5.2" in done.stdout + done.stderr
    assert "output" in done.stdout
