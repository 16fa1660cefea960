"""rknn-toolkit2 as a Python object: one persistent worker process, its jobs as methods."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.errors import ToolkitError, ToolkitTimeoutError
from rkparity.io import replacing
from rkparity.toolkit.built_model import BuiltModel, built_model_from_answer
from rkparity.toolkit.dataset import prepare_dataset
from rkparity.toolkit.process import WorkerProcess
from rkparity.toolkit.spec import BuildSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

_START_TIMEOUT_S = 120.0
_MORE_TIME = "give more time: raise budget_s in [check]"


@dataclass(frozen=True)
class LayerValues:
    """One run of the simulator: `outputs` in the model's order, `layers` by tensor name in execution order."""

    outputs: tuple[NDArray[Any], ...]
    layers: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ReplayedTensor:
    """What one operator computes from given tensors.

    `nearest`: the given tensors it was computed from; `whole`: every way up the graph ends at one of them.
    """

    name: str
    values: NDArray[Any]
    nearest: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class Replayed:
    """One pass of `Worker.resimulate`, tensors in execution order; `misfits`: given, but of another shape."""

    tensors: tuple[ReplayedTensor, ...]
    used: tuple[str, ...]
    misfits: tuple[str, ...]


@dataclass(frozen=True)
class SimulatedTensor:
    """One tensor `accuracy_analysis` produced: its name and its file's name, dtype and shape in both engines."""

    name: str
    file: str
    golden: tuple[str, tuple[int, ...]]
    simulator: tuple[str, tuple[int, ...]]


