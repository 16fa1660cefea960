"""Small networks of the other frameworks: TorchScript, a frozen TensorFlow graph, Caffe and Darknet.

PyTorch and TensorFlow are used where they are installed; Caffe's and Darknet's files are written byte by byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _he(random: np.random.Generator, shape: Sequence[int], fan_in: int) -> NDArray[np.float32]:
    return (random.standard_normal(shape) * (2.0 / fan_in) ** 0.5).astype(np.float32)


def torch_resnet(path: Path, seed: int, shape: Sequence[int]) -> None:
    """Residual blocks with batch normalisation and a classifier."""
    import torch
    from torch import nn

    torch.manual_seed(seed)

    class Block(nn.Module):
        def __init__(self, before: int, after: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU())
            self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after))
            self.passed = nn.Conv2d(before, after, 1, stride)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.second(self.first(x)) + self.passed(x))

    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), Block(16, 32, 2), Block(32, 64, 2)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 20))
    torch.jit.trace(model.eval(), torch.zeros(*shape)).save(str(path))


def torch_unet(path: Path, seed: int, shape: Sequence[int]) -> None:
    """A U-Net with transposed convolutions, one channel of probabilities."""
    import torch
    from torch import nn

    torch.manual_seed(seed)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.SiLU())
            self.inner = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 1, 1), nn.SiLU())
            self.up = nn.ConvTranspose2d(32, 16, 2, 2)
            self.last = nn.Conv2d(32, 1, 1)

        def forward(self, x: Any) -> Any:
            wide = self.down(x)
            return torch.sigmoid(self.last(torch.cat([wide, self.up(self.inner(wide))], 1)))

    torch.jit.trace(UNet().eval(), torch.zeros(*shape)).save(str(path))


def tensorflow_cnn(path: Path, seed: int, shape: Sequence[int]) -> None:
    """Convolutions, max pooling and a softmax, as a frozen graph (NHWC)."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, list(shape), name="input")
        channels = shape[3]
        for index, width in enumerate((16, 32, 64)):
            weight = tf.constant(_he(random, (3, 3, channels, width), 9 * channels))
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weight, 1, "SAME"), np.zeros(width, np.float32)))
            x = tf.nn.max_pool2d(x, 2, 2, "SAME", name=f"pool{index}")
            channels = width
        pooled = tf.reduce_mean(x, [1, 2])
        tf.nn.softmax(tf.matmul(pooled, tf.constant(_he(random, (channels, 10), channels))), name="probability")
    path.write_bytes(graph.as_graph_def().SerializeToString())


def tensorflow_separable(path: Path, seed: int, shape: Sequence[int]) -> None:
    """Depthwise separable convolutions with ReLU6 and a map as the answer."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, list(shape), name="input")
        channels = shape[3]
        for width in (16, 32, 32):
            depthwise = tf.constant(_he(random, (3, 3, channels, 1), 9))
            x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, depthwise, [1, 2, 2, 1], "SAME"))
            x = tf.nn.relu6(tf.nn.conv2d(x, tf.constant(_he(random, (1, 1, channels, width), channels)), 1, "SAME"))
            channels = width
        last = tf.constant(_he(random, (1, 1, channels, 4), channels))
        tf.identity(tf.nn.conv2d(x, last, 1, "SAME"), name="map")
    path.write_bytes(graph.as_graph_def().SerializeToString())


def tflite_cnn(path: Path, seed: int, shape: Sequence[int]) -> None:
    """Convolutions and two answers, a map and probabilities, converted by TensorFlow (NHWC, float32)."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    weights = [_he(random, (3, 3, before, after), 9 * before) for before, after in ((shape[3], 16), (16, 32))]
    dense = _he(random, (32, 10), 32)

    @tf.function(input_signature=[tf.TensorSpec(list(shape), tf.float32)])  # type: ignore[untyped-decorator]
    def network(x: Any) -> Any:
        for weight in weights:
            x = tf.nn.relu6(tf.nn.conv2d(x, weight, 2, "SAME"))
        return {"map": tf.tanh(x), "probability": tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), dense))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    path.write_bytes(converter.convert())


# Caffe: caffe.proto's NetParameter, by field number. https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _blob(array: NDArray[np.float32]) -> bytes:
    shape = _field(7, _field(1, b"".join(_varint(size) for size in array.shape)))
    return _field(7, shape + _field(5, array.astype("<f4").tobytes()))


