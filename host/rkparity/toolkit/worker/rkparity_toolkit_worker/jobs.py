"""The jobs: build, infer, layers, resimulate, simulate, release. Tensors go as npy files, not over the channel."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Callable

import numpy as np
import rknn.api.simulator as simulator_module
from rknn.api import RKNN

from rkparity_toolkit_worker import original
from rkparity_toolkit_worker.board_jobs import BoardJobs
from rkparity_toolkit_worker.capture import (
    Replay,
    SnapshotWriter,
    graph_inputs,
    layer_tap_works,
    layer_values,
    replaced,
    replayed,
    save,
    snapshot_tap_works,
)
from rkparity_toolkit_worker.converter_names import make_names_repeat
from rkparity_toolkit_worker.failures import JobFailed, ToolkitCall, call_toolkit, need_package, need_torch
from rkparity_toolkit_worker.hybrid_jobs import HybridJobs
from rkparity_toolkit_worker.pictures import read_picture


class Jobs:
    """The models built so far, by number, and what can be done with them."""

    def __init__(self) -> None:
        self._models: dict[int, Any] = {}
        self._batches: dict[int, int] = {}
        self._next_id = 1
        self._hybrid = HybridJobs(self)
        self._board = BoardJobs(self)

    def table(self) -> dict[str, Callable[..., Any]]:
        """Job name to function; a request's other fields are the function's arguments."""
        return {
            "hello": self.hello,
            "build": self.build,
            "infer": self.infer,
            "layers": self.layers,
            "resimulate": self.resimulate,
            "simulate": self.simulate,
            "picture": read_picture,
            "release": self.release,
            **self._hybrid.table(),
            **original.table(),
            **self._board.table(),
        }

    def hello(self) -> dict[str, Any]:
        """The toolkit's version and which taps fit it."""
        return {
            "toolkit_version": toolkit_version(),
            "numpy_version": np.__version__,
            "fast_snapshot": snapshot_tap_works(simulator_module),
            "layers": layer_tap_works(simulator_module),
        }

    def build(self, spec: dict[str, Any], dataset: str | None, export: str | None) -> dict[str, Any]:
        """Configures, loads, builds, readies the simulator and exports; `dataset` is the list to use."""
        rknn: Any = None
        with ToolkitCall("RKNN()"):
            rknn = RKNN(verbose=False)
        try:
            call_toolkit("config", rknn.config, **config_arguments(spec))
            load_model(rknn, spec)
            build_arguments = dict(spec["extra"].get("build", {}))
            batch = build_arguments.get("rknn_batch_size") or 1
            if spec["do_quantization"]:
                build_arguments["dataset"] = dataset
            call_toolkit("build", rknn.build, do_quantization=spec["do_quantization"], **build_arguments)
            if export is not None:
                call_toolkit("export_rknn", rknn.export_rknn, export)
            call_toolkit("init_runtime", rknn.init_runtime)
        except JobFailed:
            rknn.release()
            raise
        return self.adopt(rknn, batch)

    def adopt(self, rknn: Any, batch: int = 1) -> dict[str, Any]:
        """Keeps a model that is ready to run under a new number, and describes it; `batch` is rknn_batch_size."""
        described = _describe(rknn, batch)
        model_id = self._next_id
        self._next_id += 1
        self._models[model_id] = rknn
        self._batches[model_id] = batch
        return {"model_id": model_id, **described}

    def infer(self, model_id: int, inputs: list[str], data_format: list[str] | None, folder: str) -> list[str]:
        """The outputs of the simulator for `inputs` as the user gives them (before mean and std)."""
        rknn = self.model(model_id)
        outputs = call_toolkit(
            "inference", rknn.inference, inputs=[np.load(path) for path in inputs], data_format=data_format
        )
        return _save_outputs(outputs, folder)

    def layers(
        self, model_id: int, inputs: list[str], names: list[str] | None, want_layers: bool, folder: str
    ) -> dict[str, Any]:
        """Runs the graph from the values its inputs hold (after mean and std), keeping every layer's tensor."""
        _need_layer_tap()
        rknn = self.model(model_id)
        arrays = [np.load(path) for path in inputs]
        values = self._graph_values(model_id, arrays)
        wanted = None if names is None else set(names)
        rows: list[dict[str, str]] = []

        def keep(name: str, array: Any) -> None:
            if wanted is None or name in wanted:
                file = f"{len(rows):04d}.npy"
                save(Path(folder) / file, np.asarray(array))
                rows.append({"name": name, "file": file})

        formats = ["nchw"] * len(arrays)
        with graph_inputs(simulator_module, values):
            if want_layers:
                for name, array in values.items():
                    keep(name, array)
                with layer_values(simulator_module, keep):
                    outputs = call_toolkit("inference", rknn.inference, inputs=arrays, data_format=formats)
            else:
                outputs = call_toolkit("inference", rknn.inference, inputs=arrays, data_format=formats)
        return {"outputs": _save_outputs(outputs, folder), "layers": rows}

    def resimulate(
        self, model_id: int, inputs: list[str], substitutes: dict[str, str], names: list[str] | None, folder: str
    ) -> dict[str, Any]:
        """Runs every operator alone on `substitutes` (tensor name to file) where its inputs are among them.

        `inputs` are what the graph's inputs hold (after mean and std); they are substitutes as well.
        """
        _need_layer_tap()
        rknn = self.model(model_id)
        arrays = [np.load(path) for path in inputs]
        values = self._graph_values(model_id, arrays)
        given = {name: np.load(path, mmap_mode="r") for name, path in substitutes.items()}
        wanted = None if names is None else set(names)
        rows: list[dict[str, Any]] = []

        def keep(name: str, array: Any, nearest: list[str], whole: bool) -> None:
            if wanted is None or name in wanted:
                file = f"{len(rows):04d}.npy"
                save(Path(folder) / file, np.asarray(array))
                rows.append({"name": name, "file": file, "nearest": nearest, "whole": whole})

        replay = Replay({**values, **given}, keep)
        replay.inputs(values)
        with graph_inputs(simulator_module, values), replayed(simulator_module, replay):
            call_toolkit("inference", rknn.inference, inputs=arrays, data_format=["nchw"] * len(arrays))
        return {"rows": rows, "used": replay.used, "misfits": replay.misfits}

    def simulate(
        self, model_id: int, inputs: list[str], golden: str, simulator: str, folder: str, fast: bool
    ) -> dict[str, Any]:
        """accuracy_analysis into `folder`; fast: tensors straight into `golden` and `simulator`, no text copies."""
        rknn = self.model(model_id)
        if fast and not snapshot_tap_works(simulator_module):
            raise JobFailed(
                "argument",
                "accuracy_analysis",
                f"rknn-toolkit2 {toolkit_version()}: its snapshot writer is not the known one",
            )
        if not fast:
            call_toolkit("accuracy_analysis", rknn.accuracy_analysis, inputs=inputs, output_dir=folder)
            return {"rows": None}
        writer = SnapshotWriter(Path(golden), Path(simulator))
        with replaced(simulator_module, "_snapshot_tensor", writer):
            call_toolkit("accuracy_analysis", rknn.accuracy_analysis, inputs=inputs, output_dir=folder)
        return {"rows": writer.rows}

    def release(self, model_id: int) -> None:
        """Forgets a model."""
        rknn = self.model(model_id)
        del self._models[model_id]
        del self._batches[model_id]
        self._hybrid.mixed_close(model_id)
        call_toolkit("release", rknn.release)

    def _graph_values(self, model_id: int, arrays: list[Any]) -> dict[str, Any]:
        """The arrays as the graph's inputs hold them, by name.

        With rknn_batch_size N the simulator's tensors have the batch before the source model's own first dimension:
        (N, 1, C, H, W).
        """
        batch = self._batches[model_id]
        if batch > 1:
            arrays = [array.reshape(batch, array.shape[0] // batch, *array.shape[1:]) for array in arrays]
        return {meta["name"]: array for meta, array in zip(_inputs_of(self.model(model_id)), arrays)}

    def model(self, model_id: int) -> Any:
        """A model by its number; JobFailed when this worker has none."""
        if model_id not in self._models:
            raise JobFailed("argument", "", f"no model {model_id} in this worker")
        return self._models[model_id]


def _need_layer_tap() -> None:
    if not layer_tap_works(simulator_module):
        raise JobFailed(
            "argument", "inference", f"rknn-toolkit2 {toolkit_version()} has no known way to give layers' values"
        )


def toolkit_version() -> str:
    """The installed version, from the package's metadata."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rknn-toolkit2")
    except PackageNotFoundError:
        return "unknown"


def config_arguments(spec: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `RKNN.config` for a build."""
    arguments: dict[str, Any] = {"target_platform": spec["target_platform"]}
    for key in ("mean_values", "std_values", "quant_img_RGB2BGR"):
        if spec[key]:
            arguments[key] = spec[key]
    for key in ("optimization_level", "quantized_method", "quantized_algorithm"):
        if spec[key] is not None:
            arguments[key] = spec[key]
    arguments.update(spec["extra"].get("config", {}))
    return arguments


def load_model(rknn: Any, spec: dict[str, Any]) -> None:
    """Loads the source model of a build."""
    given = {key: spec[key] for key in ("inputs", "input_size_list", "outputs") if spec[key]}
    given.update(spec["extra"].get("load", {}))
    model, weights, framework = spec["model"], spec["weights"], spec["framework"]
    name, paths = {
        "onnx": ("load_onnx", {"model": model}),
        "tflite": ("load_tflite", {"model": model}),
        "tensorflow": ("load_tensorflow", {"tf_pb": model}),
        "caffe": ("load_caffe", {"model": model, "blobs": weights}),
        "darknet": ("load_darknet", {"model": model, "weight": weights}),
        "pytorch": ("load_pytorch", {"model": model}),
    }[framework]
    load = getattr(rknn, name)
    unknown = [key for key in given if key not in inspect.signature(load).parameters]
    if unknown:
        raise JobFailed("argument", name, f"takes no {unknown[0]!r}: leave it out of [model] for a {framework} model")
    if framework == "pytorch":
        need_torch()
    elif framework == "tflite":
        need_package("tensorflow", "TensorFlow", "--with-tflite", "TFLite")
    elif framework == "tensorflow":
        need_package("tensorflow", "TensorFlow", "--with-tensorflow", "TensorFlow")
    if framework in ("tflite", "tensorflow"):
        make_names_repeat()
    call_toolkit(name, load, **paths, **given)


def _inputs_of(rknn: Any, batch: int = 1) -> list[dict[str, Any]]:
    """The graph's inputs in their order, from the toolkit's private table (the same in 2.2.0 to 2.5.0)."""
    attributes = rknn.rknn_base.inputs_meta["attrs"]
    # All sets of shapes of a model built with dynamic_input, by tensor, the largest first (2.5.0).
    sets = getattr(getattr(rknn.rknn_base, "ir", None), "dynamic_shapes", None) or {}
    inputs = [(meta["idx"], name, meta) for name, meta in attributes.items() if not meta.get("is_output")]
    return [
        {
            "name": name,
            "shape": [int(dim) * (batch if place == 0 else 1) for place, dim in enumerate(meta["shape"])],
            "shapes": [[int(dim) for dim in shape] for shape in sets.get(name) or []],
            "dtype": str(meta["dtype"]),
            "layout": str(meta.get("layout", "nchw")),
            "mean": [float(value) for value in meta.get("mean") or []],
            "std": [float(value) for value in meta.get("std") or []],
            "rgb2bgr": bool(meta.get("rgb2bgr", False)),
        }
        for _, name, meta in sorted(inputs, key=lambda item: item[0])
    ]


def _describe(rknn: Any, batch: int) -> dict[str, Any]:
    attributes = rknn.rknn_base.inputs_meta["attrs"]
    outputs = sorted((meta["idx"], name) for name, meta in attributes.items() if meta.get("is_output"))
    return {
        "inputs": _inputs_of(rknn, batch),
        "outputs": [name for _, name in outputs],
        "quantization": _quantization(rknn),
    }


def _quantization(rknn: Any) -> dict[str, dict[str, Any]]:
    """Scale and zero point by tensor name, where the simulator quantises; empty when its table is not to be found.

    Left out are tensors it keeps in float32 although they have a scale, because the operator is fused into the next one
    (`qmode` replace; seen in 2.2.0 to 2.5.0: their values do not lie on the scale), and those a hybrid model keeps in
    float, which have the scale they would have as int8.
    """
    table = getattr(getattr(rknn.rknn_base, "simulator", None), "quant_tab", None)
    if not isinstance(table, dict):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, entry in table.items():
        if entry.get("qmode") == "replace" and str(entry.get("qmode_dtype", "")).startswith("float"):
            continue
        if str(entry.get("dtype", "")).startswith("float"):
            continue
        scale = [float(value) for value in np.ravel(entry.get("scale", []))]
        zero_point = [int(value) for value in np.ravel(entry.get("zero_point", []))]
        if scale and len(scale) == len(zero_point):
            found[name] = {"dtype": str(entry.get("dtype", "")), "scale": scale, "zero_point": zero_point}
    return found


def _save_outputs(outputs: Any, folder: str) -> list[str]:
    if outputs is None or any(output is None for output in outputs):
        raise JobFailed("none", "inference", "returned nothing")
    files = []
    for index, output in enumerate(outputs):
        file = f"output{index}.npy"
        save(Path(folder) / file, np.asarray(output))
        files.append(file)
    return files