class Worker:
    """One worker process; a context manager. Safe to use from several threads, jobs queue.

    `python` is the toolkit's interpreter (see `find_toolkit_python`). `scratch` is its working directory: a temporary
    one, removed at the end, when none is given. `timeout_s` is for one job; no job outlives `deadline` (of
    `time.monotonic`): one that runs then is ended with the process, a later one is not begun, both raise
    ToolkitTimeoutError. Every method raises ToolkitError with the toolkit's own last line when it refuses, dies or
    hangs; after the last two all further calls raise. The toolkit's whole output is in `log`, which outlives the worker
    when a job failed.
    """

    def __init__(
        self, python: Path, *, scratch: Path | None = None, timeout_s: float = 1800.0, deadline: float | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._own_scratch = scratch is None
        self.scratch = Path(tempfile.mkdtemp(prefix="rkparity-toolkit-")) if scratch is None else scratch.resolve()
        self.scratch.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix="rkparity-toolkit-", suffix=".log")
        os.close(fd)
        self.log = Path(name)
        self._failed = True
        self._count = 0
        try:
            self._process = WorkerProcess(python, cwd=self.scratch, log=self.log)
            hello = self._process.ask("hello", timeout_s=self._allowed(_START_TIMEOUT_S))
        except ToolkitError as error:
            if hasattr(self, "_process"):
                self._process.close()
            self._remove_scratch()
            if isinstance(error, ToolkitTimeoutError):
                raise
            raise ToolkitError(
                f"{python}: cannot run rknn-toolkit2: {error.message}",
                hint=f"make its environment with `rkparity setup-toolkit`; {error.hint}",
            ) from error
        self._failed = False
        self.toolkit_version = str(hello["toolkit_version"])
        self.has_fast_snapshot = bool(hello["fast_snapshot"])

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process and removes the temporary scratch folder, and the log unless a job failed."""
        self._process.close()
        self._remove_scratch()
        if not self._failed:
            self.log.unlink(missing_ok=True)

    def log_size(self) -> int:
        """Bytes the toolkit has printed so far."""
        return self._process.log_size()

    def log_since(self, position: int) -> str:
        """What the toolkit printed from byte `position` of the log on, without colours."""
        return self._process.log_since(position)

    def build(self, spec: BuildSpec, *, export: Path | None = None) -> BuiltModel:
        """Builds a model and readies the simulator; with `export` also writes that `.rknn`, whole or not at all."""
        spec = spec.resolved(Path.cwd())
        spec.check()
        start = self.log_size()
        dataset = None
        if spec.do_quantization and spec.dataset is not None:
            dataset = prepare_dataset(Path(spec.dataset), self._folder("calibration"))
        part = None if export is None else self._folder("export").with_suffix(".rknn")
        answer = self._ask(
            "build",
            spec=spec.to_json(),
            dataset=None if dataset is None else str(dataset),
            export=None if part is None else str(part),
        )
        sha256 = None
        if part is not None and export is not None:
            if not part.is_file():
                raise ToolkitError(
                    f"rknn-toolkit2 export_rknn: wrote no file for {export}", hint=f"what it printed: {self.log}"
                )
            sha256 = install_file(part, export)
        return built_model_from_answer(
            answer,
            spec=spec,
            toolkit_version=self.toolkit_version,
            rknn=export,
            rknn_sha256=sha256,
            log=self._process.log_since(start),
        )

    def infer(
        self, model_id: int, inputs: Sequence[NDArray[Any]], data_format: Sequence[str] | None = None
    ) -> list[NDArray[Any]]:
        """The simulator's outputs for inputs as a user gives them, before mean and std.

        `data_format` is "nhwc" or "nchw" per input; the toolkit's default is nhwc for 4-D.
        """
        with self._exchange(inputs) as (files, folder):
            outputs = self._ask(
                "infer",
                model_id=model_id,
                inputs=files,
                data_format=None if data_format is None else list(data_format),
                folder=str(folder),
            )
            return [_mapped(folder / file) for file in outputs]

    def layers(
        self, model_id: int, inputs: Sequence[NDArray[Any]], *, names: Sequence[str] | None = None
    ) -> LayerValues:
        """Runs the simulator from the values the graph's inputs hold, and gives every layer's tensor.

        `inputs` are float32 (or the graph's integer type) in the graph's shape, AFTER mean and std: for a quantised
        model (q - zero_point) * scale of the input, for FP16 the values as float32. They enter the graph bit for bit.
        `names` limits which tensors are given. Arrays are mapped files without a name: they vanish with the last
        reference.
        """
        return self._run_graph(model_id, inputs, names, True)

    def outputs(self, model_id: int, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The same as `layers` without the layers, at the speed of the toolkit's own inference."""
        return list(self._run_graph(model_id, inputs, None, False).outputs)

    def resimulate(
        self,
        model_id: int,
        inputs: Sequence[NDArray[Any]],
        substitutes: Mapping[str, NDArray[Any]],
        *,
        names: Sequence[str] | None = None,
    ) -> Replayed:
        """Runs every operator alone, reading `substitutes` (by tensor name) instead of what the simulator computed.

        `inputs` as for `layers`. An operator whose inputs are all given is computed on exactly these; operators fused
        on the board are computed through from the nearest given tensors. `names` limits which tensors are returned.
        """
        with self._exchange([*inputs, *substitutes.values()]) as (files, folder):
            answer = self._ask(
                "resimulate",
                model_id=model_id,
                inputs=files[: len(inputs)],
                substitutes=dict(zip(substitutes, files[len(inputs) :])),
                names=None if names is None else list(names),
                folder=str(folder),
            )
            return Replayed(
                tuple(
                    ReplayedTensor(row["name"], _mapped(folder / row["file"]), tuple(row["nearest"]), row["whole"])
                    for row in answer["rows"]
                ),
                tuple(answer["used"]),
                tuple(answer["misfits"]),
            )

    def _run_graph(
        self, model_id: int, inputs: Sequence[NDArray[Any]], names: Sequence[str] | None, want_layers: bool
    ) -> LayerValues:
        with self._exchange(inputs) as (files, folder):
            answer = self._ask(
                "layers",
                model_id=model_id,
                inputs=files,
                names=None if names is None else list(names),
                want_layers=want_layers,
                folder=str(folder),
            )
            return LayerValues(
                tuple(_mapped(folder / file) for file in answer["outputs"]),
                {row["name"]: _mapped(folder / row["file"]) for row in answer["layers"]},
            )

    def read_picture(
        self, path: Path, *, channels: int, height: int, width: int, resize: bool, bgr: bool, out: Path
    ) -> dict[str, Any]:
        """Reads a picture with the toolkit's OpenCV into `out`: uint8 (1, height, width, channels), RGB or BGR."""
        result: dict[str, Any] = self._ask(
            "picture",
            path=str(path.resolve()),
            channels=channels,
            height=height,
            width=width,
            resize=resize,
            bgr=bgr,
            file=str(out.resolve()),
        )
        return result

    def analyse(
        self, model_id: int, inputs: Sequence[Path], *, golden: Path, simulator: Path, folder: Path, fast: bool
    ) -> tuple[SimulatedTensor, ...] | None:
        """The toolkit's accuracy_analysis, its tables into `folder`.

        fast: each tensor is written once, straight into the folders `golden` and `simulator`, and listed in the answer.
        Otherwise the toolkit writes its whole snapshot into `folder` and the answer is None.
        """
        answer = self._ask(
            "simulate",
            model_id=model_id,
            inputs=[str(path.resolve()) for path in inputs],
            golden=str(golden.resolve()),
            simulator=str(simulator.resolve()),
            folder=str(folder.resolve()),
            fast=fast,
        )
        if answer["rows"] is None:
            return None
        return tuple(
            SimulatedTensor(row["name"], row["file"], _kind(row["golden"]), _kind(row["simulator"]))
            for row in answer["rows"]
        )

    def release(self, model_id: int) -> None:
        """Frees a model."""
        self._ask("release", model_id=model_id)

    def job(self, name: str, **arguments: Any) -> Any:
        """Runs a worker's job by its name, for the modules that wrap one group of jobs each."""
        return self._ask(name, **arguments)

    def new_folder(self, what: str) -> Path:
        """A path in scratch that no other job uses; it does not exist yet."""
        return self._folder(what)

    @property
    def is_gone(self) -> bool:
        """Whether the process died, was ended or closed: every further call raises."""
        return self._process.is_gone

    @contextlib.contextmanager
    def ending_at(self, deadline: float) -> Iterator[None]:
        """A block whose jobs do not outlive `deadline` (of `time.monotonic`)."""
        before, self._deadline = self._deadline, deadline
        try:
            yield
        finally:
            self._deadline = before

    def _allowed(self, timeout_s: float) -> float:
        """What a job may take of `timeout_s` before the deadline; ToolkitTimeoutError when that has passed."""
        if self._deadline is None:
            return timeout_s
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ToolkitTimeoutError("not begun: the time budget was over", hint=_MORE_TIME)
        return min(timeout_s, left)

    def _ask(self, job: str, **arguments: Any) -> Any:
        allowed = self._allowed(self._timeout_s)
        try:
            return self._process.ask(job, timeout_s=allowed, **arguments)
        except ToolkitTimeoutError:
            if self._deadline is None or allowed == self._timeout_s:
                self._failed = True
                raise
            # Ended as planned: nothing failed, so there is no log to keep.
            raise ToolkitTimeoutError("ended: the time budget was over", hint=_MORE_TIME) from None
        except ToolkitError:
            self._failed = True
            raise

    def _folder(self, what: str) -> Path:
        self._count += 1
        return self.scratch / f"{what}{self._count}"

    @contextlib.contextmanager
    def _exchange(self, inputs: Sequence[NDArray[Any]]) -> Iterator[tuple[list[str], Path]]:
        """A folder in scratch with the inputs in it; mapped results stay valid after it is removed."""
        from rkparity.runs import write_npy

        folder = Path(tempfile.mkdtemp(prefix="exchange-", dir=self.scratch))
        try:
            files = []
            for index, array in enumerate(inputs):
                file = folder / f"input{index}.npy"
                write_npy(file, array)
                files.append(str(file))
            yield files, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_scratch(self) -> None:
        if self._own_scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _kind(value: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    return value["dtype"], tuple(value["shape"])


def _mapped(path: Path) -> NDArray[Any]:
    from rkparity.runs import open_npy

    return open_npy(path)


def install_file(part: Path, export: Path) -> str:
    """Moves the exported file to its place in one step; returns its SHA-256."""
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    try:
        export.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb") as source, replacing(export) as target:
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise ToolkitError(f"{export}: cannot be written: {error.strerror}") from error
    part.unlink()
    return digest
