"""Detectors with the structure of rknn_model_zoo's exported models: backbone, neck and heads."""

from __future__ import annotations

import numpy as np
from layers import Net, Shape

CLASSES = 8
REG_MAX = 16
# A trained detector is sure that most places hold nothing: the bias of its class scores says so.
SCORE_BIAS = -3.0
Pyramid = list[str]


def bottleneck_csp(net: Net, x: str, channels: int, act: str, depth: int = 1) -> str:
    """YOLOv5's C3."""
    half = channels // 2
    a, b = net.conv(x, half, 1, act=act), net.conv(x, half, 1, act=act)
    for _ in range(depth):
        a = net.add(a, net.conv(net.conv(a, half, 1, act=act), half, 3, act=act))
    return net.conv(net.concat([a, b]), channels, 1, act=act)


def split_csp(net: Net, x: str, channels: int, act: str, depth: int = 1) -> str:
    """YOLOv8's C2f: halves of one convolution, every step kept."""
    half = channels // 2
    parts = net.split(net.conv(x, channels, 1, act=act), [half, half])
    for _ in range(depth):
        step = net.conv(net.conv(parts[-1], half, 3, act=act), half, 3, act=act)
        parts.append(net.add(parts[-1], step))
    return net.conv(net.concat(parts), channels, 1, act=act)


def elan(net: Net, x: str, channels: int, act: str, depth: int = 1) -> str:
    """YOLOv7's ELAN."""
    half = channels // 2
    parts = [net.conv(x, half, 1, act=act), net.conv(x, half, 1, act=act)]
    for _ in range(depth + 1):
        parts.append(net.conv(parts[-1], half, 3, act=act))
    return net.conv(net.concat(parts), channels, 1, act=act)


def plain_stack(net: Net, x: str, channels: int, act: str, depth: int = 1) -> str:
    """YOLOv6's re-parameterised 3x3 convolutions."""
    for _ in range(depth + 1):
        x = net.conv(x, channels, 3, act=act)
    return x


