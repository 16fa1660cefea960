"""The model in its own framework, run in the toolkit's environment."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

from rkparity_toolkit_worker.capture import save
from rkparity_toolkit_worker.failures import JobFailed, ToolkitCall, need_package, need_torch

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
    names: list[str],
    layers: bool,
    folder: str,
) -> dict[str, Any]:
    """Runs the model on `inputs` (files, as its framework wants them); files of outputs and, for ONNX, of layers.

    `names` are those of the inputs, where a frozen TensorFlow graph needs them.
    """
    arrays = [np.load(path, allow_pickle=False) for path in inputs]
    runners: dict[str, Callable[[], tuple[str, Named, Named]]] = {
        "onnx": lambda: _onnx(model, arrays, outputs, layers),
        "caffe": lambda: _opencv("readNetFromCaffe", model, weights, arrays, outputs),
        "darknet": lambda: _opencv("readNetFromDarknet", model, weights, arrays, outputs),
        "tensorflow": lambda: _tensorflow(model, arrays, names, outputs or []),
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
        given = {feed.name: _as_fed(array, feed.type, feed.name) for feed, array in zip(feeds, arrays)}
        names = list(dict.fromkeys([*wanted, *extra]))
        runs = [session.run(names, part) for part in _samples(feeds, given)]
        values = dict(zip(names, runs[0] if len(runs) == 1 else [_joined(parts) for parts in zip(*runs)]))
    engine = f"ONNX Runtime {onnxruntime.__version__}"
    return engine, [(name, values[name]) for name in wanted], [(name, values[name]) for name in extra if layers]


_FED = {
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    **{name: name for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool")},
}


def _as_fed(array: Any, kind: str, name: str) -> Any:
    """An array in the type of an input, such as `tensor(int64)`; JobFailed when it asks for integers in vain."""
    dtype = _FED.get(kind[len("tensor(") : -1])
    if dtype is None:
        return array
    if array.dtype.kind == "f" and np.dtype(dtype).kind in "iub" and not np.array_equal(array, np.rint(array)):
        raise JobFailed("argument", "ONNX Runtime", f"input {name} takes {dtype}, and the sample is not whole numbers")
    return array.astype(dtype)


def _samples(feeds: Any, given: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs split into runs: with rknn_batch_size N the sample holds N times the model's own first dimension."""
    times = set()
    for feed in feeds:
        own, size = (feed.shape or [None])[0], (given[feed.name].shape or (0,))[0]
        times.add(size // own if isinstance(own, int) and own > 0 and size % own == 0 else 1)
    count = times.pop() if len(times) == 1 else 1
    if count <= 1:
        return [given]
    return [{name: np.split(array, count)[index] for name, array in given.items()} for index in range(count)]


def _joined(parts: Any) -> Any:
    return np.concatenate([np.atleast_1d(part) for part in parts])


def _opencv(
    reader: str, model: str, weights: str | None, arrays: list[Any], outputs: list[str] | None
) -> tuple[str, Named, Named]:
    import cv2

    with ToolkitCall(f"OpenCV {reader}"):
        net = getattr(cv2.dnn, reader)(*[path for path in (model, weights) if path is not None])
        if len(arrays) != 1:
            raise JobFailed("argument", "OpenCV", "models of several inputs are run for ONNX only")
        net.setInput(arrays[0].astype(np.float32))
        names = list(outputs or [_raw_head(net, name) for name in net.getUnconnectedOutLayersNames()])
        values = net.forward(names)
    return f"OpenCV {cv2.__version__}", list(zip(names, values)), []


def _raw_head(net: Any, name: str) -> str:
    """What a Darknet detection layer reads: the toolkit ends the model there, OpenCV decodes boxes as well.

    OpenCV names Darknet's layers KIND_NUMBER, several to one section of the file (`conv_3`, `bn_3`, `leaky_4`), where a
    layer's number is its section's, activations' one more.
    """
    if not name.startswith(("yolo_", "region_", "permute_")):
        return name
    layers = list(net.getLayerNames())
    before = [layer for layer in layers[: layers.index(name)] if not layer.startswith("permute_")]
    return str(before[-1])


def _tensorflow(model: str, arrays: list[Any], inputs: list[str], outputs: list[str]) -> tuple[str, Named, Named]:
    need_package("tensorflow", "TensorFlow", "--with-tensorflow", "TensorFlow")
    tensorflow = importlib.import_module("tensorflow")
    v1 = tensorflow.compat.v1
    with ToolkitCall("TensorFlow"):
        graph = v1.Graph()
        with graph.as_default():
            definition = v1.GraphDef()
            definition.ParseFromString(Path(model).read_bytes())
            v1.import_graph_def(definition, name="")
        with v1.Session(graph=graph) as session:
            wanted = [graph.get_tensor_by_name(_tensor_name(name)) for name in outputs]
            given = [graph.get_tensor_by_name(_tensor_name(name)) for name in inputs]
            feeds = {tensor: array.astype(tensor.dtype.as_numpy_dtype) for tensor, array in zip(given, arrays)}
            values = session.run(wanted, feeds)
    return f"TensorFlow {tensorflow.__version__}", list(zip(outputs, values)), []


def _tensor_name(name: str) -> str:
    """A node's first output, unless the name says which."""
    return name if ":" in name else f"{name}:0"


def _tflite(model: str, arrays: list[Any]) -> tuple[str, Named, Named]:
    engine, make = _tflite_interpreter()
    with ToolkitCall(engine):
        interpreter = make(model_path=model)
        details = interpreter.get_input_details()
        if len(details) != len(arrays):
            raise JobFailed("argument", engine, f"the model has {len(details)} inputs, {len(arrays)} were given")
        for detail, array in zip(details, arrays):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        interpreter.allocate_tensors()
        for detail, array in zip(details, arrays):
            interpreter.set_tensor(detail["index"], _quantised(array, detail))
        interpreter.invoke()
        found = [
            (item["name"], _dequantised(interpreter.get_tensor(item["index"]), item))
            for item in interpreter.get_output_details()
        ]
    return engine, found, []


def _tflite_interpreter() -> tuple[str, Any]:
    """LiteRT; TensorFlow's own interpreter where only that is installed."""
    try:
        return f"LiteRT {version('ai-edge-litert')}", importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except (ImportError, PackageNotFoundError):
        need_package("tensorflow", "LiteRT or TensorFlow", "--with-tflite", "TFLite")
    tensorflow = importlib.import_module("tensorflow")
    return f"TensorFlow Lite {tensorflow.__version__}", tensorflow.lite.Interpreter


def _quantised(array: Any, detail: dict[str, Any]) -> Any:
    """Values as a tensor of the model holds them; the toolkit's graph is float where the model is quantised."""
    scale, zero_point = detail["quantization"]
    if not scale or array.dtype.kind != "f":
        return array.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(array / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def _dequantised(array: Any, detail: dict[str, Any]) -> Any:
    scale, zero_point = detail["quantization"]
    return (array.astype(np.float32) - zero_point) * np.float32(scale) if scale else array


def _torchscript(model: str, arrays: list[Any]) -> tuple[str, Named, Named]:
    need_torch()
    torch = importlib.import_module("torch")
    with ToolkitCall("torch.jit"):
        network = torch.jit.load(model, map_location="cpu").eval()
        with torch.no_grad():
            found = network(*[torch.from_numpy(np.array(array)) for array in arrays])
        named = [(f"output{index}", item.detach().numpy()) for index, item in enumerate(_flat(found))]
    return f"PyTorch {torch.__version__}", named, []


def _flat(answer: Any) -> list[Any]:
    """A network's tensors in their order, out of tuples, lists and dictionaries."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (tuple, list)):
        return [tensor for item in answer for tensor in _flat(item)]
    return [answer]
