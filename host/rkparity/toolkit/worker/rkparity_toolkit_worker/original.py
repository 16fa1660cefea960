"""The model in its own framework, run in the toolkit's environment: ONNX Runtime, OpenCV, TFLite, TorchScript."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

from rkparity_toolkit_worker.capture import save
from rkparity_toolkit_worker.failures import JobFailed, ToolkitCall

Named = Sequence["tuple[str, Any]"]


def table() -> dict[str, Callable[..., Any]]:
    """Job name to function."""
    return {"describe_onnx": describe_onnx, "original": run_original}


def describe_onnx(model: str) -> dict[str, Any]:
    """The graph's inputs and outputs (name, dimensions; null for a dynamic one) and its operators."""
    import onnx

    with ToolkitCall("onnx.load"):
        graph = onnx.load(model, load_external_data=False).graph
    constants = {item.name for item in graph.initializer}
    return {
        "inputs": [_described(item) for item in graph.input if item.name not in constants],
        "outputs": [_described(item) for item in graph.output],
        "nodes": [
            {
                "op_type": node.op_type,
                "name": node.name,
                "inputs": list(node.input),
                "outputs": [name for name in node.output if name],
                "attributes": {
                    item.name: [int(number) for number in item.ints] for item in node.attribute if item.ints
                },
            }
            for node in graph.node
        ],
    }


def run_original(
    framework: str,
    model: str,
    weights: str | None,
    inputs: list[str],
    outputs: list[str] | None,
    layers: bool,
    folder: str,
) -> dict[str, Any]:
    """Runs the model on `inputs` (files, as its framework wants them); files of outputs and, for ONNX, of layers."""
    arrays = [np.load(path, allow_pickle=False) for path in inputs]
    runners: dict[str, Callable[[], tuple[str, Named, Named]]] = {
        "onnx": lambda: _onnx(model, arrays, outputs, layers),
        "caffe": lambda: _opencv("readNetFromCaffe", model, weights, arrays, outputs),
        "darknet": lambda: _opencv("readNetFromDarknet", model, weights, arrays, outputs),
        "tensorflow": lambda: _opencv("readNetFromTensorflow", model, None, arrays, outputs),
        "tflite": lambda: _tflite(model, arrays),
        "pytorch": lambda: _torchscript(model, arrays),
    }
    engine, found, tensors = runners[framework]()
    files: list[dict[str, str]] = []

    def kept(named: Named) -> list[dict[str, str]]:
        rows = []
        for name, array in named:
            row = {"name": name, "file": f"{len(files):04d}.npy"}
            save(Path(folder) / row["file"], np.asarray(array))
            files.append(row)
            rows.append(row)
        return rows

    return {"engine": engine, "outputs": kept(found), "layers": kept(tensors)}


def _described(item: Any) -> dict[str, Any]:
    dims = item.type.tensor_type.shape.dim
    return {
        "name": item.name,
        # Some exporters write -1 for a dimension left open (the PP-OCR models).
        "shape": [int(dim.dim_value) if dim.dim_value > 0 else None for dim in dims],
        "elem_type": int(item.type.tensor_type.elem_type),
    }


def _onnx(model: str, arrays: list[Any], outputs: list[str] | None, layers: bool) -> tuple[str, Named, Named]:
    import onnx
    import onnxruntime

    with ToolkitCall("ONNX Runtime"):
        proto = onnx.load(model)
        own = [item.name for item in proto.graph.output]
        wanted = list(outputs or own)
        made = [name for node in proto.graph.node if node.op_type != "Constant" for name in node.output if name]
        extra = made if layers else [name for name in wanted if name in made]
        for name in extra:
            if name not in own:
                proto.graph.output.append(onnx.ValueInfoProto(name=name))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        feeds = session.get_inputs()
        if len(feeds) != len(arrays):
            raise JobFailed("argument", "ONNX Runtime", f"the model has {len(feeds)} inputs, {len(arrays)} were given")
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
        given = {
            feed.name: array.astype(kinds[feed.type]) if feed.type in kinds else array
            for feed, array in zip(feeds, arrays)
        }
        names = list(dict.fromkeys([*wanted, *extra]))
        values = dict(zip(names, session.run(names, given)))
    version = f"ONNX Runtime {onnxruntime.__version__}"
    return version, [(name, values[name]) for name in wanted], [(name, values[name]) for name in extra if layers]


def _opencv(
    reader: str, model: str, weights: str | None, arrays: list[Any], outputs: list[str] | None
) -> tuple[str, Named, Named]:
    import cv2

    with ToolkitCall(f"OpenCV {reader}"):
        net = getattr(cv2.dnn, reader)(*[path for path in (model, weights) if path is not None])
        if len(arrays) != 1:
            raise JobFailed("argument", "OpenCV", "models of several inputs are run for ONNX only")
        net.setInput(arrays[0].astype(np.float32))
        names = list(outputs or net.getUnconnectedOutLayersNames())
        values = net.forward(names)
    return f"OpenCV {cv2.__version__}", list(zip(names, values)), []


def _tflite(model: str, arrays: list[Any]) -> tuple[str, Named, Named]:
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        with ToolkitCall(name):
            interpreter = module.Interpreter(model_path=model)
            interpreter.allocate_tensors()
            for detail, array in zip(interpreter.get_input_details(), arrays):
                interpreter.set_tensor(detail["index"], array.astype(detail["dtype"]))
            interpreter.invoke()
            found = [(item["name"], interpreter.get_tensor(item["index"])) for item in interpreter.get_output_details()]
        return name, found, []
    raise JobFailed("missing", "TFLite", "neither ai-edge-litert, tflite-runtime nor tensorflow is installed")


def _torchscript(model: str, arrays: list[Any]) -> tuple[str, Named, Named]:
    torch = importlib.import_module("torch")
    if not hasattr(torch, "jit"):
        raise JobFailed("missing", "PyTorch", "PyTorch is not installed (only its stand-in)")
    with ToolkitCall("torch.jit"):
        network = torch.jit.load(model, map_location="cpu").eval()
        with torch.no_grad():
            found = network(*[torch.from_numpy(np.ascontiguousarray(array)) for array in arrays])
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        named = [(f"output{index}", item.detach().numpy()) for index, item in enumerate(listed)]
    return f"PyTorch {torch.__version__}", named, []
