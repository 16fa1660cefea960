"""Jobs that look for a better quantisation: mixtures without a build, calibration coverage, the hybrid steps."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import rknn.api.simulator as simulator_module
from rknn.api import RKNN

from rkparity_toolkit_worker.failures import JobFailed, ToolkitCall, call_toolkit
from rkparity_toolkit_worker.mixed import MixedGraph, capture_graph, folder_of

HISTOGRAM_BINS = 64
HISTOGRAM_VALUES = 100_000


class HybridJobs:
    """The graphs taken apart so far, by their model's number. `owner` is the table of all jobs' models."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._graphs: dict[int, MixedGraph] = {}

    def table(self) -> dict[str, Callable[..., Any]]:
        """Job name to function."""
        return {
            "mixed_open": self.mixed_open,
            "mixed_add": self.mixed_add,
            "mixed_contributions": self.mixed_contributions,
            "mixed_evaluate": self.mixed_evaluate,
            "mixed_coverage": self.mixed_coverage,
            "mixed_golden": self.mixed_golden,
            "source_operators": source_operators,
            "mixed_close": self.mixed_close,
            "hybrid_step1": hybrid_step1,
            "hybrid_step2": self.hybrid_step2,
        }

    def mixed_open(self, model_id: int, inputs: list[str], outputs: list[str], folder: str) -> dict[str, Any]:
        """Takes a quantised model apart on one sample (raw, NCHW files); the toolkit's tables go to `folder`."""
        graph = capture_graph(simulator_module, self._owner.model(model_id), inputs, str(folder_of(folder)), outputs)
        self._graphs[model_id] = graph
        return {
            "operators": [
                {
                    "index": operator.index,
                    "op_type": operator.op_type,
                    "reads": operator.reads,
                    "makes": operator.makes,
                    "macs": operator.macs,
                    "elements": int(sum(graph.golden[name].size for name in operator.makes)),
                    "quantised": all(graph.quantised(name) for name in operator.makes),
                    "fused": all(graph.fused_away(name) for name in operator.makes),
                    "entire": operator.entire[operator.makes[0]],
                    "single": operator.single[operator.makes[0]],
                }
                for operator in graph.operators
            ],
            "error": graph.mixed_error(set()),
        }

    def mixed_add(
        self, model_id: int, meta: list[dict[str, Any]], samples: list[list[str]], judged: bool
    ) -> dict[str, float]:
        """Further samples; those `judged` count for the cosine. Answers the int8 model's error over all."""
        graph = self._graph(model_id)
        for files in samples:
            values = {item["name"]: normalised(np.load(file), item) for item, file in zip(meta, files)}
            graph.add_sample(values, judged=judged)
        return graph.mixed_error(set())

    def mixed_contributions(self, model_id: int, operators: list[int]) -> list[dict[str, float]]:
        """For each operator the output's error when it alone is quantised: its weights, and its output's storage."""
        graph = self._graph(model_id)
        return [
            {
                "index": float(index),
                "weights": graph.injected_error(graph.operators[index], weights=True),
                "storage": graph.injected_error(graph.operators[index], weights=False),
            }
            for index in operators
        ]

    def mixed_evaluate(self, model_id: int, sets: list[list[int]]) -> list[dict[str, float]]:
        """The output's error for each set of operators kept in float16, everything else int8."""
        graph = self._graph(model_id)
        return [graph.mixed_error(set(floats)) for floats in sets]

    def mixed_coverage(
        self, model_id: int, meta: list[dict[str, Any]], samples: list[list[str]], real: list[list[str]]
    ) -> list[dict[str, Any]]:
        """Ranges and histograms of every tensor over calibration samples and over real inputs (raw NCHW files)."""
        graph = self._graph(model_id)
        names = [meta_item["name"] for meta_item in meta]
        found: dict[str, dict[str, Any]] = {}
        for kind, group in (("calibration", samples), ("real", real)):
            for files in group:
                values = {name: normalised(np.load(file), item) for name, item, file in zip(names, meta, files)}
                for name, value in graph.float_pass(values):
                    if value.dtype.kind == "f" and value.size:
                        _count(found.setdefault(name, {}), kind, np.ravel(value), graph.table.get(name))
        return [
            {"name": name, **_coverage(entry)}
            for name, entry in found.items()
            if "calibration" in entry and "real" in entry
        ]

    def mixed_golden(
        self, model_id: int, meta: list[dict[str, Any]], samples: list[list[str]], folder: str
    ) -> list[list[str]]:
        """The float32 graph's outputs for each sample (raw NCHW files), as files in `folder`."""
        graph = self._graph(model_id)
        base = folder_of(folder)
        answer = []
        for number, files in enumerate(samples):
            values = {item["name"]: normalised(np.load(file), item) for item, file in zip(meta, files)}
            kept = {name: value for name, value in graph.float_pass(values) if name in graph.outputs}
            paths = [str(base / f"golden{number}_{index}.npy") for index in range(len(graph.outputs))]
            for path, name in zip(paths, graph.outputs):
                np.save(path, kept[name])
            answer.append(paths)
        return answer

    def mixed_close(self, model_id: int) -> None:
        """Frees the sessions and tensors of a model taken apart; the model stays."""
        self._graphs.pop(model_id, None)

    def hybrid_step2(self, model: str, data: str, cfg: str, export: str | None) -> dict[str, Any]:
        """Builds from step 1's files and the configuration `cfg`; the answer is that of `build` and the target.

        `config` is not called: step 1's settings are in its files, and others are refused (2.5.0).
        """
        rknn: Any = None
        with ToolkitCall("RKNN()"):
            rknn = RKNN(verbose=False)
        try:
            call_toolkit(
                "hybrid_quantization_step2",
                rknn.hybrid_quantization_step2,
                model_input=model,
                data_input=data,
                model_quantization_cfg=cfg,
            )
            if export is not None:
                call_toolkit("export_rknn", rknn.export_rknn, export)
            call_toolkit("init_runtime", rknn.init_runtime)
        except JobFailed:
            rknn.release()
            raise
        result: dict[str, Any] = self._owner.adopt(rknn)
        platform = getattr(getattr(rknn.rknn_base, "args", None), "target_platform", None)
        return {**result, "target_platform": platform if isinstance(platform, str) else None}

    def _graph(self, model_id: int) -> MixedGraph:
        if model_id not in self._graphs:
            raise JobFailed("argument", "", f"model {model_id} has not been taken apart in this worker")
        return self._graphs[model_id]


