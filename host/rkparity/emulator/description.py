"""What the emulated library must know of a model, taken from the `.rknn` file and encoded for it."""

from __future__ import annotations

from dataclasses import dataclass

from rkparity.emulator.protocol import NO_INPUT, TYPE_CODES, f32, i32, text, u32
from rkparity.errors import DataError
from rkparity.model import InputNormalization, Model, ModelTensor, Node
from rkparity.runs.dump_names import INPUT_OPERATOR, OUTPUT_OPERATOR

# "(1,1,32,32),(16,1,3,3),(16),(1,16,16,16)" was cut, "(1,16,1,1),(4,16,1,1),(4),(1,4,1,1)" was not.
_SHAPES_WIDTH = 40
_ROLE_LAYER, _ROLE_INPUT, _ROLE_OUTPUT = 0, 1, 2


@dataclass(frozen=True)
class LayerTensor:
    """A tensor the library dumps when it has run operator `node`; `slot` counts that operator's outputs."""

    node: int
    slot: int
    tensor: ModelTensor


def check_emulated(model: Model) -> None:
    """DataError when the emulator cannot stand in for the runtime with this model."""
    if not model.nodes:
        raise DataError(
            f"{model.path.name}: the file's payload has no operator list (file version {model.file_version}, "
            f"target {model.platform}); the emulator cannot run it",
            hint="build the model again with rknn-toolkit2 2.2.0 or later",
        )
    if model.is_dynamic and model.batch > 1:
        raise DataError(
            f"{model.path.name}: was built with both dynamic_input and rknn_batch_size={model.batch}; the emulator "
            "follows one of them",
            hint="put the batch into the shapes of dynamic_input",
        )
    for tensor in (*model.input_tensors, *model.output_tensors):
        if tensor.dtype not in TYPE_CODES:
            raise DataError(
                f"{model.path.name}: {tensor.name} has the type {tensor.dtype}, which the emulator cannot pass on"
            )


def layer_tensors(model: Model) -> tuple[LayerTensor, ...]:
    """The tensors of the operators the NPU runs, in the order of their dumps."""
    return tuple(
        LayerTensor(node.index, slot, model.tensors[index])
        for node in model.nodes
        if node.op_type not in (INPUT_OPERATOR, OUTPUT_OPERATOR)
        for slot, index in enumerate(node.outputs)
    )


def describe(model: Model, *, simulator: str) -> bytes:
    """The description the library reads; `simulator` says in its log where values come from."""
    check_emulated(model)
    parts = [
        text(model.platform),
        text(model.compiler_version),
        text(model.source_framework),
        text(simulator),
        u32(model.file_version),
        u32(model.is_dynamic),
        u32(model.batch),
        u32(max(1, len(model.graphs))),
    ]
    return b"".join([*parts, *(_graph(view) for view in graph_views(model))])


def graph_views(model: Model) -> list[Model]:
    """The model at every set of input shapes it was built for."""
    return [model.at_graph(index) for index in range(len(model.graphs))] or [model]


def _graph(model: Model) -> bytes:
    used = sorted({*model.inputs, *model.outputs, *(index for node in model.nodes for index in node.outputs)})
    place = {index: position for position, index in enumerate(used)}
    parts = [
        u32(len(used)),
        u32(len(model.nodes)),
        u32(len(model.inputs)),
        u32(len(model.outputs)),
    ]
    parts += [_tensor(model.tensors[index]) for index in used]
    parts += [
        _input(place[index], model.tensors[index], _normalization(model, position))
        for position, index in enumerate(model.inputs)
    ]
    parts += [u32(place[index]) for index in model.outputs]
    parts += [_node(model, node, place) for node in model.nodes]
    return b"".join(parts)


def _tensor(tensor: ModelTensor) -> bytes:
    scale = tensor.scale[0] if tensor.is_quantized else 1.0
    zero_point = tensor.zero_point[0] if tensor.is_quantized and tensor.zero_point else 0
    return b"".join(
        [
            text(tensor.name),
            u32(TYPE_CODES.get(tensor.dtype, TYPE_CODES["float32"])),
            _dims(tensor.shape),
            _dims(tensor.native_dims),
            f32(scale),
            i32(zero_point),
            u32(min(tensor.size, 0xFFFFFFFF)),
        ]
    )


