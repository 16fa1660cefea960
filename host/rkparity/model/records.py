"""What a compiled model says about itself, in frozen records."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rkparity.errors import UsageError
from rkparity.runs.dump_names import OUTPUT_OPERATOR, compose_dump_stem


class TensorKind(enum.Enum):
    """What a tensor is to the compiled model."""

    INPUT = "input"
    OUTPUT = "output"
    ACTIVATION = "activation"
    CONST = "const"
    CPU_CONST = "cpu-const"
    OTHER = "other"
    """The compiler's own: commands, tasks, scratch."""


@dataclass(frozen=True)
class ModelTensor:
    """One tensor. `dtype` is NumPy's name of the type the NPU holds ("int8", "float16", ...; "opaque" for commands).

    `shape` is logical (NCHW for 4-D); `native_dims` and `layout` are as in the NPU's memory ("NC1HWC2", "weight",
    "UNDEFINED", or "code N" for one not known here). `scale` and `zero_point` are empty for float tensors, one element
    per tensor or per channel otherwise: value = (q - zero_point) * scale. `size` is in bytes.
    """

    name: str
    dtype: str
    layout: str
    kind: TensorKind
    native_dims: tuple[int, ...]
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    qmethod: str
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    size: int

    @property
    def is_boolean(self) -> bool:
        """Whether it holds 0 and 1: the compiler keeps booleans as int8 of scale 1 and zero point 0, without a range.

        A calibrated tensor has one (files of toolkit 2.5.0 and 2.2.0, FP16 and INT8).
        """
        unscaled = self.scale == (1.0,) and self.zero_point == (0,) and not self.minimum
        return self.dtype == "bool" or (self.dtype == "int8" and unscaled)

    @property
    def is_quantized(self) -> bool:
        """Whether the values are integers on a scale."""
        return bool(self.scale) and self.dtype in ("int8", "uint8", "int16", "int4") and not self.is_boolean


@dataclass(frozen=True)
class Node:
    """One operator; `inputs` and `outputs` index `Model.tensors`. Execution order is the order in `Model.nodes`.

    `on_npu`: the compiler gave it to the NPU, not to the CPU. The layer tables of twelve models agree (evidence
    160_c25_*, 160_b25_*), but for InputOperator, whose row also depends on the API that is used.
    """

    index: int
    op_type: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    on_npu: bool = True


@dataclass(frozen=True)
class InputNormalization:
    """What the model does to one input before the first layer: (x - mean) / std per channel, RGB to BGR first if set.

    `shape`, `layout` and `dtype` are the original model's, as given to the toolkit.
    """

    name: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rgb2bgr: bool

    @property
    def is_identity(self) -> bool:
        """Whether values pass unchanged."""
        return all(value == 0 for value in self.mean) and all(value == 1 for value in self.std) and not self.rgb2bgr


@dataclass(frozen=True)
class ExpectedDump:
    """A dump the runtime writes for this model; `stem` is the file name up to the type suffix."""

    index: int
    op_type: str
    tensor: ModelTensor
    stem: str


