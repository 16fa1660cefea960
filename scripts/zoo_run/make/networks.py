"""Classifiers, segmenters, transformers and readers with the structure of those in rknn_model_zoo."""

from __future__ import annotations

import numpy as np
from layers import Net, Shape
from onnx import TensorProto

VOCABULARY = 100


def resnet(net: Net, shape: Shape) -> None:
    """ResNet with two stages of basic blocks."""
    x = net.pool("MaxPool", net.conv(net.input("data", shape), 16, 7, 2, "relu"), 3, 2, 1)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        inner = net.conv(net.conv(x, channels, 3, stride, "relu"), channels, 3, gain=1.0)
        passed = net.conv(x, channels, 1, stride) if stride > 1 else x
        x = net.act(net.add(inner, passed), "relu")
    net.output(_classified(net, x, 100), "logits")


def mobilenet(net: Net, shape: Shape) -> None:
    """MobileNetV2: inverted residuals with ReLU6, softmax at the end."""
    x = net.conv(net.input("input", shape), 8, 3, 2, "relu6")
    for channels, stride in ((8, 1), (16, 2), (16, 1), (32, 2), (32, 1), (64, 2)):
        x = _inverted_residual(net, x, channels, stride, "relu6")
    net.output(net.softmax(_classified(net, net.conv(x, 128, 1, act="relu6"), 100), 1), "probability")


def mobilenet_v3(net: Net, shape: Shape) -> None:
    """Inverted residuals with hard swish and squeeze-and-excite."""
    x = net.conv(net.input("input", shape), 16, 3, 2, "hardswish")
    for channels, stride in ((16, 2), (24, 2), (24, 1), (40, 2)):
        inner = net.conv(x, 4 * net.shape[x][1], 1, act="hardswish")
        inner = net.conv(inner, net.shape[inner][1], 5, stride, "hardswish", groups=net.shape[inner][1])
        weight = net.conv(net.conv(net.global_pool(inner), 8, 1, act="relu"), net.shape[inner][1], 1)
        gate = net.node("HardSigmoid", [weight], net.shape[weight], alpha=1 / 6, beta=0.5)
        out = net.conv(net.mul(inner, gate), channels, 1)
        x = net.add(x, out) if net.shape[x] == net.shape[out] else out
    net.output(_classified(net, x, 100), "logits")


def _inverted_residual(net: Net, x: str, channels: int, stride: int, act: str, dilation: int = 1) -> str:
    wide = 4 * net.shape[x][1]
    inner = net.conv(x, wide, 1, act=act)
    inner = net.conv(inner, wide, 3, stride, act, groups=wide, dilation=dilation)
    out = net.conv(inner, channels, 1, gain=1.0)
    return net.add(x, out) if net.shape[x] == net.shape[out] else out


def _classified(net: Net, x: str, classes: int) -> str:
    pooled = net.reshape(net.global_pool(x), (1, net.shape[x][1]))
    return net.linear(pooled, classes)


def lprnet(net: Net, shape: Shape) -> None:
    """Number-plate reader: strip convolutions, global context, the mean over rows as a sequence."""
    x = net.pool("MaxPool", net.conv(net.input("input", shape), 32, 3, act="relu", pads=[0] * 4), 3, 1)
    contexts = [net.pool("AveragePool", x, 5, 5)]
    x = _strip_block(net, x, 32)
    x = net.pool("MaxPool", x, 3, 2)
    x = _strip_block(net, _strip_block(net, x, 64), 64)
    x = net.conv(x, 64, (1, 4), act="relu", pads=[0] * 4)
    x = net.conv(x, 68, (3, 1), act="relu")
    w = net.shape[x][3]
    weights = net.conv(net.global_pool(contexts[0]), 68, 1, act="sigmoid")
    x = net.conv(net.mul(x, weights), 68, 1)
    net.output(net.reshape(net.mean(x, [2]), (1, 68, w)), "output")


def _strip_block(net: Net, x: str, channels: int) -> str:
    quarter = channels // 4
    x = net.conv(x, quarter, 1, act="relu")
    x = net.conv(net.conv(x, quarter, (3, 1), act="relu"), quarter, (1, 3), act="relu")
    return net.conv(x, channels, 1, act="relu")


def deeplab(net: Net, shape: Shape) -> None:
    """DeepLabV3: dilated MobileNetV2, image pooling, bilinear upsampling to the input's size."""
    x = net.conv(net.input("image", shape), 8, 3, 2, "relu6")
    for channels, stride, dilation in ((16, 2, 1), (24, 2, 1), (32, 1, 2), (48, 1, 4)):
        x = _inverted_residual(net, x, channels, stride, "relu6", dilation)
    _, _, h, _ = net.shape[x]
    image = net.conv(net.global_pool(x), 32, 1, act="relu")
    spread = net.resize(image, h, "linear")
    parts = [net.conv(x, 32, 1, act="relu"), spread]
    parts += [net.conv(x, 32, 3, act="relu", dilation=rate) for rate in (2, 4)]
    x = net.conv(net.conv(net.concat(parts), 32, 1, act="relu"), 21, 1)
    net.output(net.resize(x, 8, "linear"), "map")