def _dims(dims: tuple[int, ...]) -> bytes:
    return u32(len(dims)) + b"".join(u32(dim) for dim in dims)


def _normalization(model: Model, position: int) -> InputNormalization | None:
    name = model.input_tensors[position].name
    return next((item for item in model.normalization if item.name == name), None)


def channel_values(
    tensor: ModelTensor, normalization: InputNormalization | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std per channel of an input, both empty when it is not normalised.

    The file gives one number per channel, or one for all of them.
    """
    if normalization is None or (not any(normalization.mean) and all(value == 1 for value in normalization.std)):
        return (), ()
    channels = tensor.shape[1] if len(tensor.shape) >= 2 else 1
    mean, std = normalization.mean, normalization.std
    # Of a model of several sets of shapes the file has as many numbers as the largest set has channels.
    mean = mean[:1] * channels if len(set(mean)) == 1 else mean
    std = std[:1] * channels if len(set(std)) == 1 else std
    if len(mean) != channels or len(std) != channels or not all(std):
        raise DataError(f"input {tensor.name} has {channels} channels and mean {list(mean)}, std {list(std)}")
    return mean, std


def _input(place: int, tensor: ModelTensor, normalization: InputNormalization | None) -> bytes:
    mean, std = channel_values(tensor, normalization)
    if len(tensor.shape) < 2:
        mean, std = (), ()
    return b"".join([u32(place), u32(len(mean)), *(f32(value) for value in (*mean, *std))])


def _input_shapes(model: Model, node: Node) -> str:
    """What the runtime's layer table shows of an operator's inputs: as many shapes as fit (evidence 160_perf_flag).

    The copies `X_exSecondary` are not shown (evidence 160_c25_multi_input_int8).
    """
    read = [model.tensors[index] for index in node.inputs]
    shapes = [item.shape for item in read if not item.name.endswith("_exSecondary")]
    line = ""
    for shape in ("(" + ",".join(map(str, dims)) + ")" for dims in shapes):
        longer = f"{line},{shape}" if line else shape
        if line and len(longer) >= _SHAPES_WIDTH:
            return f"{line},..."
        line = longer
    return line


def _first(node: Node) -> int | None:
    """The tensor by which an operator is named: the first it reads, or what an InputOperator makes."""
    tensors = node.outputs if node.op_type == INPUT_OPERATOR else node.inputs or node.outputs
    return next(iter(tensors), None)


def _type_of(model: Model, node: Node) -> str:
    first = _first(node)
    return "float32" if first is None else model.tensors[first].dtype


def _read_input(model: Model, node: Node) -> int:
    first = _first(node)
    return NO_INPUT if first is None or first not in model.inputs else model.inputs.index(first)


def _node(model: Model, node: Node, place: dict[int, int]) -> bytes:
    role, position, outputs = _ROLE_LAYER, 0, node.outputs
    if node.op_type == INPUT_OPERATOR and node.outputs and node.outputs[0] in model.inputs:
        role, position = _ROLE_INPUT, model.inputs.index(node.outputs[0])
    elif node.op_type == OUTPUT_OPERATOR and node.inputs and node.inputs[0] in model.outputs:
        role, position = _ROLE_OUTPUT, model.outputs.index(node.inputs[0])
    elif node.op_type in (INPUT_OPERATOR, OUTPUT_OPERATOR):
        raise DataError(f"{model.path.name}: {node.name} belongs to no input or output of the model")
    return b"".join(
        [
            text(node.op_type),
            text(node.name),
            u32(role),
            u32(position),
            text(_input_shapes(model, node)),
            u32(TYPE_CODES.get(_type_of(model, node), TYPE_CODES["float32"])),
            u32(_read_input(model, node)),
            u32(node.on_npu),
            u32(len(outputs)),
            *(u32(place[index]) for index in outputs),
        ]
    )
