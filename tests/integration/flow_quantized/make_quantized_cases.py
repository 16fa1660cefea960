"""Run by the toolkit's interpreter (it has onnx and OpenCV): small projects, each with one mistake of stage quantized.

Usage: make_quantized_cases.py FOLDER. Every case is a folder with model.onnx, data and rkparity.toml.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 32
PICTURES = 24
CUBE = (1, 3, SIZE, SIZE)


def conv(name: str, source: str, weights: Any, *, pad: int = 0) -> tuple[Any, Any]:
    node = helper.make_node("Conv", [source, f"{name}.w"], [name], name=name, pads=[pad] * 4)
    return node, numpy_helper.from_array(weights.astype(np.float32), f"{name}.w")


def save_model(
    path: Path, nodes: list[Any], constants: list[Any], output: str, shape: tuple[int, ...], opset: int = 13
) -> None:
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, CUBE)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def plain_model(path: Path, random: Any, first: Any = None, second: Any = None) -> None:
    """Two convolutions with a ReLU between them."""
    first = random.normal(0, 0.3, (8, 3, 3, 3)) if first is None else first
    second = random.normal(0, 0.3, (6, first.shape[0], 1, 1)) if second is None else second
    one, one_w = conv("first", "input", first, pad=1)
    two, two_w = conv("last", "relu", second)
    relu = helper.make_node("Relu", ["first"], ["relu"], name="relu")
    save_model(path, [one, relu, two], [one_w, two_w], "last", (1, second.shape[0], SIZE, SIZE))


def picture(random: Any, low: tuple[int, int, int], high: tuple[int, int, int]) -> Any:
    """RGB (height, width, 3), uniform noise between the channels' bounds, smoothed a little."""
    noise = random.integers(np.array(low), np.array(high) + 1, (SIZE, SIZE, 3)).astype(np.uint8)
    return cv2.blur(noise, (2, 2))


def write_case(
    folder: Path,
    calibration: list[Any],
    real: Any,
    *,
    build: str = "",
    more: str = "",
    arrays: bool = False,
    limit: float = 0.9999,
    quantise: bool = True,
    budget: int = 60,
) -> None:
    """`calibration` are RGB pictures (or NCHW arrays), `real` the NHWC input."""
    names = []
    for index, item in enumerate(calibration):
        name = f"c{index}.npy" if arrays else f"c{index}.png"
        if arrays:
            np.save(folder / name, item)
        else:
            cv2.imwrite(str(folder / name), item[..., ::-1])
        names.append(name)
    (folder / "dataset.txt").write_text("\n".join(names) + "\n")
    np.save(folder / "input.npy", real)
    (folder / "rkparity.toml").write_text(
        f"""[model]
file = "model.onnx"
[input]
files = ["input.npy"]
[build]
mean_values = [[127.5, 127.5, 127.5]]
std_values = [[127.5, 127.5, 127.5]]
do_quantization = {str(quantise).lower()}
dataset = "dataset.txt"
{build}
[check]
quantized_cosine = {limit}
budget_s = {budget}
{more}
"""
    )