def ppseg(net: Net, shape: Shape) -> None:
    """PP-LiteSeg: concatenating backbone, attention between two maps, classes at full size."""
    x = net.conv(net.conv(net.input("x", shape), 8, 3, 2, "relu"), 16, 3, 2, "relu")
    levels = []
    for channels in (32, 64):
        parts = [net.conv(x, channels // 2, 1, 1, "relu")]
        parts[0] = net.conv(parts[0], channels // 2, 3, 2, "relu")
        parts += [net.conv(parts[0], channels // 4, 3, act="relu")]
        parts += [net.conv(parts[1], channels // 4, 3, act="relu")]
        x = net.concat(parts)
        levels.append(x)
    low, high = net.conv(levels[0], 32, 3, act="relu"), net.resize(net.conv(levels[1], 32, 3, act="relu"), 2, "linear")
    both = net.concat([net.mean(low, [1]), net.mean(high, [1])])
    gate = net.act(net.conv(both, 1, 3), "sigmoid")
    other = net.sub(net.constant(np.float32(1)), gate)
    mixed = net.conv(net.add(net.mul(low, gate), net.mul(high, other)), 16, 3, act="relu")
    net.output(net.resize(net.conv(mixed, 19, 1), 8, "linear"), "segmentation")


def whisper_encoder(net: Net, shape: Shape) -> None:
    """Two convolutions over the log-mel spectrogram, positions, transformer blocks."""
    width = 64
    x = net.conv1d(net.conv1d(net.input("mel", shape), width, 3, 1, "gelu"), width, 3, 2, "gelu")
    x = net.transpose(x, (0, 2, 1))
    x = net.add(x, net.constant(_positions(net.shape[x][1], width)))
    for _ in range(2):
        x = net.transformer_block(x, 4)
    net.output(net.layer_norm(x), "encoded")


def mobilesam_encoder(net: Net, shape: Shape) -> None:
    """TinyViT: convolutions, then attention inside windows of the map, and the neck."""
    x = net.conv(net.conv(net.input("image", shape), 16, 3, 2, "gelu"), 32, 3, 2, "gelu")
    inner = net.conv(net.conv(x, 64, 1, act="gelu"), 64, 3, act="gelu", groups=64)
    x = net.act(net.add(x, net.conv(inner, 32, 1)), "gelu")
    x = net.conv(x, 64, 3, 2, "gelu")
    _, channels, h, w = net.shape[x]
    window = 5
    rows = net.reshape(net.transpose(x, (0, 2, 3, 1)), (h // window, window, w // window, window * channels))
    cut = net.reshape(net.transpose(rows, (0, 2, 1, 3)), (h // window * (w // window), window * window, channels))
    cut = net.transformer_block(cut, 4)
    back = net.reshape(cut, (h // window, w // window, window, window * channels))
    back = net.reshape(net.transpose(back, (0, 2, 1, 3)), (1, h, w, channels))
    x = net.transpose(back, (0, 3, 1, 2))
    net.output(net.conv(net.conv(x, 32, 1), 32, 3), "embedding")


def vit(net: Net, shape: Shape) -> None:
    """Patches as tokens with a class token, as CLIP's image encoder."""
    width = 64
    x = net.conv(net.input("pixel_values", shape), width, 16, 16, pads=[0] * 4)
    _, _, h, w = net.shape[x]
    tokens = net.transpose(net.reshape(x, (1, width, h * w)), (0, 2, 1))
    tokens = net.concat([net.constant(net.normal((1, 1, width), 0.5)), tokens])
    x = net.add(tokens, net.constant(net.normal((1, h * w + 1, width), 0.2)))
    for _ in range(2):
        x = net.transformer_block(x, 4)
    first = net.reshape(net.slice(net.layer_norm(x), 1, 0, 1), (1, width))
    net.output(net.linear(first, 32), "image_embeds")


def text_transformer(net: Net, shape: Shape) -> None:
    """A causal transformer over token numbers (int64), as CLIP's text encoder or a small language model."""
    width, length = 64, shape[1]
    tokens = net.input("input_ids", shape, TensorProto.INT64)
    table = net.constant(net.normal((VOCABULARY, width), 0.5))
    x = net.node("Gather", [table, tokens], (1, length, width), axis=0)
    x = net.add(x, net.constant(_positions(length, width)))
    mask = np.triu(np.full((length, length), -1e4, np.float32), 1)
    for _ in range(2):
        x = net.transformer_block(x, 4, mask)
    net.output(net.linear(net.layer_norm(x), VOCABULARY), "logits")


def two_inputs(net: Net, shape: Shape) -> None:
    """A tracker: a template and a search area through the same kind of network, joined by multiplication."""
    search = net.conv(net.conv(net.input("search", shape), 16, 3, 2, "relu"), 32, 3, 2, "relu")
    template = net.conv(net.conv(net.input("template", (1, 3, 32, 32)), 16, 3, 2, "relu"), 32, 3, 2, "relu")
    joined = net.mul(search, net.global_pool(template))
    net.output(net.act(net.conv(net.conv(joined, 32, 3, act="relu"), 1, 1), "sigmoid"), "score")
    net.output(net.conv(net.conv(joined, 32, 3, act="relu"), 4, 1), "box")


def _positions(length: int, width: int) -> np.ndarray:
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(width // 2)[None] / (width // 2))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)[None]
