"""The NPU: builds one model in rknn-toolkit2's interpreter and runs it with noise and faults that really propagate.

`python board.py FD`: JSON requests on standard input, answers on the descriptor. Every operator is computed on what the
noisy board has before it; what it computed there is at the same time the local run's tensor.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rknn.api.simulator as simulator_module
from faults import FAULTS, Grid, noisy, size_of
from rkparity_toolkit_worker.capture import Replay, graph_inputs, replayed
from rkparity_toolkit_worker.failures import call_toolkit
from rkparity_toolkit_worker.jobs import Jobs

MOVES = (
    "Reshape",
    "Transpose",
    "Split",
    "Slice",
    "MaxPool",
    "Gather",
    "Flatten",
    "Squeeze",
    "exDataConvert",
    "InputOperator",
)


class Npu(dict):  # type: ignore[type-arg]
    """The tensors a noisy board has, made the moment an operator has computed them."""

    def __init__(self, request: dict[str, Any], values: dict[str, Any]) -> None:
        super().__init__(values)
        self.request = request
        self.random = np.random.default_rng(request["seed"])
        self.local: dict[str, Any] = {}
        self.sizes: dict[str, tuple[float, float]] = {}

    def computed(self, name: str, array: Any, nearest: list[str], whole: bool) -> None:
        """Keeps what the operator computed, and what the board makes of it."""
        self.local[name] = (array.copy(), whole)
        tensor = self.request["tensors"].get(name)
        if tensor is None:
            return
        if array.dtype.kind != "f":
            self[name] = array
            return
        grid = Grid(tensor["scale"], tensor["zero_point"])
        # Published tables of boards: float16 copies are exact, those of codes may requantise.
        exact = tensor["op_type"] in MOVES or (not grid.scale and tensor["op_type"] == "Concat")
        healthy = grid.put(array) if exact else noisy(array, grid, self.request["noise"], self.random)
        fault = self.request["faults"].get(name)
        self[name] = healthy if fault is None else self._faulty(name, fault, healthy, grid)

    def _faulty(self, name: str, fault: str, healthy: Any, grid: Grid) -> Any:
        if fault == "older":
            gain = 1 + 0.2 * self.random.standard_normal(healthy.shape[1] if healthy.ndim > 1 else 1)
            wrong = healthy * gain.astype(np.float32).reshape((1, -1) + (1,) * max(healthy.ndim - 2, 0))
        elif fault == "stale":
            wrong = np.load(self.request["stale"][name]).reshape(healthy.shape)
        else:
            wrong = FAULTS[fault](healthy.copy(), grid, self.random)
        if np.isfinite(wrong).all():
            wrong = grid.put(wrong)
        self.sizes[name] = size_of(healthy, wrong, grid)
        return wrong.astype(np.float32)


def run(jobs: Jobs, request: dict[str, Any]) -> dict[str, Any]:
    """One inference; dumps and the local run into the folder of the request."""
    rknn = jobs.model(request["model_id"])
    arrays = [np.load(path) for path in request["inputs"]]
    values = jobs._graph_values(request["model_id"], arrays)
    npu = Npu(request, values)
    replay = Replay(npu, npu.computed)
    replay.inputs(values)
    with graph_inputs(simulator_module, values), replayed(simulator_module, replay):
        call_toolkit("inference", rknn.inference, inputs=arrays, data_format=["nchw"] * len(arrays))
    folder = Path(request["folder"])
    (folder / "dumps").mkdir(parents=True)
    (folder / "local").mkdir()
    for name, tensor in request["tensors"].items():
        for stem, shape in tensor["files"]:
            array = npu[name].reshape(shape)
            suffix = "int64" if array.dtype.kind in "iu" else "float"
            np.save(folder / "dumps" / f"{stem}_{suffix}.npy", array)
    rows = []
    for order, (name, (array, whole)) in enumerate(npu.local.items()):
        np.save(folder / "local" / f"{order:04d}.npy", array)
        rows.append([name, f"{order:04d}.npy", array.dtype.name, list(array.shape), whole])
    return {"local": rows, "sizes": npu.sizes, "misfits": replay.misfits}


def main() -> int:
    answers = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    jobs = Jobs()
    for line in sys.stdin:
        request = json.loads(line)
        job = request.pop("job")
        result = jobs.build(**request) if job == "build" else run(jobs, request)
        print(json.dumps(result), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
