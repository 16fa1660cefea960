"""The networks of the laboratory: built once, simulated on several pictures, run with noise by a board process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "zoo_run"))

from catalogue import MODELS
from prepare import prepare

from rkparity.emulator.values import simulator_names
from rkparity.model import Model, read_model
from rkparity.runs import Engine, Manifest, Precision, RunReader, TensorRecord
from rkparity.toolkit.build_record import write_build_record
from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.process import worker_environment
from rkparity.toolkit.simulate import simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

BOARD = Path(__file__).resolve().parent / "board.py"
# Of the made networks the smaller size does; the published ones keep theirs.
SIZES = {"resnet": 64, "mobilenet": 64, "mobilenet-v3": 64, "yolov8": 96, "deeplab": 96, "ppseg": 64, "vit": 64}


@dataclass(frozen=True)
class LocalRun:
    """Every layer computed on the noisy board's own tensors, as a source of tensors."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        return self.path / name

    def tensor(self, record: TensorRecord) -> Any:
        return np.load(self.path / record.file)


@dataclass
class Network:
    """One build of one model, its simulations by picture, and its board."""

    name: str
    quantized: bool
    folder: Path
    model: Model
    pictures: list[str]
    tensors: dict[str, dict[str, Any]]
    inputs: dict[str, list[Path]]
    process: subprocess.Popen[bytes] = field(repr=False)
    answers: Any = field(repr=False)
    model_id: int = 0

    def simulator(self, picture: str) -> RunReader:
        return RunReader.open(self.folder / "sim" / picture / "simulator")

    def golden(self, picture: str) -> RunReader:
        return RunReader.open(self.folder / "sim" / picture / "golden")

    def layers(self) -> list[str]:
        """Tensors that can have a fault: those that only one operator writes."""
        return [name for name, tensor in self.tensors.items() if tensor["op_type"] not in ("", "InputOperator")]

    def ask(self, request: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.answers.readline()
        if not line:
            raise SystemExit(f"verdicts: the board of {self.name} died; see {self.folder}/board.log")
        return json.loads(line)

    def run(
        self, picture: str, noise: dict[str, float], faults: dict[str, str], seed: int, stale: str | None = None
    ) -> tuple[Path, LocalRun, dict[str, tuple[float, float]]]:
        """The dumps of one run, the local run, and how large each fault is."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        stales = {}
        if stale is not None:
            run = self.simulator(stale)
            stales = {item.name: str(run.file(item.file)) for item in run.manifest.tensors if item.name in faults}
        request: dict[str, Any] = {"job": "run", "model_id": self.model_id, "tensors": self.tensors, "noise": noise}
        request.update(inputs=[str(path) for path in self.inputs[picture]], faults=faults, seed=seed, stale=stales)
        answer = self.ask({**request, "folder": str(folder)})
        records = tuple(
            TensorRecord(name, file, dtype, tuple(shape), order, "", not_comparable="" if whole else "not whole")
            for order, (name, file, dtype, shape, whole) in enumerate(answer["local"])
        )
        manifest = Manifest(
            Engine.SIMULATOR, Precision.QUANTIZED if self.quantized else Precision.FP16, None, (), records
        )
        return folder / "dumps", LocalRun(folder / "local", manifest), answer["sizes"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def pictures_of(sample: Any) -> dict[str, Any]:
    """The sample, one of low contrast, a nearly black one with a small light spot, and noise."""
    if sample.dtype != np.uint8:
        return {"sample": sample, "faint": (sample * 0.1).astype(sample.dtype)}
    dark = np.full_like(sample, 9)
    dark[:, 3:9, 3:11] = sample[:, 3:9, 3:11]
    faint = (118 + (sample.astype(np.int16) - 128) // 24).astype(np.uint8)
    rough = np.random.default_rng(3).integers(0, 256, sample.shape).astype(np.uint8)
    return {"sample": sample, "faint": faint, "dark": dark, "rough": rough}


def make(name: str, quantized: bool, folder: Path, python: Path, wheels: Path) -> Network:
    """Builds and simulates one network; folders that are there already are used again."""
    entry = next(item for item in MODELS if item.name == name)
    if not entry.package and name in SIZES:
        from dataclasses import replace

        entry = replace(entry, shape=(1, 3, SIZES[name], SIZES[name]))
    source = folder / name / "source"
    if not (source / "dataset.txt").is_file():
        prepare(entry, source, wheels, python)
    home = folder / name / ("int8" if quantized else "fp16")
    spec = BuildSpec(
        Framework(entry.framework),
        str(source / entry.file),
        inputs=entry.inputs,
        input_size_list=(entry.shape, *entry.more_shapes) if entry.inputs else (),
        mean_values=((entry.scaling[0],) * 3,) if entry.scaling and entry.kind == "picture" else (),
        std_values=((entry.scaling[1],) * 3,) if entry.scaling and entry.kind == "picture" else (),
        do_quantization=quantized,
        dataset=str(source / "dataset.txt") if quantized else None,
    )
    rknn = home / "model.rknn"
    samples = pictures_of(np.load(source / "input0.npy"))
    if not (home / "done").is_file():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        with Worker(python) as worker:
            built = worker.build(spec, export=rknn)
            write_build_record(built)
            for picture, array in samples.items():
                files = [home / f"{picture}.npy"]
                np.save(files[0], array)
                files += [source / f"input{index + 1}.npy" for index in range(len(entry.more_shapes))]
                prepared = prepare_inputs(
                    files, built.inputs, worker, home / "feed" / picture, layout="nhwc" if array.ndim == 4 else None
                )
                simulate(worker, built, prepared, home / "sim" / picture)
        (home / "done").touch()
    return _on_board(name, quantized, home, spec, list(samples), python)


def _on_board(name: str, quantized: bool, home: Path, spec: BuildSpec, pictures: list[str], python: Path) -> Network:
    model = read_model(home / "model.rknn")
    reading, writing = os.pipe()
    environment = {**worker_environment()}
    with (home / "board.log").open("ab") as log:
        process = subprocess.Popen(
            [str(python), str(BOARD), str(writing)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=home,
            env=environment,
            pass_fds=(writing,),
        )
    os.close(writing)
    simulated = {item.name for item in RunReader.open(home / "sim" / pictures[0] / "simulator").manifest.tensors}
    inputs: dict[str, list[Path]] = {}
    for picture in pictures:
        run = RunReader.open(home / "sim" / picture / "golden")
        files = []
        for index in model.inputs:
            record = next(item for item in run.manifest.tensors if item.name == model.tensors[index].name)
            array = np.array(run.tensor(record))
            if not quantized and array.dtype == np.float32:
                array = array.astype(np.float16).astype(np.float32)
            path = home / f"graph-{picture}-{len(files)}.npy"
            np.save(path, array)
            files.append(path)
        inputs[picture] = files
    made = Network(
        name, quantized, home, model, pictures, _tensors(model, simulated), inputs, process, os.fdopen(reading)
    )
    made.model_id = made.ask({"job": "build", "spec": spec.to_json(), "dataset": _dataset(spec, home), "export": None})[
        "model_id"
    ]
    return made


def _dataset(spec: BuildSpec, home: Path) -> str | None:
    from rkparity.toolkit.dataset import prepare_dataset

    if spec.dataset is None:
        return None
    folder = home / "board-calibration"
    shutil.rmtree(folder, ignore_errors=True)
    return str(prepare_dataset(Path(spec.dataset), folder))


def _tensors(model: Model, simulated: set[str]) -> dict[str, dict[str, Any]]:
    """What the board dumps, by the simulator's tensor: files, grid, and the operator that writes it."""
    found: dict[str, dict[str, Any]] = {}
    for item in model.expected_dumps():
        tensor = item.tensor
        twin = f"{tensor.name}_int8"
        if tensor.is_quantized and item.op_type == "InputOperator":
            name = twin if twin in simulated else tensor.name
        else:
            name = next((other for other in simulator_names(tensor) if other in simulated), "")
        if not name:
            continue
        entry = found.setdefault(
            name,
            {
                "files": [],
                "scale": tensor.scale[0] if tensor.is_quantized else 0.0,
                "zero_point": tensor.zero_point[0] if tensor.is_quantized else 0,
                "op_type": "exDataConvert" if item.op_type == "InputOperator" else "",
            },
        )
        entry["files"].append([item.stem, list(tensor.shape)])
        if item.op_type == "InputOperator":
            entry["op_type"] = "InputOperator"
        elif item.op_type != "OutputOperator":
            entry["op_type"] = item.op_type
    return found
