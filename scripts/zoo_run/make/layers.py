"""A small builder of ONNX graphs: one method per layer, shapes followed by hand, weights from a seed.

Weights are scaled so that activations keep their size through the network (He's rule), which is what makes a network
without training quantise like a trained one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
Shape = tuple[int, ...]
_HARD_SIXTH = 1.0 / 6.0


class Net:
    """A graph in the making. Tensors are named by strings; `shape` has the shape of each."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.shape: dict[str, Shape] = {}
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._count = 0

    # Graph

    def input(self, name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> str:
        """A graph input."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.shape[name] = shape
        return name

    def output(self, tensor: str, name: str) -> None:
        """Makes `tensor` a graph output called `name`."""
        node = next(node for node in self._nodes if tensor in node.output)
        users = [user for user in self._nodes if tensor in user.input]
        node.output[list(node.output).index(tensor)] = name
        for user in users:
            user.input[:] = [name if item == tensor else item for item in user.input]
        self.shape[name] = self.shape.pop(tensor)
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape[name]))

    def save(self, path: Path) -> None:
        """Checks the graph and writes it."""
        graph = helper.make_graph(self._nodes, "zoo", self._inputs, self._outputs, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.save(model, str(path))

    def node(self, kind: str, inputs: Sequence[str], shape: Shape, **attributes: Any) -> str:
        """One operator with one output of `shape`."""
        return self.nodes(kind, inputs, [shape], **attributes)[0]

    def nodes(self, kind: str, inputs: Sequence[str], shapes: Sequence[Shape], **attributes: Any) -> list[str]:
        """One operator with several outputs."""
        self._count += 1
        name = f"{kind.lower()}_{self._count}"
        outputs = [name if len(shapes) == 1 else f"{name}_{index}" for index in range(len(shapes))]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name=name, **attributes))
        self.shape.update(zip(outputs, shapes))
        return outputs

    def constant(self, array: NDArray[Any]) -> str:
        """A weight or an index list."""
        self._count += 1
        name = f"const_{self._count}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        self.shape[name] = array.shape
        return name

    def normal(self, shape: Shape, scale: float) -> NDArray[np.float32]:
        """Random weights."""
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    # Convolutions

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        act: str = "",
        *,
        groups: int = 1,
        dilation: int = 1,
        pads: Sequence[int] | None = None,
        bias: float | Sequence[float] = 0.0,
        gain: float = 2.0,
    ) -> str:
        """Convolution with bias, then an activation; `same` padding unless `pads` is given."""
        kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
        strides = (stride, stride) if isinstance(stride, int) else stride
        n, c, h, w = self.shape[x]
        half = [dilation * (size - 1) // 2 for size in kernels]
        padding = list(pads) if pads is not None else [*half, *half]
        spans = [dilation * (size - 1) + 1 for size in kernels]
        out_h = (h + padding[0] + padding[2] - spans[0]) // strides[0] + 1
        out_w = (w + padding[1] + padding[3] - spans[1]) // strides[1] + 1
        fan_in = c // groups * kernels[0] * kernels[1]
        weight = self.normal((channels, c // groups, *kernels), (gain / fan_in) ** 0.5)
        offsets = self.normal((channels,), 0.05) + np.float32(bias)
        y = self.node(
            "Conv",
            [x, self.constant(weight), self.constant(offsets.astype(np.float32))],
            (n, channels, out_h, out_w),
            kernel_shape=list(kernels),
            strides=list(strides),
            pads=padding,
            group=groups,
            dilations=[dilation, dilation],
        )
        return self.act(y, act)

    def conv1d(self, x: str, channels: int, kernel: int, stride: int, act: str = "") -> str:
        """Convolution over (N, C, L)."""
        n, c, length = self.shape[x]
        weight = self.normal((channels, c, kernel), (2.0 / (c * kernel)) ** 0.5)
        pad = (kernel - 1) // 2
        y = self.node(
            "Conv",
            [x, self.constant(weight), self.constant(self.normal((channels,), 0.05))],
            (n, channels, (length + 2 * pad - kernel) // stride + 1),
            kernel_shape=[kernel],
            strides=[stride],
            pads=[pad, pad],
        )
        return self.act(y, act)

    def act(self, x: str, kind: str) -> str:
        """An activation by name; the empty name is none."""
        shape = self.shape[x]
        if kind == "":
            return x
        if kind == "silu":
            return self.mul(x, self.node("Sigmoid", [x], shape))
        if kind == "hardswish":
            return self.mul(x, self.node("HardSigmoid", [x], shape, alpha=_HARD_SIXTH, beta=0.5))
        if kind == "relu6":
            return self.node("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))], shape)
        if kind == "leaky":
            return self.node("LeakyRelu", [x], shape, alpha=0.1)
        if kind == "gelu":
            return self._gelu(x)
        return self.node({"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[kind], [x], shape)

    def _gelu(self, x: str) -> str:
        shape = self.shape[x]
        inner = self.node("Erf", [self.node("Div", [x, self.constant(np.float32(2**0.5))], shape)], shape)
        grown = self.node("Add", [inner, self.constant(np.float32(1))], shape)
        return self.node("Mul", [self.mul(x, grown), self.constant(np.float32(0.5))], shape)

    # Element-wise and shapes

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b], np.broadcast_shapes(self.shape[a], self.shape[b]))

    def sub(self, a: str, b: str) -> str:
        return self.node("Sub", [a, b], np.broadcast_shapes(self.shape[a], self.shape[b]))

    def mul(self, a: str, b: str) -> str:
        return self.node("Mul", [a, b], np.broadcast_shapes(self.shape[a], self.shape[b]))

    def scaled(self, x: str, factor: float | NDArray[Any]) -> str:
        """`x` times a constant."""
        return self.mul(x, self.constant(np.asarray(factor, np.float32)))

    def concat(self, items: Sequence[str], axis: int = 1) -> str:
        shape = list(self.shape[items[0]])
        shape[axis] = sum(self.shape[item][axis] for item in items)
        return self.node("Concat", items, tuple(shape), axis=axis)

    def split(self, x: str, sizes: Sequence[int], axis: int = 1) -> list[str]:
        shape = self.shape[x]
        axis %= len(shape)
        shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
        return self.nodes("Split", [x, self.constant(np.array(sizes, np.int64))], shapes, axis=axis)

    def slice(self, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
        shape = list(self.shape[x])
        shape[axis] = len(range(*slice(start, end, step).indices(shape[axis])))
        bounds = [self.constant(np.array([value], np.int64)) for value in (start, end, axis, step)]
        return self.node("Slice", [x, *bounds], tuple(shape))

    def reshape(self, x: str, shape: Shape) -> str:
        known = int(np.prod(self.shape[x]))
        free = known // int(np.prod([size for size in shape if size != -1]))
        full = tuple(free if size == -1 else size for size in shape)
        return self.node("Reshape", [x, self.constant(np.array(full, np.int64))], full)

    def transpose(self, x: str, order: Sequence[int]) -> str:
        return self.node("Transpose", [x], tuple(self.shape[x][axis] for axis in order), perm=list(order))

    def softmax(self, x: str, axis: int) -> str:
        return self.node("Softmax", [x], self.shape[x], axis=axis)

    def clip01(self, x: str) -> str:
        return self.node("Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(1))], self.shape[x])

    def mean(self, x: str, axes: Sequence[int]) -> str:
        """Mean over `axes`, which stay with size 1."""
        rank = len(self.shape[x])
        kept = {axis % rank for axis in axes}
        shape = tuple(1 if axis in kept else size for axis, size in enumerate(self.shape[x]))
        return self.node("ReduceMean", [x], shape, axes=list(axes), keepdims=1)

    # Pooling and resizing

    def pool(self, kind: str, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        """MaxPool or AveragePool, square."""
        n, c, h, w = self.shape[x]
        size = [(side + 2 * pad - kernel) // stride + 1 for side in (h, w)]
        return self.node(kind, [x], (n, c, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def global_pool(self, x: str) -> str:
        n, c, _, _ = self.shape[x]
        return self.node("GlobalAveragePool", [x], (n, c, 1, 1))

    def resize(self, x: str, factor: int, mode: str = "nearest") -> str:
        """Upsampling by a whole factor."""
        n, c, h, w = self.shape[x]
        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        return self.node(
            "Resize",
            [x, "", scales],
            (n, c, h * factor, w * factor),
            mode=mode,
            coordinate_transformation_mode="asymmetric" if mode == "nearest" else "half_pixel",
            nearest_mode="floor",
        )

    # Transformers

    def matmul(self, a: str, b: str) -> str:
        shape = (*np.broadcast_shapes(self.shape[a][:-2], self.shape[b][:-2]), self.shape[a][-2], self.shape[b][-1])
        return self.node("MatMul", [a, b], shape)

    def linear(self, x: str, features: int, act: str = "", gain: float = 1.0) -> str:
        """x W + b over the last axis."""
        width = self.shape[x][-1]
        weight = self.constant(self.normal((width, features), (gain / width) ** 0.5))
        y = self.node("MatMul", [x, weight], (*self.shape[x][:-1], features))
        return self.act(self.add(y, self.constant(self.normal((features,), 0.05))), act)

    def layer_norm(self, x: str) -> str:
        """Layer normalisation over the last axis, in the operators that exporters write before opset 17."""
        width = self.shape[x][-1]
        centred = self.sub(x, self.mean(x, [-1]))
        square = self.node("Pow", [centred, self.constant(np.float32(2))], self.shape[centred])
        spread = self.mean(square, [-1])
        root = self.node("Sqrt", [self.add(spread, self.constant(np.float32(1e-5)))], self.shape[spread])
        y = self.node("Div", [centred, root], self.shape[x])
        gain = self.constant((1 + self.normal((width,), 0.1)).astype(np.float32))
        return self.add(self.mul(y, gain), self.constant(self.normal((width,), 0.05)))

    def attention(self, x: str, heads: int, mask: NDArray[Any] | None = None) -> str:
        """Self-attention over (N, L, D)."""
        n, length, width = self.shape[x]
        depth = width // heads
        parts = []
        for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
            split = self.reshape(self.linear(x, width), (n, length, heads, depth))
            parts.append(self.transpose(split, order))
        query, key, value = parts
        scores = self.scaled(self.matmul(query, key), depth**-0.5)
        if mask is not None:
            scores = self.add(scores, self.constant(mask.astype(np.float32)))
        mixed = self.matmul(self.softmax(scores, 3), value)
        joined = self.reshape(self.transpose(mixed, (0, 2, 1, 3)), (n, length, width))
        return self.linear(joined, width)

    def transformer_block(self, x: str, heads: int, mask: NDArray[Any] | None = None) -> str:
        """Attention and a feed-forward part, each added to its input, normalised before."""
        x = self.add(x, self.attention(self.layer_norm(x), heads, mask))
        width = self.shape[x][-1]
        return self.add(x, self.linear(self.linear(self.layer_norm(x), 4 * width, "gelu"), width))
