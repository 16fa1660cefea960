"""What a virtual board's NPU did and could not do, in a file that reports and manifests read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from rkparity.io import write_json
from rkparity.model import Model, Node

SCHEMA = "rkparity.npu/1"
JOURNAL_NAME = "npu.json"
_MAX_NOTES = 500


class Journal:
    """Written to `path` whenever something new happens. `about` says whose library and whose values these are."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        self._about = about
        self._lock = threading.Lock()
        self._models: dict[str, dict[str, Any]] = {}
        self._void: dict[tuple[str, int, str], dict[str, Any]] = {}
        self._write()

    def model(self, model: Model) -> None:
        """A model was recognised."""
        with self._lock:
            self._models.setdefault(model.sha256, {"file": model.path.name, "sha256": model.sha256, "runs": 0})
            self._write()

    def ran(self, model: Model) -> None:
        """A run was computed."""
        with self._lock:
            self._models.setdefault(model.sha256, {"file": model.path.name, "sha256": model.sha256, "runs": 0})
            self._models[model.sha256]["runs"] += 1
            self._write()

    def void(self, model: Model, node: Node, why: str) -> bool:
        """An operator's output was not written: what is in its memory is not a result. Whether that is new."""
        with self._lock:
            key = (model.sha256, node.index, why)
            new = key not in self._void
            if not new:
                self._void[key]["times"] += 1
            elif len(self._void) < _MAX_NOTES:
                self._void[key] = {
                    "model": model.path.name,
                    "operator": node.index,
                    "type": node.op_type,
                    "why": why,
                    "times": 1,
                }
            self._write()
            return new

    def _write(self) -> None:
        record = {
            "schema": SCHEMA,
            **self._about,
            "models": list(self._models.values()),
            "void": list(self._void.values()),
        }
        write_json(self._path, record)
