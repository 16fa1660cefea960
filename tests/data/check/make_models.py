"""Makes the ONNX models of this folder (run with an interpreter that has onnx; the files are kept beside it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent


def save(name: str, nodes: list, inputs: list, outputs: list, weights: dict, *, opset: int = 12) -> None:
    """One model."""
    graph = helper.make_graph(
        nodes, name, inputs, outputs, [numpy_helper.from_array(array, key) for key, array in weights.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="rkparity tests")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(HERE / f"{name}.onnx"))


def conv(source: str, target: str, weight: str, bias: str) -> onnx.NodeProto:
    return helper.make_node(
        "Conv", [source, weight, bias], [target], name=target, kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )


def tensors(rng: np.random.Generator, channels: int) -> dict:
    return {
        "w0": (rng.standard_normal((8, channels, 3, 3)) / np.sqrt(9 * channels)).astype(np.float32),
        "b0": rng.standard_normal(8).astype(np.float32) * np.float32(0.3),
        "w1": (rng.standard_normal((4, 8, 3, 3)) / np.sqrt(72)).astype(np.float32),
        "b1": rng.standard_normal(4).astype(np.float32) * np.float32(0.3),
        "w2": (rng.standard_normal((4, 8, 3, 3)) / np.sqrt(72)).astype(np.float32),
        "b2": rng.standard_normal(4).astype(np.float32) * np.float32(0.3),
    }


def two_heads(name: str, shape: list, out: list, rng: np.random.Generator) -> None:
    nodes = [
        conv("image", "c0", "w0", "b0"),
        helper.make_node("Relu", ["c0"], ["r0"], name="r0"),
        conv("r0", "boxes", "w1", "b1"),
        conv("r0", "c2", "w2", "b2"),
        helper.make_node("Sigmoid", ["c2"], ["scores"], name="scores"),
    ]
    value = helper.make_tensor_value_info
    save(
        name,
        nodes,
        [value("image", TensorProto.FLOAT, shape)],
        [value("boxes", TensorProto.FLOAT, out), value("scores", TensorProto.FLOAT, out)],
        tensors(rng, shape[1]),
    )


def pool(rng: np.random.Generator) -> None:
    weights = {key: array for key, array in tensors(rng, 3).items() if key[1] != "2"}
    nodes = [
        conv("image", "c0", "w0", "b0"),
        helper.make_node(
            "MaxPool", ["c0"], ["pooled"], name="pooled", kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2]
        ),
        conv("pooled", "y", "w1", "b1"),
    ]
    value = helper.make_tensor_value_info
    save(
        "pool",
        nodes,
        [value("image", TensorProto.FLOAT, [1, 3, 4, 4])],
        [value("y", TensorProto.FLOAT, [1, 4, 4, 4])],
        weights,
    )


def tiny(rng: np.random.Generator) -> None:
    """Two layers of tiny weights, and factors that bring the values back: in FP16 they are gone between them."""
    weights = {
        "w0": (rng.standard_normal((4, 3, 3, 3)) * 1e-5).astype(np.float32),
        "b0": np.zeros(4, np.float32),
        "w1": (rng.standard_normal((4, 4, 3, 3)) * 1e-5).astype(np.float32),
        "b1": np.zeros(4, np.float32),
        "factor": np.array(30000.0, np.float32),
    }
    nodes = [
        conv("image", "c0", "w0", "b0"),
        helper.make_node("Relu", ["c0"], ["r0"], name="r0"),
        conv("r0", "small", "w1", "b1"),
        helper.make_node("Relu", ["small"], ["r1"], name="r1"),
        helper.make_node("Mul", ["r1", "factor"], ["m0"], name="m0"),
        helper.make_node("Relu", ["m0"], ["r2"], name="r2"),
        helper.make_node("Mul", ["r2", "factor"], ["y"], name="y"),
    ]
    value = helper.make_tensor_value_info
    save(
        "tiny",
        nodes,
        [value("image", TensorProto.FLOAT, [1, 3, 12, 16])],
        [value("y", TensorProto.FLOAT, [1, 4, 12, 16])],
        weights,
    )


def trained(rng: np.random.Generator) -> None:
    """A model as quantisation-aware training exports it: scales around every tensor, weights as int8 per channel."""
    weights = {}
    nodes = []

    def quantised(source: str, target: str, scale: float) -> None:
        weights[f"{target}_s"], weights[f"{target}_z"] = np.array(scale, np.float32), np.array(0, np.int8)
        names = [f"{target}_s", f"{target}_z"]
        nodes.append(helper.make_node("QuantizeLinear", [source, *names], [f"{target}_q"], name=f"{target}_q"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{target}_q", *names], [target], name=target))

    def weight(name: str, shape: tuple) -> None:
        values = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        scale = np.abs(values).reshape(shape[0], -1).max(1) / 127
        weights[f"{name}_i"] = np.round(values / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
        weights[f"{name}_s"] = scale.astype(np.float32)
        weights[f"{name}_z"] = np.zeros(shape[0], np.int8)
        nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_i", f"{name}_s", f"{name}_z"], [name], name=name, axis=0)
        )

    quantised("image", "image_dq", 2.7 / 127)
    weight("w0", (8, 3, 3, 3))
    weight("w1", (4, 8, 3, 3))
    weights["b0"] = rng.standard_normal(8).astype(np.float32) * np.float32(0.3)
    weights["b1"] = rng.standard_normal(4).astype(np.float32) * np.float32(0.3)
    nodes.append(conv("image_dq", "c0", "w0", "b0"))
    nodes.append(helper.make_node("Relu", ["c0"], ["r0"], name="r0"))
    quantised("r0", "r0_dq", 4.0 / 127)
    nodes.append(conv("r0_dq", "c1", "w1", "b1"))
    quantised("c1", "boxes", 4.0 / 127)
    value = helper.make_tensor_value_info
    save(
        "trained",
        nodes,
        [value("image", TensorProto.FLOAT, [1, 3, 12, 16])],
        [value("boxes", TensorProto.FLOAT, [1, 4, 12, 16])],
        weights,
        opset=13,
    )


if __name__ == "__main__":
    generator = np.random.default_rng(20)
    two_heads("pixels", [1, 3, 12, 16], [1, 4, 12, 16], generator)
    two_heads("dynamic", [1, 3, "h", "w"], [1, 4, "h", "w"], generator)
    two_heads("cube", [1, 8, 8, 8], [1, 4, 8, 8], generator)
    pool(generator)
    trained(generator)
    tiny(generator)
