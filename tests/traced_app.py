"""The application with mistakes, the emulated runtime and the validation layer for one target; a value source."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rkparity.emulator.description import layer_tensors
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.server import LayerValueServer
from rkparity.emulator.values import RunValues, ValueSource, graph_inputs
from rkparity.errors import UsageError
from rkparity.model import Model, read_model
from support import require

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "tests" / "data" / "emulator" / "models.zip"
MINI_MODEL = ROOT / "tests" / "data" / "models" / "b25_c3w30_int8_rv1106.rknn"


@dataclass(frozen=True)
class Target:
    """A way to build: the compilers' prefix, CMake's processor, and what runs the programs."""

    prefix: str = ""
    processor: str = ""
    runner: tuple[str, ...] = ()


NATIVE = Target()
AARCH64 = Target("aarch64-linux-gnu-", "aarch64", ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"))
ARMHF = Target("arm-linux-gnueabihf-", "armv7l", ("qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"))


@dataclass(frozen=True)
class Built:
    """The program, the layer, and the folder that holds librknnrt.so."""

    target: Target
    app: Path
    layer: Path
    libraries: Path

    def environment(self, trace: Path | None, dumps: Path) -> dict[str, str]:
        """What the program needs to find the library, and to be traced into `trace`."""
        own = {"LD_LIBRARY_PATH": str(self.libraries), "RKNN_LOG_LEVEL": "1", "RKNN_DUMP_DIR": str(dumps)}
        if trace is not None:
            own.update(LD_PRELOAD=str(self.layer), RKPARITY_TRACE_DIR=str(trace))
        return own

    def run(self, arguments: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs the program, through qemu where it is another machine's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RKNN_", "LD_"))}
        command = [str(self.app), *arguments]
        if self.target.runner:
            # qemu itself must not be given the variables of the program it runs.
            pairs = [part for name, value in environment.items() for part in ("-E", f"{name}={value}")]
            command, environment = [*self.target.runner, *pairs, *command], {}
        return subprocess.run(
            command, env={**inherited, **environment}, capture_output=True, text=True, check=False, timeout=120
        )


def build(target: Target, folder: Path) -> Built:
    """Builds everything for `target`; skips where the compilers are missing."""
    compiler = f"{target.prefix}gcc"
    require(shutil.which(compiler), f"no {compiler}")
    require(shutil.which("cmake"), "no cmake")
    require(not target.runner or shutil.which(target.runner[0]), f"no {' '.join(target.runner[:1])}")
    options = [f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release", "-DRKPARITY_BUILD_MODULE=OFF"]
    if target.processor:
        options += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={target.processor}"]
    made = folder / "build"
    _run(["cmake", "-S", str(ROOT), "-B", str(made), *options])
    _run(["cmake", "--build", str(made), "--target", "rkparity_layer", "rkparity_emulator"])
    libraries = folder / "lib"
    libraries.mkdir()
    shutil.copyfile(next(made.rglob("librknnrt.so")), libraries / "librknnrt.so")
    app = folder / "lint_app"
    sources = sorted((ROOT / "tests" / "c" / "apps").glob("lint_app*.c"))
    warnings = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
    _run(
        [
            compiler,
            *warnings,
            f"-I{ROOT / 'csrc'}",
            *map(str, sources),
            "-o",
            str(app),
            f"-L{libraries}",
            "-lrknnrt",
            "-lpthread",
        ]
    )
    return Built(target, app, next(made.rglob("librkparity_layer.so")), libraries)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def unpack_models(folder: Path) -> dict[str, Path]:
    """The models of the recorded experiments by name, without `.rknn`, and one of the mini runtime."""
    with zipfile.ZipFile(MODELS) as archive:
        archive.extractall(folder)
    shutil.copyfile(MINI_MODEL, folder / MINI_MODEL.name)
    return {path.stem: path for path in folder.rglob("*.rknn")}


class DependentSource:
    """Outputs that depend on the inputs and are never zero; layers are 0.5 (int64: 7)."""

    description = "a test's source"

    def __init__(self, model: Model) -> None:
        self._model = model

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(v).tobytes() for v in graph_inputs(self._model, inputs)))
        noise = np.frombuffer(digest.digest(), np.uint8) % 50 + 1
        layers = {}
        for item in layer_tensors(self._model) if want_layers else ():
            integer = item.tensor.dtype == "int64"
            count = int(np.prod(item.tensor.shape))
            layers[item.tensor.name] = np.full(count, 7 if integer else 0.5, np.int64 if integer else np.float32)
        outputs = [(np.resize(noise, int(np.prod(t.shape))), t.dtype) for t in self._model.output_tensors]
        return RunValues(tuple(numbers.astype(dtype) for numbers, dtype in outputs), layers)


class DependentModels:
    """Serves models with a DependentSource each."""

    def __init__(self, models: Sequence[Path]) -> None:
        self._files = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in models}

    def prepare(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to free."""

    def open(self, sha256: str) -> tuple[Model, ValueSource]:
        if sha256 not in self._files:
            raise UsageError("no such model")
        model = read_model(self._files[sha256])
        return model, DependentSource(model)


@contextlib.contextmanager
def serve(models: Sequence[Path]) -> Iterator[str]:
    """A layer-value server for the models; gives its socket."""
    with LayerValueServer(DependentModels(models).open) as server:
        yield str(server.socket_path)


def trace_app(
    built: Built,
    socket: str,
    model: Path,
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
) -> Path:
    """Runs the application once through the layer; returns the folder of its trace."""
    run = folder / uuid.uuid4().hex[:8]
    (run / "dumps").mkdir(parents=True)
    (run / "trace").mkdir()
    own = built.environment(run / "trace", run / "dumps")
    done = built.run([str(model), *arguments], {**own, "RKPARITY_EMULATOR_SOCKET": socket, **(environment or {})})
    assert list((run / "trace").iterdir()), done
    return run / "trace"