@dataclass(frozen=True)
class Graph:
    """The operators and tensors for one set of input shapes, as in Model."""

    nodes: tuple[Node, ...]
    tensors: tuple[ModelTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the inputs, by API index; NCHW for 4-D."""
        return tuple(self.tensors[index].shape for index in self.inputs)


@dataclass(frozen=True)
class Model:
    """A `.rknn` file. For files whose payload cannot be read (other versions than 6 and 4100) only the JSON speaks:

    then `nodes` is empty, `tensors` holds the inputs and outputs without scales, and `warnings` says so.
    `inputs` and `outputs` index `tensors`, in the order of the API's index.

    A model built with dynamic_input `is_dynamic` and has one of `graphs` per set of input shapes, the largest first;
    the fields are those of the graph number `graph`. `batch` is rknn_batch_size, 1 without it; the file's shapes are of
    one sample, here all are of the whole batch: the first dimension is multiplied.
    """

    path: Path
    sha256: str
    file_version: int
    platform: str
    compiler_version: str
    source_framework: str
    nodes: tuple[Node, ...]
    tensors: tuple[ModelTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    normalization: tuple[InputNormalization, ...]
    trailer: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    graphs: tuple[Graph, ...] = ()
    graph: int = 0
    is_dynamic: bool = False
    batch: int = 1

    def at_graph(self, index: int) -> Model:
        """The same file seen at another set of input shapes."""
        if index == self.graph:
            return self
        graph = self.graphs[index]
        return replace(
            self,
            graph=index,
            nodes=graph.nodes,
            tensors=graph.tensors,
            inputs=graph.inputs,
            outputs=graph.outputs,
        )

    def for_input_shapes(self, shapes: Sequence[Sequence[int]]) -> Model:
        """A dynamic model at the set of shapes that `shapes` are, one per input; 4-D ones may be NCHW or NHWC.

        UsageError when no set fits. A model of one shape is returned as it is.
        """
        if not self.is_dynamic:
            return self
        for index, graph in enumerate(self.graphs):
            if len(shapes) == len(graph.input_shapes) and all(
                tuple(given) in (shape, nhwc_shape(shape)) for given, shape in zip(shapes, graph.input_shapes)
            ):
                return self.at_graph(index)
        sets = "; ".join(", ".join(shape_text(shape) for shape in graph.input_shapes) for graph in self.graphs)
        raise UsageError(
            f"{self.path}: was built with dynamic_input for the input shapes {sets}; given are "
            + ", ".join(shape_text(shape) for shape in shapes),
            hint="give all inputs in the shapes of one set (4-D: NHWC or NCHW)",
        )

    def for_dumps(self, files: Iterable[str]) -> Model:
        """A dynamic model at the set of shapes that most of the dumps named `files` are of; the first one on a tie."""
        if not self.is_dynamic:
            return self
        stems = Counter(name.rpartition("_")[0] for name in files)
        fitting = [
            sum(stems[dump.stem] > 0 for dump in self.at_graph(index).expected_dumps())
            for index in range(len(self.graphs))
        ]
        return self.at_graph(fitting.index(max(fitting))) if fitting else self

    @property
    def input_tensors(self) -> tuple[ModelTensor, ...]:
        """The model's inputs, by API index."""
        return tuple(self.tensors[index] for index in self.inputs)

    @property
    def output_tensors(self) -> tuple[ModelTensor, ...]:
        """The model's outputs, by API index."""
        return tuple(self.tensors[index] for index in self.outputs)

    @property
    def is_quantized(self) -> bool:
        """Whether any activation is quantised."""
        return any(
            tensor.is_quantized
            for tensor in self.tensors
            if tensor.kind in (TensorKind.INPUT, TensorKind.OUTPUT, TensorKind.ACTIVATION)
        )

    def expected_dumps(self) -> tuple[ExpectedDump, ...]:
        """The dumps librknnrt writes for this model, in execution order (evidence 160_c25_*, 160_b25_split_int8).

        InputOperator and every other operator dump what they write, one file per output; OutputOperator writes nothing
        and dumps what it reads. The type suffix depends on the settings of the run and on what the application gives.
        """
        expected = []
        for node in self.nodes:
            indices = node.inputs[:1] if node.op_type == OUTPUT_OPERATOR else node.outputs
            for index in indices:
                tensor = self.tensors[index]
                expected.append(
                    ExpectedDump(
                        node.index,
                        node.op_type,
                        tensor,
                        compose_dump_stem(node.index, node.op_type, tensor.name, tensor.shape),
                    )
                )
        return tuple(expected)

    def producer(self, tensor_name: str) -> Node | None:
        """The operator that writes the tensor of that name; None if there is none."""
        return next(
            (node for node in self.nodes if any(self.tensors[index].name == tensor_name for index in node.outputs)),
            None,
        )


def nhwc_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A 4-D NCHW shape as NHWC; other shapes as they are."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else tuple(shape)


def shape_text(shape: Sequence[int]) -> str:
    """A shape for people: 1x3x224x224."""
    return "x".join(str(size) for size in shape) or "scalar"