def pooled_pyramid(net: Net, x: str, act: str) -> str:
    """SPPF: three max pools one after the other, all kept."""
    channels = net.shape[x][1]
    parts = [net.conv(x, channels // 2, 1, act=act)]
    for _ in range(3):
        parts.append(net.pool("MaxPool", parts[-1], 5, 1, 2))
    return net.conv(net.concat(parts), channels, 1, act=act)


def position_attention(net: Net, x: str, act: str) -> str:
    """C2PSA of YOLOv10 and 11: one half attends over all places of the map."""
    n, channels, h, w = net.shape[x]
    half = channels // 2
    left, right = net.split(net.conv(x, channels, 1, act=act), [half, half])
    qkv = net.reshape(net.conv(right, 2 * half, 1, gain=1.0), (n, 2, half, h * w))
    query, key, value = net.split(qkv, [half // 4, half // 4, half // 2], axis=2)
    scores = net.scaled(net.matmul(net.transpose(query, (0, 1, 3, 2)), key), (half // 4) ** -0.5)
    mixed = net.matmul(value, net.transpose(net.softmax(scores, 3), (0, 1, 3, 2)))
    seen = net.conv(net.reshape(mixed, (n, half, h, w)), half, 1)
    place = net.conv(net.reshape(value, (n, half, h, w)), half, 3, groups=half)
    right = net.add(right, net.conv(net.add(seen, place), half, 1))
    right = net.add(right, net.conv(net.conv(right, 2 * half, 1, act=act), half, 1))
    return net.conv(net.concat([left, right]), channels, 1, act=act)


BLOCKS = {"c3": bottleneck_csp, "c2f": split_csp, "elan": elan, "rep": plain_stack}


def features(net: Net, x: str, block: str, act: str, width: int = 8, *, attend: bool = False) -> Pyramid:
    """Backbone and path-aggregation neck: maps at strides 8, 16 and 32."""
    make = BLOCKS[block]
    x = net.conv(x, width, 3, 2, act)
    levels = []
    for index in range(4):
        channels = width * 2 ** (index + 1)
        x = make(net, net.conv(x, channels, 3, 2, act), channels, act)
        levels.append(x)
    top = pooled_pyramid(net, levels[3], act)
    if attend:
        top = position_attention(net, top, act)
    middle = make(net, net.concat([net.resize(top, 2), levels[2]]), width * 8, act)
    small = make(net, net.concat([net.resize(middle, 2), levels[1]]), width * 4, act)
    middle = make(net, net.concat([net.conv(small, width * 4, 3, 2, act), middle]), width * 8, act)
    large = make(net, net.concat([net.conv(middle, width * 8, 3, 2, act), top]), width * 16, act)
    return [small, middle, large]


def decoupled(net: Net, x: str, act: str, box_channels: int, score_act: str = "sigmoid") -> tuple[str, str]:
    """A box branch and a score branch."""
    channels = net.shape[x][1]
    box = net.conv(net.conv(x, channels, 3, act=act), box_channels, 1)
    score = net.conv(net.conv(x, channels, 3, act=act), CLASSES, 1, bias=SCORE_BIAS)
    return box, net.act(score, score_act)


def yolov5(net: Net, shape: Shape) -> None:
    """Three maps of anchors with sigmoid."""
    for index, level in enumerate(features(net, net.input("images", shape), "c3", "silu")):
        head = net.conv(level, 3 * (5 + CLASSES), 1, bias=-1.0)
        net.output(net.act(head, "sigmoid"), f"output{index}")


def yolov7(net: Net, shape: Shape) -> None:
    """As YOLOv5, with ELAN blocks and leaky ReLU."""
    for index, level in enumerate(features(net, net.input("images", shape), "elan", "leaky")):
        head = net.conv(level, 3 * (5 + CLASSES), 1, bias=-1.0)
        net.output(net.act(head, "sigmoid"), f"output{index}")


def _zoo_heads(net: Net, levels: Pyramid, act: str, box_channels: int) -> None:
    for index, level in enumerate(levels):
        box, score = decoupled(net, level, act, box_channels)
        n, _, h, w = net.shape[score]
        total = net.node("ReduceSum", [score, net.constant(np.array([1], np.int64))], (n, 1, h, w), keepdims=1)
        net.output(net.clip01(total), f"sum{index}")
        net.output(box, f"box{index}")
        net.output(score, f"score{index}")


def yolov6(net: Net, shape: Shape) -> None:
    """Boxes as distances, scores, and the sum of scores."""
    _zoo_heads(net, features(net, net.input("images", shape), "rep", "relu"), "relu", 4)


def yolov8(net: Net, shape: Shape) -> None:
    """Nine outputs: box distributions, scores, sums."""
    _zoo_heads(net, features(net, net.input("images", shape), "c2f", "silu"), "silu", 4 * REG_MAX)


def yolov10(net: Net, shape: Shape) -> None:
    """Six outputs, with attention over the smallest map."""
    levels = features(net, net.input("images", shape), "c2f", "silu", attend=True)
    for index, level in enumerate(levels):
        box, score = decoupled(net, level, "silu", 4 * REG_MAX)
        net.output(box, f"box{index}")
        net.output(score, f"score{index}")


def yolo11(net: Net, shape: Shape) -> None:
    """Nine outputs, C3 inside and attention over the smallest map."""
    _zoo_heads(net, features(net, net.input("images", shape), "c3", "silu", attend=True), "silu", 4 * REG_MAX)


def yolox(net: Net, shape: Shape) -> None:
    """Focus in front; one output per scale that joins box, objectness and scores."""
    x = net.input("images", shape)
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        parts.append(net.slice(net.slice(x, 2, row, 2**31, 2), 3, column, 2**31, 2))
    x = net.conv(net.concat(parts), 8, 3, act="silu")
    levels = []
    for index in range(4):
        x = bottleneck_csp(net, net.conv(x, 8 * 2 ** (index + 1), 3, 2, "silu"), 8 * 2 ** (index + 1), "silu")
        levels.append(x)
    for index, level in enumerate(levels[1:]):
        box, score = decoupled(net, level, "silu", 5)
        place, sure = net.split(box, [4, 1])
        net.output(net.concat([place, net.act(sure, "sigmoid"), score]), f"output{index}")


def _decoded(net: Net, levels: Pyramid, size: int) -> tuple[str, str, list[tuple[int, int, int]]]:
    """Boxes in pixels (1, 4, N) and scores (1, classes, N), as Ultralytics exports them."""
    maps, grids = [], []
    for level in levels:
        both = net.concat(decoupled(net, level, "silu", 4 * REG_MAX, ""))
        _, rows, h, w = net.shape[both]
        maps.append(net.reshape(both, (1, rows, h * w)))
        grids.append((h, w, size // h))
    box, score = net.split(net.concat(maps, 2), [4 * REG_MAX, CLASSES])
    count = net.shape[box][2]
    spread = net.transpose(net.reshape(box, (1, 4, REG_MAX, count)), (0, 2, 1, 3))
    bins = np.arange(REG_MAX, dtype=np.float32).reshape(1, REG_MAX, 1, 1)
    weight = net.constant(bins)
    distance = net.node(
        "Conv", [net.softmax(spread, 1), weight], (1, 1, 4, count), kernel_shape=[1, 1], strides=[1, 1], pads=[0] * 4
    )
    before, after = net.split(net.reshape(distance, (1, 4, count)), [2, 2])
    centres = np.concatenate([_centres(h, w) for h, w, _ in grids], axis=1)[np.newaxis]
    strides = np.concatenate([np.full((1, 1, h * w), step, np.float32) for h, w, step in grids], axis=2)
    anchor = net.constant(centres.astype(np.float32))
    low, high = net.sub(anchor, before), net.add(anchor, after)
    middle = net.scaled(net.add(low, high), 0.5)
    pixels = net.scaled(net.concat([middle, net.sub(high, low)]), strides)
    return pixels, net.act(score, "sigmoid"), grids


def _centres(h: int, w: int) -> np.ndarray:
    rows, columns = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    return np.stack([columns.ravel(), rows.ravel()])


def yolov8_one_output(net: Net, shape: Shape) -> None:
    """Boxes in pixels and scores in one tensor: int8 has one scale for both and erases the scores."""
    levels = features(net, net.input("images", shape), "c2f", "silu")
    boxes, scores, _ = _decoded(net, levels, shape[2])
    net.output(net.concat([boxes, scores]), "output0")


def yolov8_two_outputs(net: Net, shape: Shape) -> None:
    """The same cut before the last concatenation, as the scores need it."""
    levels = features(net, net.input("images", shape), "c2f", "silu")
    boxes, scores, _ = _decoded(net, levels, shape[2])
    net.output(boxes, "boxes")
    net.output(scores, "scores")


def yolov8_seg(net: Net, shape: Shape) -> None:
    """Heads, mask coefficients and the prototype masks."""
    levels = features(net, net.input("images", shape), "c2f", "silu")
    for index, level in enumerate(levels):
        net.output(net.conv(net.conv(level, 16, 3, act="silu"), 16, 1), f"mask{index}")
    proto = net.conv(net.resize(net.conv(levels[0], 16, 3, act="silu"), 2), 16, 3, act="silu")
    net.output(net.conv(proto, 16, 1, act="silu"), "proto")
    _zoo_heads(net, levels, "silu", 4 * REG_MAX)


def yolov8_pose(net: Net, shape: Shape) -> None:
    """Box and score in one map per scale, and all key points in one tensor."""
    levels = features(net, net.input("images", shape), "c2f", "silu")
    points = []
    for index, level in enumerate(levels):
        _, _, h, w = net.shape[level]
        point = net.conv(net.conv(level, 51, 3, act="silu"), 51, 1)
        points.append(net.reshape(point, (1, 51, h * w)))
        box, score = decoupled(net, level, "silu", 4 * REG_MAX)
        net.output(net.concat([box, score]), f"output{index}")
    net.output(net.reshape(net.concat(points, 2), (1, 17, 3, -1)), "keypoints")


def yolov8_obb(net: Net, shape: Shape) -> None:
    """Box and score per scale, and the angles."""
    levels = features(net, net.input("images", shape), "c2f", "silu")
    angles = []
    for index, level in enumerate(levels):
        _, _, h, w = net.shape[level]
        angle = net.act(net.conv(net.conv(level, 16, 3, act="silu"), 1, 1), "sigmoid")
        angles.append(net.reshape(angle, (1, 1, h * w)))
        box, score = decoupled(net, level, "silu", 4 * REG_MAX)
        net.output(net.concat([box, score]), f"output{index}")
    turned = net.add(net.concat(angles, 2), net.constant(np.float32(-0.25)))
    net.output(net.scaled(turned, np.pi), "angle")


def retinaface(net: Net, shape: Shape) -> None:
    """MobileNet 0.25, feature pyramid, context module; boxes, scores with softmax, landmarks."""
    x = net.conv(net.input("input0", shape), 8, 3, 2, "leaky")
    levels = []
    for channels, stride in ((16, 1), (32, 2), (64, 2), (128, 2), (256, 2)):
        x = net.conv(x, net.shape[x][1], 3, stride, "leaky", groups=net.shape[x][1])
        x = net.conv(x, channels, 1, act="leaky")
        levels.append(net.conv(x, 32, 1, act="leaky"))
    small, middle, large = levels[2:]
    middle = net.conv(net.add(middle, net.resize(large, 2)), 32, 3, act="leaky")
    small = net.conv(net.add(small, net.resize(middle, 2)), 32, 3, act="leaky")
    rows: dict[str, list[str]] = {"loc": [], "conf": [], "landm": []}
    for level in (small, middle, large):
        a = net.conv(level, 16, 3)
        b = net.conv(net.conv(level, 8, 3, act="leaky"), 8, 3)
        c = net.conv(net.conv(net.conv(level, 8, 3, act="leaky"), 8, 3, act="leaky"), 8, 3)
        seen = net.act(net.concat([a, b, c]), "relu")
        for name, width in (("loc", 4), ("conf", 2), ("landm", 10)):
            head = net.transpose(net.conv(seen, 2 * width, 1), (0, 2, 3, 1))
            rows[name].append(net.reshape(head, (1, -1, width)))
    net.output(net.concat(rows["loc"]), "loc")
    net.output(net.softmax(net.concat(rows["conf"]), 2), "conf")
    net.output(net.concat(rows["landm"]), "landm")
