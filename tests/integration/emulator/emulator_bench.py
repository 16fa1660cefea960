"""The emulated library built from its sources, models, a value source without a toolkit."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import emulated_library
import numpy as np
import pytest

from rkparity.emulator.description import layer_tensors
from rkparity.emulator.model_bytes import core_digest
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.runtime import LIBRARY_VARIABLE
from rkparity.emulator.server import LayerValueServer
from rkparity.emulator.values import RunValues, ValueSource, graph_inputs
from rkparity.errors import ToolkitError, UsageError
from rkparity.model import Model, read_model
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "emulator"


def compile_library(
    target: Path, compiler: str = "cc", options: Sequence[str] = ("-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")
) -> Path:
    """Builds csrc/emulator as the shared library `target`."""
    sources = [str(path) for path in sorted((ROOT / "csrc" / "emulator").glob("*.c"))]
    command = [compiler, *options, "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [
        "-Wl,-soname,librknnrt.so",
        f"-I{ROOT / 'csrc'}",
        *sources,
        "-o",
        str(target),
        "-lm",
        "-ldl",
        "-lpthread",
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture(scope="session")
def library_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The library; also what `runtime_library` finds while the tests run."""
    require(shutil.which("cc"), "no C compiler")
    path = compile_library(tmp_path_factory.mktemp("library") / "librknnrt.so")
    before = os.environ.get(LIBRARY_VARIABLE)
    os.environ[LIBRARY_VARIABLE] = str(path)
    yield path
    os.environ.pop(LIBRARY_VARIABLE) if before is None else os.environ.__setitem__(LIBRARY_VARIABLE, before)


@pytest.fixture(scope="session")
def library(library_path: Path) -> ctypes.CDLL:
    return emulated_library.load(library_path)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, each with a build record where its source is known."""
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


class CountingSource:
    """Computes nothing: outputs count up from 0 in the model's type, layers are 0.5 (int64: 7). Keeps its inputs."""

    description = "a test's counting source"

    def __init__(self, model: Model) -> None:
        self._model = model
        self.inputs: list[np.ndarray] = []
        self.graphs: dict[int, CountingSource] = {}

    def at_graph(self, index: int) -> CountingSource:
        other = CountingSource(self._model.at_graph(index))
        self.graphs[index] = other
        return other

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        self.inputs = [value.copy() for value in graph_inputs(self._model, inputs)]
        layers = {}
        if want_layers:
            for item in layer_tensors(self._model):
                integer = item.tensor.dtype == "int64"
                count = int(np.prod(item.tensor.shape))
                layers[item.tensor.name] = np.full(count, 7 if integer else 0.5, np.int64 if integer else np.float32)
        return RunValues(tuple(counting(tensor.shape, tensor.dtype) for tensor in self._model.output_tensors), layers)


def counting(shape: Sequence[int], dtype: str) -> np.ndarray:
    """0, 1, 2, ... -128, -127 ... in int8; small integers in float16."""
    numbers = np.arange(int(np.prod(shape)))
    return (numbers % 200).astype(dtype) if dtype == "float16" else numbers.astype(np.int64).astype(dtype)


class CountingModels:
    """Serves every `.rknn` of a folder with a CountingSource."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in folder.rglob("*.rknn"):
            data = path.read_bytes()
            self._files[hashlib.sha256(data).hexdigest()] = self._files[core_digest(data)] = path
        self.sources: dict[str, CountingSource] = {}

    def prepare(self) -> None:
        return

    def close(self) -> None:
        return

    def open(self, sha256: str) -> tuple[Model, ValueSource]:
        if sha256 not in self._files:
            raise UsageError("the emulator was not started with this model", hint="start it with --model M.rknn")
        model = read_model(self._files[sha256])
        self.sources[model.path.name] = CountingSource(model)
        return model, self.sources[model.path.name]


@pytest.fixture
def counting_models(models: Path) -> CountingModels:
    return CountingModels(models)


Serve = Callable[[object], "contextlib.AbstractContextManager[LayerValueServer]"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serve:
    """Starts a server and points this process's environment at it; dumps go into tmp_path/dumps."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()

    @contextlib.contextmanager
    def serve(open_model: Callable[[str], tuple[Model, ValueSource]]) -> Iterator[LayerValueServer]:
        for name in ("RKNN_DUMP_QUANT", "RKNN_DUMP_TXT_TENSOR", "RKPARITY_EMULATOR_CRASH"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("RKNN_LOG_LEVEL", "0")
        monkeypatch.setenv("RKNN_DUMP_DIR", str(dumps))
        with LayerValueServer(open_model) as server:
            monkeypatch.setenv("RKPARITY_EMULATOR_SOCKET", str(server.socket_path))
            yield server

    return serve


@pytest.fixture(scope="session")
def toolkit_python() -> Path:
    """The interpreter that has rknn-toolkit2."""
    try:
        return find_toolkit_python(None)
    except (ToolkitError, UsageError) as error:
        require(False, error.message)
        raise
