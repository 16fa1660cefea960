"""What diagnosis is shown on: models simulated by the toolkit, programs on the emulated runtime, boards with faults."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.compare.source import TensorSource
from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.server import LayerValueServer
from rkparity.emulator.values import simulator_names
from rkparity.errors import RkparityError
from rkparity.model import Model, read_model
from rkparity.runs import RunReader
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.rebuild import rebuild
from rkparity.toolkit.simulate import simulate
from rkparity.toolkit.worker_client import Worker
from support import require

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "emulator"
Fault = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@pytest.fixture(scope="session")
def toolkit_python() -> Path:
    """The interpreter that has rknn-toolkit2."""
    try:
        return find_toolkit_python(None)
    except RkparityError as error:
        require(False, error.message)
        raise


@pytest.fixture(scope="session")
def worker(toolkit_python: Path) -> Iterator[Worker]:
    with Worker(toolkit_python, timeout_s=300) as started:
        yield started


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded experiments' models, each with a build record."""
    folder = tmp_path_factory.mktemp("models")
    with zipfile.ZipFile(DATA / "models.zip") as archive:
        archive.extractall(folder)
    for rknn in folder.glob("*/*.rknn"):
        config = json.loads((rknn.parent / "case.json").read_text())["config"]
        quantized = "_int8" in rknn.name
        spec = {
            "framework": "onnx",
            "model": str(rknn.parent / "model.onnx"),
            "do_quantization": quantized,
            "dataset": str(rknn.parent / "dataset.txt") if quantized else None,
            "target_platform": "rk3588",
            **config,
        }
        digest = hashlib.sha256(rknn.read_bytes()).hexdigest()
        record = {"schema": "rkparity.build/1", "rknn_sha256": digest, "toolkit_version": "2.5.0", "spec": spec}
        rknn.with_name(rknn.name + ".build.json").write_text(json.dumps(record))
    return folder


