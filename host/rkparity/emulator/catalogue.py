"""Which `.rknn` files the emulator can compute, and from what the toolkit can build them again."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from rkparity.emulator.description import check_emulated, graph_views
from rkparity.emulator.model_bytes import has_digest
from rkparity.emulator.values import SimulatorSource, ValueSource
from rkparity.errors import DataError, UsageError
from rkparity.model import Model, read_model
from rkparity.toolkit.build_record import read_build_record
from rkparity.toolkit.worker_client import Worker

# Scales pass through single precision in the file and through the worker's JSON.
_SCALE_TOLERANCE = 1e-6


class ModelCatalogue:
    """The models given by files or folders, built in one toolkit worker when first needed. Safe for several threads."""

    def __init__(self, python: Path, models: Sequence[Path]) -> None:
        """`python` is the toolkit's interpreter. UsageError when a model does not exist."""
        for path in models:
            if not path.exists():
                raise UsageError(f"{path}: does not exist")
        self._python = python
        self._models = list(models)
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._ready: dict[str, tuple[Model, ValueSource]] = {}

    def close(self) -> None:
        """Ends the worker."""
        with self._lock:
            if self._worker is not None:
                self._worker.close()
                self._worker = None

    def files(self) -> list[Path]:
        """Every `.rknn` file there is now."""
        return [file for path in self._models for file in (sorted(path.rglob("*.rknn")) if path.is_dir() else [path])]

    def prepare(self) -> None:
        """Builds every model that was named by its file, so that rknn_init is quick; errors are raised."""
        for path in self._models:
            if path.is_file():
                self.open(hashlib.sha256(path.read_bytes()).hexdigest())

    def open(self, sha256: str) -> tuple[Model, ValueSource]:
        """The model with these bytes and what computes it; UsageError when it is not one of the emulator's."""
        with self._lock:
            if sha256 not in self._ready:
                self._ready[sha256] = self._build(self._find(sha256))
            return self._ready[sha256]

    def _find(self, sha256: str) -> Path:
        for file in self.files():
            if has_digest(file.read_bytes(), sha256):
                return file
        raise UsageError(
            f"the emulator was not started with this model (sha256 {sha256[:16]}...)",
            hint="start it with --model M.rknn; M.rknn.build.json must lie beside the file",
        )

    def _build(self, rknn: Path) -> tuple[Model, ValueSource]:
        model = read_model(rknn)
        check_emulated(model)
        spec = read_build_record(rknn).spec
        if self._worker is None:
            self._worker = Worker(self._python)
        with tempfile.TemporaryDirectory(prefix="rkparity-emulator-") as folder:
            built = self._worker.build(spec, export=Path(folder) / "twin.rknn")
            check_same_build(model, read_model(Path(folder) / "twin.rknn"))
        return model, SimulatorSource(self._worker, built, model)


def check_same_build(model: Model, twin: Model) -> None:
    """DataError when two files were not built the same way. Their bytes always differ; what they say decides."""
    hint = "the toolkit, the source model or the calibration data changed since; build it again with `rkparity build`"
    if [graph.input_shapes for graph in model.graphs] != [graph.input_shapes for graph in twin.graphs]:
        raise DataError(f"{model.path.name}: building it again from its record gives other input shapes", hint=hint)
    for mine, other in zip(graph_views(model), graph_views(twin)):
        _check_same_graph(mine, other, hint)


def _check_same_graph(model: Model, twin: Model, hint: str) -> None:
    if [(node.op_type, node.name) for node in model.nodes] != [(node.op_type, node.name) for node in twin.nodes]:
        raise DataError(
            f"{model.path.name}: building it again from its record gives another list of operators", hint=hint
        )
    others = {tensor.name: tensor for tensor in twin.tensors}
    for node in model.nodes:
        for index in node.outputs:
            mine = model.tensors[index]
            other = others.get(mine.name)
            if (
                other is None
                or mine.shape != other.shape
                or mine.dtype != other.dtype
                or mine.zero_point != other.zero_point
                or len(mine.scale) != len(other.scale)
                or any(abs(a - b) > _SCALE_TOLERANCE * abs(a) for a, b in zip(mine.scale, other.scale))
            ):
                raise DataError(
                    f"{model.path.name}: building it again from its record gives another {mine.name} "
                    "(type, shape, scale or zero point)",
                    hint=hint,
                )
