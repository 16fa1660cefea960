"""Which `.rknn` files the emulator can compute, and from what the toolkit can build them again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rkparity.emulator.description import check_emulated
from rkparity.emulator.model_bytes import has_digest
from rkparity.emulator.values import SimulatorSource, ValueSource, VoidSource
from rkparity.errors import UsageError
from rkparity.model import Model, read_model
from rkparity.toolkit.build_record import has_build_record, read_build_record
from rkparity.toolkit.rebuild import rebuild
from rkparity.toolkit.worker_client import Worker


class ModelCatalogue:
    """The models given by files or folders, built in one toolkit worker when first needed. Safe for several threads."""

    def __init__(self, python: Path | Callable[[], Path], models: Sequence[Path]) -> None:
        """`python` is the toolkit's interpreter, or finds it when a model first has to be built.

        UsageError when a model does not exist.
        """
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
        try:
            return [
                file for path in self._models for file in (sorted(path.rglob("*.rknn")) if path.is_dir() else [path])
            ]
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    def void_files(self) -> list[Path]:
        """Those without a build record, of which only the calls can be judged."""
        return [file for file in self.files() if not has_build_record(file)]

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
        if not has_build_record(rknn):
            return model, VoidSource(model)
        read_build_record(rknn)
        if self._worker is None:
            self._worker = Worker(self._python() if callable(self._python) else self._python)
        built, _, _ = rebuild(self._worker, rknn)
        return model, SimulatorSource(self._worker, built, model)