def main(root: Path) -> None:
    random = np.random.default_rng(5)
    grey, span = (0, 0, 0), (255, 255, 255)
    full = [picture(random, grey, span) for _ in range(PICTURES)]
    one = full[0][None]

    def folder(name: str) -> Path:
        path = root / name
        path.mkdir(parents=True)
        return path

    def case(name: str, *model: Any, **options: Any) -> None:
        home = folder(name)
        plain_model(home / "model.onnx", random, *model)
        write_case(home, options.pop("calibration", full), options.pop("real", one), **options)

    # The model was trained on BGR and the program feeds BGR; red is bright and blue is dark in this world.
    warm = [picture(random, (200, 100, 0), (255, 110, 8)) for _ in range(PICTURES)]
    first = random.normal(0, 0.02, (8, 3, 3, 3))
    first[:, 0] = np.abs(random.normal(0, 1.0, (8, 3, 3)))
    bgr = np.ascontiguousarray(warm[0][None][..., ::-1])
    case("channels", -first, calibration=warm, real=bgr)
    case("stated", first, calibration=warm, real=bgr, more='[original]\nchannel_order = "bgr"')
    dark = [picture(random, (100, 100, 100), (150, 150, 150)) for _ in range(PICTURES)]
    case("unlike", calibration=dark)
    case("few", calibration=dark[:1])
    normalised = [(item.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / 127.5 for item in full]
    case("normalised", calibration=normalised, arrays=True)
    uneven = random.normal(0, 0.3, (8, 3, 3, 3)) * np.geomspace(0.01, 10, 8).reshape(8, 1, 1, 1)
    back = random.normal(0, 0.3, (6, 8, 1, 1)) / np.geomspace(0.01, 10, 8).reshape(1, 8, 1, 1)
    bright = [picture(random, (200, 200, 200), span) for _ in range(PICTURES)]
    case("method", _rows(), calibration=bright, real=bright[0][None], build='quantized_method = "layer"')
    case("weights", uneven, back)
    home = folder("last")
    _boxes_and_scores(home / "model.onnx", random)
    write_case(home, full, one)
    home = folder("algorithm")
    _uneven_normalisation(home / "model.onnx", random)
    write_case(home, full, one, limit=0.9998)
    case("many", calibration=[item for item in full for _ in range(9)][:201], limit=0.99)
    white = [picture(random, (252, 252, 252), span) for _ in range(PICTURES)]
    night = picture(random, grey, (40, 40, 40))
    case("wrong", -np.abs(random.normal(0, 0.3, (8, 3, 3, 3))), calibration=white, real=night[None])
    home = folder("fused")
    _fused(home / "model.onnx", random)
    write_case(home, full, one)
    home = folder("slow")
    wide = random.normal(0, 0.05, (512, 512, 3, 3))
    plain_model(
        home / "model.onnx", random, random.normal(0, 0.3, (512, 3, 3, 3)), wide.mean(axis=(2, 3), keepdims=True)
    )
    write_case(home, full, one, budget=12, limit=0.99999)
    home = folder("qat")
    _trained(home / "model.onnx", random)
    write_case(home, full, one, limit=0.99)
    case("fine", limit=0.99)
    case("off", quantise=False)


def _rows() -> Any:
    """Small weights that add up beside large ones that cancel: one scale for all does not hold the small."""
    signs = np.where(np.arange(27) % 2 == 0, 1.0, -1.0).reshape(3, 3, 3)
    return np.stack([np.full((3, 3, 3), 0.006 + 0.001 * row) if row % 2 else signs for row in range(8)])


def _fused(path: Path, random: Any) -> None:
    """A convolution of very uneven channels fused into its HardSwish, undone by the next layer."""
    sizes = np.geomspace(0.1, 20, 8)
    one, one_w = conv("first", "input", random.normal(0, 0.3, (8, 3, 3, 3)) * sizes.reshape(8, 1, 1, 1), pad=1)
    two, two_w = conv("last", "swish", random.normal(0, 0.3, (6, 8, 1, 1)) / sizes.reshape(1, 8, 1, 1))
    swish = helper.make_node("HardSwish", ["first"], ["swish"], name="swish")
    save_model(path, [one, swish, two], [one_w, two_w], "last", (1, 6, SIZE, SIZE), 14)


def _uneven_normalisation(path: Path, random: Any) -> None:
    """A normalisation whose channels differ a thousandfold, undone by the next layer: plain ranges waste the steps."""
    spread = np.geomspace(0.01, 10, 8)
    one, one_w = conv("first", "input", random.normal(0, 0.3, (8, 3, 3, 3)), pad=1)
    two, two_w = conv("last", "relu", random.normal(0, 0.3, (6, 8, 1, 1)) / spread.reshape(1, 8, 1, 1))
    constants = {"scale": spread, "shift": random.normal(0, 1, 8), "mean": np.zeros(8), "variance": np.ones(8)}
    nodes = [
        one,
        helper.make_node("BatchNormalization", ["first", *constants], ["normal"], name="normal"),
        helper.make_node("Relu", ["normal"], ["relu"], name="relu"),
        two,
    ]
    stored = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    save_model(path, nodes, [one_w, two_w, *stored], "last", (1, 6, SIZE, SIZE))


def _boxes_and_scores(path: Path, random: Any) -> None:
    """Coordinates up to hundreds and scores below one in one tensor: the classic last operator."""
    one, one_w = conv("first", "input", random.normal(0, 0.3, (8, 3, 3, 3)), pad=1)
    two, two_w = conv("boxes", "relu", random.normal(0, 20.0, (4, 8, 1, 1)))
    three, three_w = conv("logits", "relu", random.normal(0, 0.5, (4, 8, 1, 1)))
    nodes = [
        one,
        helper.make_node("Relu", ["first"], ["relu"], name="relu"),
        two,
        three,
        helper.make_node("Sigmoid", ["logits"], ["scores"], name="scores"),
        helper.make_node("Concat", ["boxes", "scores"], ["both"], name="both", axis=1),
    ]
    save_model(path, nodes, [one_w, two_w, three_w], "both", (1, 8, SIZE, SIZE))


def _trained(path: Path, random: Any) -> None:
    """A model with QuantizeLinear and DequantizeLinear around its convolution's input."""
    scale = numpy_helper.from_array(np.array(2 / 255, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(0, np.int8), "zero")
    one, one_w = conv("out", "dq", random.normal(0, 0.3, (8, 3, 3, 3)), pad=1)
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"], name="dq"),
        one,
    ]
    save_model(path, nodes, [one_w, scale, zero], "out", (1, 8, SIZE, SIZE))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