def hybrid_step1(spec: dict[str, Any], dataset: str, proposal: bool, folder: str) -> dict[str, Any]:
    """hybrid_quantization_step1 into `folder`: names of its files and the layers the toolkit proposes."""
    from rkparity_toolkit_worker.jobs import config_arguments, load_model

    rknn: Any = None
    with ToolkitCall("RKNN()"):
        rknn = RKNN(verbose=False)
    dataset = str(Path(dataset).resolve())
    try:
        call_toolkit("config", rknn.config, **config_arguments(spec))
        load_model(rknn, spec)
        with working_folder(folder_of(folder)):
            call_toolkit(
                "hybrid_quantization_step1", rknn.hybrid_quantization_step1, dataset=dataset, proposal=proposal
            )
    finally:
        rknn.release()
    found = sorted(Path(folder).glob("*.quantization.cfg"))
    if len(found) != 1:
        raise JobFailed("none", "hybrid_quantization_step1", "wrote no quantization.cfg")
    return {"stem": found[0].name[: -len(".quantization.cfg")], "cfg": str(found[0])}


def source_operators(model: str) -> dict[str, int]:
    """How often each operator type occurs in an ONNX model, without loading its weights."""
    import onnx

    counts: dict[str, int] = {}
    with ToolkitCall("onnx.load"):
        for node in onnx.load(model, load_external_data=False).graph.node:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts


def normalised(raw: Any, meta: dict[str, Any]) -> Any:
    """What the graph's input holds for raw NCHW values: (x - mean) / std per channel, in double precision."""
    if not str(meta["dtype"]).startswith(("float", "int8", "uint8")):
        return raw
    values = raw.astype(np.float64)
    if meta["mean"] and values.ndim >= 2:
        shape = (1, -1) + (1,) * (values.ndim - 2)
        # A model of several sets of shapes has as many numbers as the largest set has channels.
        mean, std = (given[:1] if len(set(given)) == 1 else given for given in (meta["mean"], meta["std"]))
        values = (values - np.reshape(mean, shape)) / np.reshape(std, shape)
    return values.astype(np.float32)


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Inside the block the toolkit writes into `folder`; step 1 has no argument for it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _count(entry: dict[str, Any], kind: str, values: Any, quantisation: dict[str, Any] | None) -> None:
    if "edges" not in entry:
        known = quantisation or {}
        low = float(np.min(known["ori_min"])) if known.get("ori_min") else float(values.min())
        high = float(np.max(known["ori_max"])) if known.get("ori_max") else float(values.max())
        margin = max(high - low, 1e-12) / 4
        entry["edges"] = (low - margin, high + margin)
        entry["integer_range"] = (low, high) if known.get("ori_min") else None
    # Every n-th value of a large tensor gives the same histogram; ranges are taken from all.
    some = values[:: max(values.size // HISTOGRAM_VALUES, 1)]
    low, high = entry["edges"]
    counts = np.histogram(np.clip(some, low, high), bins=HISTOGRAM_BINS, range=(low, high))[0]
    old = entry.setdefault(kind, {"min": np.inf, "max": -np.inf, "counts": np.zeros(HISTOGRAM_BINS), "size": 0})
    old["min"], old["max"] = min(old["min"], float(values.min())), max(old["max"], float(values.max()))
    old["counts"] = old["counts"] + counts
    old["counted"] = old.get("counted", 0) + some.size
    old["size"] += values.size
    if entry["integer_range"] is not None:
        low, high = entry["integer_range"]
        old["outside"] = old.get("outside", 0) + int(np.count_nonzero((values < low) | (values > high)))


def _coverage(entry: dict[str, Any]) -> dict[str, Any]:
    calibration, real = entry["calibration"], entry["real"]
    shares = [item["counts"] / max(item["counted"], 1) for item in (calibration, real)]
    return {
        "calibration_range": [calibration["min"], calibration["max"]],
        "real_range": [real["min"], real["max"]],
        "outside": real.get("outside", 0) / max(real["size"], 1),
        "size": int(real["size"]),
        "overlap": float(np.minimum(*shares).sum()),
    }
