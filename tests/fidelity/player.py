"""Plays an experiment's calls on an emulated librknnrt, each in a process and a folder of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fidelity.corpus import Experiment
from fidelity.stand_ins import Kept, StandIn, stand_in
from fidelity.transcript import Transcript, parse_transcript
from rkparity.emulator.description import layer_tensors
from rkparity.emulator.model_bytes import core_digest
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.server import LayerValueServer, OpenModel, socket_environment
from rkparity.emulator.values import RunValues, ValueSource
from rkparity.errors import UsageError
from rkparity.model import Model, read_model

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("driver", "sequences")
VERSION_VARIABLE = "RKPARITY_EMULATOR_VERSION"
LIBRARY, MINI_LIBRARY = "librknnrt.so", "librknnmrt.so"
CRASH_VARIABLE = "RKPARITY_EMULATOR_CRASH"
# Versions that are not emulated are played on the nearest that is.
EMULATED = {"1.6.0": "1.6.0", "1.5.2": "1.5.2", "1.4.0": "1.5.2", "1.2.0": "1.5.2", "2.3.2": "mini-2.3.2"}
_OPTIONS = ("-O1", "-g")
_TIMEOUT_S = 60
_GARBAGE = b"not a model, as the recorded file was none" * 100
_DUMP_LINE = re.compile(r"dump (?:npy|txt) tensor to: (.+)|(?:failed open dump path:|Unable to create file) (.+)")


@dataclass(frozen=True)
class Played:
    """What the emulated library answered. `folder` holds `io/` and what was dumped; None of `model` for garbage."""

    experiment: Experiment
    stand_in: StandIn
    model: Model | None
    transcript: Transcript
    folder: Path


class SteadySource:
    """Values without a toolkit: each tensor's are random numbers that depend on its name alone."""

    description = "the fidelity player's random values"

    def __init__(self, model: Model) -> None:
        self._model = model

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        """The same values for every input, as the recorded NPU computed nothing either."""
        layers = {}
        if want_layers:
            for item in layer_tensors(self._model):
                array = self._array(item.tensor.name, item.tensor.shape, item.tensor.dtype)
                layers[item.tensor.name] = array if array.dtype == np.int64 else array.astype(np.float32)
        outputs = tuple(self._array(tensor.name, tensor.shape, tensor.dtype) for tensor in self._model.output_tensors)
        return RunValues(outputs, layers)

    @staticmethod
    def _array(name: str, shape: Sequence[int], dtype: str) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(list(name.encode()))
        count = int(np.prod(shape))
        if np.issubdtype(np.dtype(dtype), np.integer):
            return rng.integers(-128, 128, count).astype(dtype)
        return rng.standard_normal(count).astype(dtype)