@dataclass
class Board:
    """A model, its simulation, and boards that compute it rightly or with a fault in some operator."""

    worker: Worker
    built: BuiltModel
    rknn: Path
    model: Model
    folder: Path
    inputs: list[NDArray[np.float32]]
    pixels: dict[str, NDArray[np.uint8]]

    @property
    def simulator(self) -> TensorSource:
        return RunReader.open(self.folder / "sim" / "simulator")

    @property
    def golden(self) -> TensorSource:
        return RunReader.open(self.folder / "sim" / "golden")

    def dumps(self, name: str, faults: Mapping[str, Fault] | None = None) -> Path:
        """Dumps of a board on which the operators of `faults` give something else, and those behind compute with it."""
        values = dict(self.worker.layers(self.built.model_id, self.inputs).layers)
        wrong: dict[str, NDArray[np.float32]] = {}
        for tensor, fault in (faults or {}).items():
            wrong[tensor] = self._on_grid(tensor, fault(np.array(values[tensor])))
            replayed = self.worker.resimulate(self.built.model_id, self.inputs, wrong)
            values.update({item.name: item.values for item in replayed.tensors})
            values.update(wrong)
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for item in self.model.expected_dumps():
            tensor, suffix = item.tensor, "float"
            found = next(other for other in simulator_names(tensor) if other in values)
            array = values[found]
            if item.op_type == "InputOperator" and tensor.name in self.pixels and tensor.is_quantized:
                array, suffix = self.pixels[tensor.name].transpose(0, 3, 1, 2), "uint8"
            elif item.op_type == "InputOperator":
                array = values.get(f"{tensor.name}_int8", array)
            np.save(folder / f"{item.stem}_{suffix}.npy", np.array(array).reshape(tensor.shape))
        return folder

    def _on_grid(self, name: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
        tensor = next((item for item in self.model.tensors if item.name == name), None)
        if tensor is None or not tensor.is_quantized or not np.isfinite(array).all():
            return array.astype(np.float32)
        scale, zero = np.float32(tensor.scale[0]), tensor.zero_point[0]
        codes = np.clip(np.rint(array / scale) + zero, -128, 127).astype(np.float32)
        return (codes - np.float32(zero)) * scale

    def layer(self, place: float = 0.5) -> str:
        """A layer's tensor, somewhere along the graph."""
        simulated = {record.name for record in self.simulator.manifest.tensors}
        names = [
            self.model.tensors[node.outputs[0]].name
            for node in self.model.nodes
            if node.op_type not in ("InputOperator", "OutputOperator")
        ]
        usable = [name for name in names if name in simulated and self._size(name) >= 64]
        return usable[int(place * (len(usable) - 1))]

    def _size(self, name: str) -> int:
        return int(np.prod(next(tensor.shape for tensor in self.model.tensors if tensor.name == name)))


BoardMaker = Callable[[str], Board]


@pytest.fixture(scope="session")
def make_board(worker: Worker, models: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardMaker:
    """Boards by `folder/name` of the models, made once each."""
    made: dict[str, Board] = {}

    def make(case: str) -> Board:
        if case not in made:
            made[case] = _board(worker, models / f"{case}.rknn", tmp_path_factory.mktemp("board"))
        return made[case]

    return make


def _board(worker: Worker, rknn: Path, folder: Path) -> Board:
    model = read_model(rknn)
    built, record, _ = rebuild(worker, rknn)
    random = np.random.default_rng(5)
    files, pixels = [], {}
    for index, item in enumerate(built.inputs):
        if len(item.shape) == 4:
            n, c, h, w = item.shape
            array = _picture(random, h, w, c)[None].repeat(n, axis=0)
            pixels[item.name] = array
        else:
            array = random.standard_normal(item.shape).astype(np.float32)
        files.append(folder / f"input{index}.npy")
        np.save(files[-1], array)
    prepared = prepare_inputs(files, built.inputs, worker, folder / "feed", layout="nhwc" if pixels else None)
    made = simulate(worker, built, prepared, folder / "sim", model=record)
    values = {item.name: made.golden.tensor(item) for item in made.golden.manifest.tensors}
    inputs = []
    for item in built.inputs:
        array = np.array(values[item.name])
        # A board holds an FP16 model's input as float16 (evidence 160_gen_f32_nhwc_pt0, FP16 model).
        inputs.append(array if model.is_quantized else array.astype(np.float16).astype(np.float32))
    return Board(worker, built, rknn, model, folder, inputs, pixels)


def _picture(random: np.random.Generator, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        128 + 60 * np.sin(x / (3 + c)) + 50 * np.cos(y / (4 + c)) + random.normal(0, 8, (height, width))
        for c in range(channels)
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulated librknnrt.so, built from its sources."""
    require(shutil.which("cc"), "no C compiler")
    target = tmp_path_factory.mktemp("library") / "librknnrt.so"
    sources = [str(path) for path in sorted((ROOT / "csrc" / "emulator").glob("*.c"))]
    compile_c(["-shared", "-fPIC", "-Wl,-soname,librknnrt.so", *sources, "-o", str(target), "-lm", "-ldl", "-lpthread"])
    return target


def compile_c(arguments: list[str]) -> None:
    """Runs the C compiler with the sources' include folder."""
    command = ["cc", "-O1", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT / 'csrc'}", *arguments]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


Program = Callable[..., Path]


@pytest.fixture(scope="session")
def program(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles one of programs/*.c against the emulated library."""
    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("program") / name
            source = Path(__file__).parent / "programs" / f"{name}.c"
            compile_c(
                ["-Wall", "-Wextra", "-Werror", str(source), "-o", str(made[name]), f"-L{library.parent}", "-lrknnrt"]
            )
        return made[name]

    return build


@pytest.fixture(scope="session")
def served(toolkit_python: Path, models: Path, library: Path) -> Iterator[dict[str, str]]:
    """The layer-value server for the models; the environment a program needs to find it."""
    catalogue = ModelCatalogue(toolkit_python, [models])
    try:
        with LayerValueServer(catalogue.open) as server:
            yield {
                **os.environ,
                "LD_LIBRARY_PATH": str(library.parent),
                "RKPARITY_EMULATOR_SOCKET": str(server.socket_path),
                "RKNN_LOG_LEVEL": "5",
            }
    finally:
        catalogue.close()