def caffe_net(path: Path, seed: int, shape: Sequence[int]) -> None:
    """A SqueezeNet-like classifier: fire modules, max pooling, softmax. `path` is the .prototxt; weights beside it."""
    random = np.random.default_rng(seed)
    dims = "".join(f" dim: {size}" for size in shape)
    text = [f'name: "zoo"\nlayer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{{dims} }} }} }}']
    blobs = []

    def convolution(name: str, bottom: str, before: int, after: int, kernel: int, stride: int = 1) -> str:
        text.append(
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param '
            f"{{ num_output: {after} kernel_size: {kernel} stride: {stride} pad: {kernel // 2} }} }}"
        )
        text.append(f'layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}')
        weight = _he(random, (after, before, kernel, kernel), before * kernel**2)
        content = _field(1, name.encode()) + _field(2, b"Convolution") + _blob(weight)
        blobs.append(_field(100, content + _blob(np.zeros(after, np.float32))))
        return name

    x, channels = convolution("conv1", "data", shape[1], 16, 3, 2), 16
    for index in (1, 2):
        text.append(
            f'layer {{ name: "pool{index}" type: "Pooling" bottom: "{x}" top: "pool{index}" '
            "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }"
        )
        squeezed = convolution(f"fire{index}_squeeze", f"pool{index}", channels, 8, 1)
        left = convolution(f"fire{index}_left", squeezed, 8, 16, 1)
        right = convolution(f"fire{index}_right", squeezed, 8, 16, 3)
        x, channels = f"fire{index}", 32
        text.append(f'layer {{ name: "{x}" type: "Concat" bottom: "{left}" bottom: "{right}" top: "{x}" }}')
    x = convolution("classes", x, channels, 10, 1)
    text.append(
        f'layer {{ name: "mean" type: "Pooling" bottom: "{x}" top: "mean" '
        "pooling_param { pool: AVE global_pooling: true } }"
    )
    text.append('layer { name: "prob" type: "Softmax" bottom: "mean" top: "prob" }')
    path.write_text("\n".join(text) + "\n")
    path.with_suffix(".caffemodel").write_bytes(_field(1, b"zoo") + b"".join(blobs))


# Darknet: a .cfg of sections and a .weights of int32 major, minor, revision, int64 images seen, then floats in the
# order of the layers: biases, and with batch normalisation scales, means, variances; then the weights (src/parser.c).


def darknet_yolo(path: Path, seed: int, shape: Sequence[int]) -> None:
    """A YOLOv3-tiny with one route and two heads. `path` is the .cfg; weights beside it."""
    random = np.random.default_rng(seed)
    sections = [f"[net]\nbatch=1\nsubdivisions=1\nwidth={shape[3]}\nheight={shape[2]}\nchannels={shape[1]}\n"]
    floats: list[NDArray[np.float32]] = []

    def convolution(before: int, after: int, kernel: int, *, head: bool = False) -> int:
        normal = "" if head else "batch_normalize=1\n"
        act = "linear" if head else "leaky"
        sections.append(f"[convolutional]\n{normal}filters={after}\nsize={kernel}\nstride=1\npad=1\nactivation={act}\n")
        floats.append(np.zeros(after, np.float32))
        if not head:
            floats.extend(np.full(after, value, np.float32) for value in (1, 0, 1))
        floats.append(_he(random, (after, before, kernel, kernel), before * kernel**2).ravel())
        return after

    channels = shape[1]
    for width in (8, 16, 32, 64, 64):
        channels = convolution(channels, width, 3)
        sections.append("[maxpool]\nsize=2\nstride=2\n")
    anchors = "anchors=10,14, 23,27, 37,58, 81,82, 135,169, 344,319\nclasses=3\nnum=6\n"
    convolution(channels, 64, 3)
    convolution(64, 24, 1, head=True)
    sections.append(f"[yolo]\nmask=3,4,5\n{anchors}")
    sections.append("[route]\nlayers=-3\n")
    convolution(64, 32, 1)
    sections.append("[upsample]\nstride=2\n")
    sections.append("[route]\nlayers=-1,7\n")
    convolution(32 + 64, 64, 3)
    convolution(64, 24, 1, head=True)
    sections.append(f"[yolo]\nmask=0,1,2\n{anchors}")
    path.write_text("\n".join(sections))
    header = struct.pack("<iiiq", 0, 2, 0, 0)
    path.with_suffix(".weights").write_bytes(header + b"".join(item.astype("<f4").tobytes() for item in floats))
