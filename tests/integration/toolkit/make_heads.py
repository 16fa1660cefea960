"""Detection heads of the YOLOv8 and YOLO11 shape, made by the toolkit's interpreter, which has onnx.

`python make_heads.py FOLDER NAME HEIGHT WIDTH CLASSES STRIDES` writes FOLDER/NAME.onnx, an input, and the output that
ONNX Runtime gives for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BINS = 16


def head(height: int, width: int, classes: int, strides: list[int]) -> onnx.ModelProto:
    """One convolution per stride stands for the backbone; the head itself is as ultralytics exports it."""
    random = np.random.default_rng(height * width + classes)
    constants: dict[str, np.ndarray] = {}
    nodes = []

    def constant(name: str, values: object, kind: type) -> str:
        constants[name] = np.asarray(values, kind)
        return name

    def weights(name: str, *shape: int) -> str:
        return constant(name, random.standard_normal(shape) / np.sqrt(np.prod(shape[1:])), np.float32)

    def node(kind: str, inputs: list[str], outputs: list[str], **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]

    rows = 4 * BINS + classes
    cells = [(height // stride) * (width // stride) for stride in strides]
    maps = []
    for index, stride in enumerate(strides):
        feature = node(
            "Conv", ["images", weights(f"w{index}", 8, 3, stride, stride)], [f"p{index}"], strides=[stride] * 2
        )
        feature = node("Relu", [feature], [f"r{index}"])
        box = node("Conv", [feature, weights(f"bw{index}", 4 * BINS, 8, 1, 1)], [f"cv2.{index}"])
        score = node("Conv", [feature, weights(f"cw{index}", classes, 8, 1, 1)], [f"cv3.{index}"])
        both = node("Concat", [box, score], [f"concat{index}"], axis=1)
        maps.append(
            node("Reshape", [both, constant(f"flat{index}", [1, rows, cells[index]], np.int64)], [f"flat_{index}"])
        )
    total = sum(cells)
    joined = node("Concat", maps, ["all"], axis=2)
    node("Split", [joined, constant("parts", [4 * BINS, classes], np.int64)], ["boxes", "scores"], axis=1)
    dfl = node("Reshape", ["boxes", constant("bins", [1, 4, BINS, total], np.int64)], ["dfl"])
    dfl = node("Softmax", [node("Transpose", [dfl], ["dfl_t"], perm=[0, 2, 1, 3])], ["dfl_s"], axis=1)
    dfl = node("Conv", [dfl, constant("arange", np.arange(BINS).reshape(1, BINS, 1, 1), np.float32)], ["dfl_c"])
    dfl = node("Reshape", [dfl, constant("four", [1, 4, total], np.int64)], ["ltrb"])
    node("Split", [dfl, constant("halves", [2, 2], np.int64)], ["lt", "rb"], axis=1)
    anchors = constant("anchors", random.random((1, 2, total)) * height / strides[0], np.float32)
    low, high = node("Sub", [anchors, "lt"], ["x1y1"]), node("Add", [anchors, "rb"], ["x2y2"])
    middle = node("Div", [node("Add", [low, high], ["sum"]), constant("two", [2.0], np.float32)], ["cxy"])
    box = node("Concat", [middle, node("Sub", [high, low], ["wh"])], ["xywh"], axis=1)
    scale = np.concatenate([np.full(count, stride) for count, stride in zip(cells, strides)]).reshape(1, 1, total)
    node("Mul", [box, constant("strides", scale, np.float32)], ["pixels"])
    node("Sigmoid", ["scores"], ["probabilities"])
    node("Concat", ["pixels", "probabilities"], ["output0"], axis=1)
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 4 + classes, total])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    height, width, classes = (int(text) for text in sys.argv[3:6])
    model = head(height, width, classes, [int(text) for text in sys.argv[6].split(",")])
    onnx.save(model, str(folder / f"{name}.onnx"))
    picture = np.random.default_rng(7).random((1, 3, height, width), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.save(folder / f"{name}.input.npy", picture)
    np.save(folder / f"{name}.output.npy", session.run(None, {"images": picture})[0])


if __name__ == "__main__":
    main()
