"""What a compiled model says about itself, in frozen records."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.runs.dump_names import INPUT_OPERATOR, OUTPUT_OPERATOR, compose_dump_stem


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
    def is_quantized(self) -> bool:
        """Whether the values are integers on a scale."""
        return bool(self.scale) and self.dtype in ("int8", "uint8", "int16", "int4")


@dataclass(frozen=True)
class Node:
    """One operator; `inputs` and `outputs` index `Model.tensors`. Execution order is the order in `Model.nodes`."""

    index: int
    op_type: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


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
class Model:
    """A `.rknn` file. For files whose payload cannot be read (other versions than 6 and 4100) only the JSON speaks:

    then `nodes` is empty, `tensors` holds the inputs and outputs without scales, and `warnings` says so.
    `inputs` and `outputs` index `tensors`, in the order of the API's index. `n_graphs` is more than 1 for a model built
    with dynamic_input: one graph per set of shapes, of which the first is described.
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
    n_graphs: int = 1

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

    def input_nodes(self) -> tuple[Node, ...]:
        """The InputOperators, in execution order."""
        return tuple(node for node in self.nodes if node.op_type == INPUT_OPERATOR)
