"""Writes two_inputs.onnx: a picture of any size through Conv and Relu, a sequence of any length through MatMul, Tanh.

Weights are random with a fixed seed. Needs `onnx`: .toolkit/2.5.0/bin/python tests/data/emulator/make_dynamic.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def main() -> None:
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32), "w"),
        numpy_helper.from_array(random.normal(0, 0.3, (8, 6)).astype(np.float32), "g"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
        helper.make_node("MatMul", ["s", "g"], ["m"]),
        helper.make_node("Tanh", ["m"], ["z"]),
    ]

    def value(name: str, shape: list[object]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "two_inputs",
        [value("x", [1, 3, "h", "w"]), value("s", [1, "l", 8])],
        [value("y", [1, 4, "h", "w"]), value("z", [1, "l", 6])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, str(Path(__file__).with_name("two_inputs.onnx")))


if __name__ == "__main__":
    main()
