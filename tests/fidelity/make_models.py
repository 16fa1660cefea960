"""Makes the models that stand in for those of the recorded experiments that were not kept.

Run it with the interpreter of the rknn-toolkit2 environment: `python make_models.py OUT`. Every model has the tensor
names, shapes, types and operators that the experiment's log shows; weights are random. Calibration data is drawn as for
the kept models (`default_rng(1)`, normal, times 2), so inputs get the recorded scale and zero point; outputs do not.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
TOOLKIT_VERSION = "2.5.0"


@dataclass(frozen=True)
class Recipe:
    """One graph and how it is converted."""

    name: str
    nodes: Sequence[Any]
    inputs: Sequence[tuple[str, int, Shape]]
    outputs: Sequence[tuple[str, int, Shape]]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    platform: str = "rk3588"
    quantize: bool = True
    # Pixels 0 and 255 in every calibration sample: scale 1, zero point -128, as evidence 160_base_u8_nhwc shows.
    pixels: bool = False
    std: tuple[float, ...] = ()

    def graph(self) -> Any:
        """The ONNX model."""
        graph = helper.make_graph(
            list(self.nodes),
            "g",
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in self.inputs],
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in self.outputs],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model

    def samples(self, rng: np.random.Generator) -> list[np.ndarray]:
        """One calibration sample, an array per input."""
        arrays = []
        for _, kind, shape in self.inputs:
            if self.pixels:
                array = rng.integers(0, 256, shape).astype(np.float32)
                array.flat[0], array.flat[1] = 0, 255
            elif kind == TensorProto.BOOL:
                array = rng.integers(0, 2, shape).astype(bool)
            elif kind == TensorProto.INT32:
                array = rng.integers(0, 50, shape).astype(np.int32)
            else:
                array = (rng.standard_normal(shape) * 2).astype(np.float32)
            arrays.append(array)
        return arrays


def random(*shape: int, scale: float = 0.2) -> np.ndarray:
    """Weights; the seed is the shape, so that a model does not depend on its place in the list."""
    return (np.random.default_rng(shape).standard_normal(shape) * scale).astype(np.float32)


def convolution(
    name: str, source: str, target: str, weights: str, *, kernel: int, stride: int = 1, bias: str = ""
) -> Any:
    return helper.make_node(
        "Conv",
        [source, weights, *([bias] if bias else [])],
        [target],
        name=name,
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=[kernel // 2] * 4,
    )


def two_inputs() -> Recipe:
    """Names, shapes and operators of evidence 160_load_mi_rk3588_2x."""
    image = (1, 8, 128, 128)
    return Recipe(
        "mi_int8_rk3588",
        [
            convolution("Conv_0", "input.1", "6", "conv1.weight", kernel=3, bias="conv1.bias"),
            convolution("Conv_1", "input", "7", "conv2.weight", kernel=3, bias="conv2.bias"),
            helper.make_node("Add", ["6", "7"], ["8"], name="Add_2"),
        ],
        [("input.1", TensorProto.FLOAT, (1, 1, 128, 128)), ("input", TensorProto.FLOAT, (1, 3, 128, 128))],
        [("8", TensorProto.FLOAT, image)],
        {
            "conv1.weight": random(8, 1, 3, 3),
            "conv1.bias": random(8),
            "conv2.weight": random(8, 3, 3, 3),
            "conv2.bias": random(8),
        },
        pixels=True,
    )


def integer_input() -> Recipe:
    """Evidence 160_dumpquant_2_i32in_fp16."""
    return Recipe(
        "i32in_fp16_rk3588",
        [
            helper.make_node("Cast", ["a"], ["f"], name="f", to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["f", "w"], ["y"], name="y"),
        ],
        [("a", TensorProto.INT32, (1, 16))],
        [("y", TensorProto.FLOAT, (1, 4))],
        {"w": random(16, 4)},
        quantize=False,
    )


def boolean_input() -> Recipe:
    """Evidence 160_dumpquant_2_boolin_int8."""
    return Recipe(
        "boolin_int8_rk3588",
        [
            helper.make_node("Where", ["m", "x", "z"], ["q"], name="q"),
            helper.make_node("MatMul", ["q", "w"], ["y"], name="y"),
        ],
        [("m", TensorProto.BOOL, (1, 16)), ("x", TensorProto.FLOAT, (1, 16))],
        [("y", TensorProto.FLOAT, (1, 4))],
        {"z": np.zeros((1, 16), np.float32), "w": random(16, 4)},
    )


def arg_max(name: str, platform: str, *, quantize: bool) -> Recipe:
    """Evidence 160_dumpquant_2_argmax_fp16, mrt232_argmax."""
    return Recipe(
        name,
        [
            convolution("c", "x", "c", "w", kernel=3),
            helper.make_node("ArgMax", ["c"], ["am"], name="am", axis=1, keepdims=1),
        ],
        [("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [("am", TensorProto.INT64, (1, 1, 8, 8))],
        {"w": random(5, 3, 3, 3)},
        platform=platform,
        quantize=quantize,
    )


def batch_of_two() -> Recipe:
    """Evidence mrt232_b2."""
    return Recipe(
        "b2_int8_rv1106",
        [convolution("y", "x", "y", "w", kernel=3)],
        [("x", TensorProto.FLOAT, (2, 3, 8, 8))],
        [("y", TensorProto.FLOAT, (2, 4, 8, 8))],
        {"w": random(4, 3, 3, 3)},
        platform="rv1106",
    )


def sixteen_channels() -> Recipe:
    """Evidence mrt232_c16."""
    return Recipe(
        "c16_int8_rv1106",
        [convolution("y", "x", "y", "w", kernel=3)],
        [("x", TensorProto.FLOAT, (1, 16, 9, 30))],
        [("y", TensorProto.FLOAT, (1, 8, 9, 30))],
        {"w": random(8, 16, 3, 3)},
        platform="rv1106",
    )


def five_dimensions() -> Recipe:
    """Evidence mrt232_d5."""
    return Recipe(
        "d5_int8_rv1106",
        [helper.make_node("Reshape", ["x", "s"], ["r"], name="r"), convolution("y", "r", "y", "w", kernel=3)],
        [("x", TensorProto.FLOAT, (1, 2, 4, 8, 8))],
        [("y", TensorProto.FLOAT, (1, 4, 8, 8))],
        {"s": np.array([1, 8, 8, 8], np.int64), "w": random(4, 8, 3, 3)},
        platform="rv1106",
    )


class Detector:
    """Evidence 160_out_fp16_wf0: a detector's head with three outputs."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}

    def conv(self, layer: str, source: str, channels: Shape, *, kernel: int, stride: int = 1) -> str:
        name = f"/model.{layer}/conv/Conv"
        weights, bias = f"model.{layer}.weight", f"model.{layer}.bias"
        self.weights[weights] = random(channels[1], channels[0], kernel, kernel)
        self.weights[bias] = random(channels[1])
        self.nodes.append(
            convolution(name, source, f"{name}_output_0", weights, kernel=kernel, stride=stride, bias=bias)
        )
        return f"{name}_output_0"

    def swish(self, layer: str, source: str, channels: Shape, *, kernel: int, stride: int = 1) -> str:
        before = self.conv(layer, source, channels, kernel=kernel, stride=stride)
        gate, after = f"/model.{layer}/act/Sigmoid_output_0", f"/model.{layer}/act/Mul_output_0"
        self.nodes += [helper.make_node("Sigmoid", [before], [gate]), helper.make_node("Mul", [before, gate], [after])]
        return after

    def head(self, number: int, source: str, n_channels: int) -> None:
        name = f"/model.24/m.{number}/Conv"
        self.weights[f"{name}.weight"] = random(21, n_channels, 1, 1)
        self.weights[f"{name}.bias"] = random(21)
        self.nodes += [
            convolution(name, source, f"{name}_output_0", f"{name}.weight", kernel=1, bias=f"{name}.bias"),
            helper.make_node("Sigmoid", [f"{name}_output_0"], [f"output{number}"]),
        ]

    def upsample(self, layer: str, source: str) -> str:
        target = f"/model.{layer}/Resize_output_0"
        self.weights["scales"] = np.array([1, 1, 2, 2], np.float32)
        self.nodes.append(
            helper.make_node(
                "Resize",
                [source, "", "scales"],
                [target],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        )
        return target

    def concat(self, layer: str, sources: Sequence[str]) -> str:
        target = f"/model.{layer}/Concat_output_0"
        self.nodes.append(helper.make_node("Concat", list(sources), [target], axis=1))
        return target

    def recipe(self) -> Recipe:
        source, levels = "images", {}
        for layer, channels in enumerate(((3, 16), (16, 24), (24, 32), (32, 48))):
            source = levels[layer] = self.swish(str(layer), source, channels, kernel=3, stride=2)
        pooled = "/model.4/m/MaxPool_output_0"
        self.nodes.append(
            helper.make_node("MaxPool", [source], [pooled], kernel_shape=[7, 7], strides=[1, 1], pads=[3] * 4)
        )
        deep = self.swish("5", self.concat("4", [source, pooled]), (96, 48), kernel=1)
        self.head(2, deep, 48)
        middle = self.swish("8", self.concat("7", [self.upsample("6", deep), levels[2]]), (80, 32), kernel=1)
        self.head(1, middle, 32)
        top = self.swish("11", self.concat("10", [self.upsample("9", middle), levels[1]]), (56, 24), kernel=1)
        self.head(0, top, 24)
        return Recipe(
            "yolo_head_fp16_rk3588",
            self.nodes,
            [("images", TensorProto.FLOAT, (1, 3, 64, 64))],
            [(f"output{i}", TensorProto.FLOAT, (1, 21, side, side)) for i, side in enumerate((16, 8, 4))],
            self.weights,
            quantize=False,
            std=(255.0, 255.0, 255.0),
        )


def recipes() -> list[Recipe]:
    """Every stand-in, by the name of its file."""
    return [
        two_inputs(),
        integer_input(),
        boolean_input(),
        arg_max("argmax_fp16_rk3588", "rk3588", quantize=False),
        arg_max("argmax_int8_rv1106", "rv1106", quantize=True),
        batch_of_two(),
        sixteen_channels(),
        five_dimensions(),
        Detector().recipe(),
    ]


def convert(recipe: Recipe, out: Path) -> None:
    """Writes OUT/NAME.onnx and OUT/NAME.rknn."""
    from rknn.api import RKNN

    source, target = out / f"{recipe.name}.onnx", out / f"{recipe.name}.rknn"
    onnx.save(recipe.graph(), str(source))
    rknn = RKNN(verbose=False)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rng = np.random.default_rng(1)
            lines = []
            for sample in range(2):
                paths = [Path(scratch) / f"{sample}_{index}.npy" for index in range(len(recipe.inputs))]
                for path, array in zip(paths, recipe.samples(rng)):
                    np.save(path, array)
                lines.append(" ".join(map(str, paths)))
            dataset = Path(scratch) / "dataset.txt"
            dataset.write_text("\n".join(lines) + "\n")
            config: dict[str, Any] = {"target_platform": recipe.platform}
            if recipe.std:
                config.update(mean_values=[[0.0] * len(recipe.std)], std_values=[list(recipe.std)])
            steps = (
                rknn.config(**config),
                rknn.load_onnx(model=str(source)),
                rknn.build(do_quantization=recipe.quantize, dataset=str(dataset) if recipe.quantize else None),
                rknn.export_rknn(str(target)),
            )
        if any(steps):
            raise SystemExit(f"{recipe.name}: the toolkit answered {steps}")
    finally:
        rknn.release()


def main(arguments: Sequence[str]) -> None:
    """`make_models.py OUT [NAME...]`: all models, or the named ones."""
    if not arguments:
        raise SystemExit(__doc__)
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    for recipe in recipes():
        if len(arguments) == 1 or recipe.name in arguments[1:]:
            convert(recipe, out)


if __name__ == "__main__":
    main(sys.argv[1:])
