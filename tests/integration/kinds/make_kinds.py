"""Makes small ONNX models over types, ranks, inputs, outputs and batches. Runs in the toolkit's environment.

Usage: python make_kinds.py FOLDER [NAME...]. Each kind becomes FOLDER/NAME: model.onnx, one file per input and set
of shapes, and kind.json with the files of every sample and the build options.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bool": TensorProto.BOOL,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}
SHAPES = {0: (), 1: (6,), 2: (1, 6), 3: (1, 4, 6), 4: (1, 3, 8, 6), 5: (1, 2, 3, 4, 6), 6: (1, 2, 2, 3, 2, 4)}


@dataclass
class Kind:
    """One model: its nodes, inputs (name, type, shape) and outputs, the samples' shapes, and the build options."""

    name: str
    nodes: list[onnx.NodeProto]
    inputs: list[tuple[str, str, tuple[object, ...]]]
    outputs: list[tuple[str, str, tuple[object, ...] | None]]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    samples: list[list[tuple[int, ...]]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        home = folder / self.name
        home.mkdir(parents=True, exist_ok=True)
        graph = helper.make_graph(
            self.nodes,
            "kind",
            [helper.make_tensor_value_info(name, TYPES[kind], list(shape)) for name, kind, shape in self.inputs],
            [
                helper.make_tensor_value_info(name, TYPES[kind], None if shape is None else list(shape))
                for name, kind, shape in self.outputs
            ],
            [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(home / "model.onnx"))
        rng = np.random.default_rng(7)
        samples = []
        shape_sets = self.samples or [[tuple(int(size) for size in shape) for _, _, shape in self.inputs]]
        for number, shapes in enumerate(shape_sets):
            files = []
            for index, shape in enumerate(shapes):
                files.append(f"x{number}_{index}.npy")
                np.save(home / files[-1], values(rng, self.inputs[index][1], shape))
            samples.append(files)
        # Calibration is at the largest set of shapes, one sample at a time.
        largest = max(shape_sets, key=lambda shapes: sum(int(np.prod(shape)) for shape in shapes))
        calibration = []
        for index, shape in enumerate(largest):
            one = (1, *shape[1:]) if "--batch" in self.options else shape
            calibration.append(f"calibration{index}.npy")
            np.save(home / calibration[-1], values(rng, self.inputs[index][1], one))
        (home / "dataset.txt").write_text(" ".join(calibration) + "\n")
        (home / "kind.json").write_text(json.dumps({"samples": samples, "options": self.options}))


def values(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a type, all with the same ends: beyond the calibrated range an input other than 4-D wraps."""
    if kind == "bool":
        return np.asarray(rng.integers(0, 2, shape), bool)
    low, high = (-1, 1) if kind.startswith("float") else (0 if kind == "uint8" else -5, 5)
    found = np.asarray(rng.uniform(low, high, shape) if kind.startswith("float") else rng.integers(low, high, shape))
    if found.size > 1:
        found.reshape(-1)[:2] = low, high
    return found.astype(kind)


def node(op_type: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node whose inputs and outputs are named in one text each."""
    return helper.make_node(op_type, inputs.split(), outputs.split(), name=f"n_{outputs.split()[0]}", **attributes)


HALF = {"half": np.array([0.5], np.float32)}


def kinds() -> list[Kind]:
    """All of them."""
    made: list[Kind] = []
    for kind in TYPES:
        nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("Mul", "f half", "g"), node("Relu", "g", "y")]
        made.append(Kind(f"in_{kind}", nodes, [("x", kind, (2, 6))], [("y", "float32", (2, 6))], dict(HALF)))
    for kind in ("float32", "int64"):
        # A picture-like input, so that layouts are in play.
        nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("Mul", "f half", "g"), node("Relu", "g", "y")]
        shape = SHAPES[4]
        made.append(Kind(f"in4d_{kind}", nodes, [("x", kind, shape)], [("y", "float32", shape)], dict(HALF)))
    for rank, shape in SHAPES.items():
        nodes = [node("Mul", "x half", "g"), node("Relu", "g", "y")]
        out = (1,) if rank == 0 else shape
        made.append(Kind(f"rank{rank}", nodes, [("x", "float32", shape)], [("y", "float32", out)], dict(HALF)))
    made += outputs()
    made += several()
    made += shapes()
    return made


def outputs() -> list[Kind]:
    """Outputs of other types than float."""
    shape = (1, 4, 6)
    given = [("x", "float32", shape)]
    zero = {"zero": np.array([0.0], np.float32)}
    return [
        Kind("out_bool", [node("Greater", "x zero", "y")], given, [("y", "bool", shape)], zero),
        Kind("out_int64", [node("ArgMax", "x", "y", axis=2, keepdims=0)], given, [("y", "int64", (1, 4))]),
        Kind(
            "out_int32",
            [node("Mul", "x ten", "f"), node("Cast", "f", "y", to=TensorProto.INT32)],
            given,
            [("y", "int32", shape)],
            {"ten": np.array([10.0], np.float32)},
        ),
        Kind(
            "out_uint8",
            [node("Abs", "x", "a"), node("Mul", "a ten", "f"), node("Cast", "f", "y", to=TensorProto.UINT8)],
            given,
            [("y", "uint8", shape)],
            {"ten": np.array([10.0], np.float32)},
        ),
        Kind(
            "out_float16",
            [node("Mul", "x half", "f"), node("Cast", "f", "y", to=TensorProto.FLOAT16)],
            given,
            [("y", "float16", shape)],
            dict(HALF),
        ),
        Kind(
            "out_scalar",
            [node("ReduceMean", "x", "y", keepdims=0)],
            given,
            [("y", "float32", ())],
        ),
        Kind(
            "out_topk",
            [node("TopK", "x k", "v i", axis=2)],
            given,
            [("v", "float32", (1, 4, 3)), ("i", "int64", (1, 4, 3))],
            {"k": np.array([3], np.int64)},
        ),
        Kind(
            "where_bool",
            [node("Greater", "x zero", "m"), node("Where", "m x zero", "w"), node("Mul", "w half", "y")],
            given,
            [("y", "float32", shape)],
            {**zero, **HALF},
        ),
    ]


def several() -> list[Kind]:
    """Several inputs of unlike types and ranks, several outputs."""
    weight = np.random.default_rng(3).standard_normal((4, 3, 3, 3)).astype(np.float32) * 0.3
    return [
        Kind(
            "in3_mixed",
            [
                node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
                node("Cast", "ids", "idf", to=TensorProto.FLOAT),
                node("Mul", "idf half", "idh"),
                node("Cast", "mask", "mf", to=TensorProto.FLOAT),
                node("Add", "idh mf", "y"),
                node("Relu", "c", "z"),
            ],
            [("x", "float32", (1, 3, 8, 6)), ("ids", "int64", (1, 5)), ("mask", "bool", (1, 5))],
            [("z", "float32", (1, 4, 8, 6)), ("y", "float32", (1, 5))],
            {"w": weight, **HALF},
        ),
        Kind(
            "out3",
            [
                node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
                node("Relu", "c", "a"),
                node("Sigmoid", "c", "b"),
                node("Greater", "c zero", "g"),
            ],
            [("x", "float32", (1, 3, 8, 6))],
            [("a", "float32", (1, 4, 8, 6)), ("b", "float32", (1, 4, 8, 6)), ("g", "bool", (1, 4, 8, 6))],
            {"w": weight, "zero": np.array([0.0], np.float32)},
        ),
        Kind(
            "in_out_same",
            [node("Identity", "x", "y")],
            [("x", "float32", (1, 6))],
            [("y", "float32", (1, 6))],
        ),
        Kind(
            "batch4d",
            [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")],
            [("x", "float32", (2, 3, 8, 6))],
            [("y", "float32", (2, 4, 8, 6))],
            {"w": weight},
        ),
        Kind(
            "rknn_batch4d",
            [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")],
            [("x", "float32", (1, 3, 8, 6))],
            [("y", "float32", (1, 4, 8, 6))],
            {"w": weight},
            samples=[[(2, 3, 8, 6)]],
            options=["--batch", "2"],
        ),
        Kind(
            "rknn_batch2d",
            [node("MatMul", "x w", "y")],
            [("x", "float32", (1, 6))],
            [("y", "float32", (1, 5))],
            {"w": np.random.default_rng(5).standard_normal((6, 5)).astype(np.float32)},
            samples=[[(3, 6)]],
            options=["--batch", "3"],
        ),
        Kind(
            "nhwc_onnx",
            [
                node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
                node("Conv", "t w", "c", pads=[1, 1, 1, 1]),
                node("Relu", "c", "y"),
            ],
            [("x", "float32", (1, 8, 6, 3))],
            [("y", "float32", (1, 4, 8, 6))],
            {"w": weight},
        ),
        Kind(
            "cube",
            [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")],
            [("x", "float32", (1, 3, 3, 3))],
            [("y", "float32", (1, 4, 3, 3))],
            {"w": weight},
        ),
    ]


def shapes() -> list[Kind]:
    """Empty tensors, and models of three shapes."""
    weight = np.random.default_rng(3).standard_normal((4, 3, 3, 3)).astype(np.float32) * 0.3
    dense = np.random.default_rng(5).standard_normal((6, 5)).astype(np.float32)
    sets = [(1, 3, 8, 6), (1, 3, 16, 6), (1, 3, 12, 10)]

    def dynamic(shapes: list[tuple[int, ...]]) -> list[str]:
        return [word for shape in shapes for word in ("--dynamic-input", ",".join(map(str, shape)))]

    return [
        Kind(
            "empty_out",
            [node("Mul", "x two", "r"), node("Slice", "r s e", "y")],
            [("x", "float32", (1, 6))],
            [("y", "float32", (0, 6)), ("r", "float32", (1, 6))],
            {"s": np.array([1], np.int64), "e": np.array([1], np.int64), "two": np.array([2.0], np.float32)},
        ),
        Kind("empty_in", [node("Relu", "x", "y")], [("x", "float32", (0, 6))], [("y", "float32", (0, 6))]),
        Kind(
            "dynamic4d",
            [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")],
            [("x", "float32", (1, 3, "h", "w_"))],
            [("y", "float32", (1, 4, "h", "w_"))],
            {"w": weight},
            samples=[[shape] for shape in sets],
            options=dynamic(sets),
        ),
        Kind(
            "dynamic_fixed",
            [
                node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
                node("Relu", "c", "y"),
                node("Slice", "y start end axes", "p"),
            ],
            [("x", "float32", (1, 3, "h", "w_"))],
            [("y", "float32", (1, 4, "h", "w_")), ("p", "float32", (1, 4, 2, 2))],
            {
                "w": weight,
                "start": np.array([0, 0], np.int64),
                "end": np.array([2, 2], np.int64),
                "axes": np.array([2, 3], np.int64),
            },
            samples=[[shape] for shape in sets],
            options=dynamic(sets),
        ),
        Kind(
            "dynamic3d",
            [node("MatMul", "x w", "m"), node("Relu", "m", "y")],
            [("x", "float32", (1, "n", 6))],
            [("y", "float32", (1, "n", 5))],
            {"w": dense},
            samples=[[(1, 4, 6)], [(1, 9, 6)], [(1, 6, 6)]],
            options=dynamic([(1, 4, 6), (1, 9, 6), (1, 6, 6)]),
        ),
        Kind(
            "dynamic2d",
            [node("MatMul", "x w", "m"), node("Relu", "m", "y")],
            [("x", "float32", ("n", 6))],
            [("y", "float32", ("n", 5))],
            {"w": dense},
            samples=[[(4, 6)], [(9, 6)], [(2, 6)]],
            options=dynamic([(4, 6), (9, 6), (2, 6)]),
        ),
    ]


def main() -> None:
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for kind in kinds():
        if not wanted or kind.name in wanted:
            kind.write(folder)
            print(kind.name)


if __name__ == "__main__":
    main()