class SteadyModels:
    """Serves every readable `.rknn` of a folder with a SteadySource."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in folder.rglob("*.rknn"):
            data = path.read_bytes()
            self._files[hashlib.sha256(data).hexdigest()] = self._files[core_digest(data)] = path

    def open(self, sha256: str) -> tuple[Model, ValueSource]:
        """The model with these bytes."""
        if sha256 not in self._files:
            raise UsageError("no such model", hint="the player serves the models of its archive")
        model = read_model(self._files[sha256])
        return model, SteadySource(model)


@dataclass(frozen=True)
class Architecture:
    """How to compile for a kind of board and how to run what was compiled."""

    compiler: str = "cc"
    runner: tuple[str, ...] = ()


ARCHITECTURES = {
    "native": Architecture(),
    "aarch64": Architecture("aarch64-linux-gnu-gcc", ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu")),
    "armhf": Architecture("arm-linux-gnueabihf-gcc", ("qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf")),
}


def compile_drivers(folder: Path, compiler: str = "cc") -> Path:
    """Compiles the drivers into `folder`, under the names experiments use."""
    for name in DRIVERS:
        command = [compiler, "-std=c11", "-D_GNU_SOURCE", *_OPTIONS, "-Wall", "-Wextra", "-Wconversion", "-Werror"]
        command += [f"-I{ROOT / 'csrc'}", str(Path(__file__).with_name(f"{name}.c")), "-o", str(folder / name), "-ldl"]
        subprocess.run(command, check=True, timeout=_TIMEOUT_S)
    return folder


def compile_library(target: Path, compiler: str = "cc") -> Path:
    """Compiles the emulated library from its sources, so that the player needs no installation."""
    mini = ["-DRKPARITY_EMULATOR_MINI"] if target.name == MINI_LIBRARY else []
    command = [compiler, "-std=gnu11", *_OPTIONS, *mini, "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [f"-Wl,-soname,{target.name}", f"-I{ROOT / 'csrc'}"]
    command += [str(path) for path in sorted((ROOT / "csrc" / "emulator").glob("*.c"))]
    subprocess.run([*command, "-o", str(target), "-lm", "-ldl", "-lpthread"], check=True, timeout=_TIMEOUT_S)
    return target


class Player:
    """One server for many experiments; a context manager."""

    def __init__(
        self,
        libraries: Path,
        drivers: Path,
        models: Path,
        scratch: Path,
        *,
        runner: tuple[str, ...] = (),
        open_model: OpenModel | None = None,
    ) -> None:
        """`libraries` is the folder with librknnrt.so and librknnmrt.so, `drivers` that of compile_drivers.

        `runner` begins the command.

        Layer values come from `open_model`, random ones without it.
        """
        self._libraries = libraries
        self._runner = runner
        self._drivers = drivers
        self._models = models
        self._scratch = scratch
        (models / "garbage.rknn").write_bytes(_GARBAGE)
        self._server = LayerValueServer(open_model or SteadyModels(models).open)

    def __enter__(self) -> Player:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def play(self, experiment: Experiment) -> Played:
        """Plays one experiment; AssertionError when the driver itself fails."""
        chosen = stand_in(experiment.model)
        assert chosen.kept is not Kept.NONE, chosen.why
        model = self._models / chosen.file
        folder = self._scratch / experiment.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in dump_folders(experiment):
            (folder / name).mkdir()
        library = self._libraries / (MINI_LIBRARY if experiment.mini else LIBRARY)
        done = subprocess.run(
            [*self._runner, str(self._drivers / experiment.driver), str(library), str(model), *experiment.calls],
            cwd=folder,
            env=self._environment(experiment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
        text = done.stdout.decode("utf-8", errors="replace")
        (folder / "log.txt").write_text(text, encoding="utf-8")
        assert done.returncode != 3, text[-2000:]
        return Played(
            experiment,
            chosen,
            None if chosen.file == "garbage.rknn" else read_model(model),
            parse_transcript(text, done.returncode),
            folder,
        )

    def _environment(self, experiment: Experiment) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("RKNN_", "RKPARITY_"))}
        return {
            **environment,
            **socket_environment(self._server.socket_path),
            **experiment.environment,
            VERSION_VARIABLE: EMULATED[experiment.version],
            CRASH_VARIABLE: "1",
        }


def dump_paths(transcript: Transcript) -> list[tuple[str, bool]]:
    """Every dump announced in the log, in order, and whether it could be opened."""
    paths: list[tuple[str, bool]] = []
    for step in transcript.steps:
        for line in step.lines:
            match = _DUMP_LINE.match(line.text)
            if match and match[1]:
                paths.append((match[1], True))
            elif match and paths and paths[-1][0] == match[2]:
                paths[-1] = (match[2], False)
    return paths


def dump_folders(experiment: Experiment) -> set[str]:
    """The folders that existed when the experiment was recorded: those the library could write into."""
    recorded = {path.rpartition("/")[0].rstrip("/") for path, opened in dump_paths(experiment.transcript) if opened}
    listed = {item.file.rpartition("/")[0] for item in experiment.dumps}
    return {folder for folder in recorded | listed if folder and not folder.startswith("/")}
