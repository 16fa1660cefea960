"""The arguments of each traced function, one class per shape of arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from rkparity.trace.fields import Fields
from rkparity.trace.records import BoundMemory, Content, InputGiven, Memory, ModelGiven, OutputGot, TensorAttributes


@dataclass(frozen=True)
class Init:
    """rknn_init."""

    model: ModelGiven
    flags: int
    has_extend: bool


@dataclass(frozen=True)
class DupContext:
    """rknn_dup_context; `source` is the number of the context that was duplicated."""

    source: int


@dataclass(frozen=True)
class Destroy:
    """rknn_destroy."""


@dataclass(frozen=True)
class Query:
    """rknn_query. `index` and `attr` are set for attribute commands only, `attr` when the query succeeded."""

    command: str
    command_value: int
    info_len: int
    info_null: bool
    index: int | None
    attr: TensorAttributes | None


@dataclass(frozen=True)
class InputsSet:
    """rknn_inputs_set; `n_inputs` is what the program said, `inputs` what could be read of it."""

    n_inputs: int
    inputs: tuple[InputGiven, ...]
    unreadable: bool


@dataclass(frozen=True)
class Run:
    """rknn_run; `run` counts the runs of this context before it."""

    run: int
    non_block: bool
    bound: tuple[BoundMemory, ...]


@dataclass(frozen=True)
class Wait:
    """rknn_wait."""


@dataclass(frozen=True)
class OutputsGet:
    """rknn_outputs_get."""

    n_outputs: int
    outputs: tuple[OutputGot, ...]
    unreadable: bool


@dataclass(frozen=True)
class OutputsRelease:
    """rknn_outputs_release."""

    n_outputs: int
    outputs: tuple[OutputGot, ...]
    unreadable: bool


@dataclass(frozen=True)
class CreateMemory:
    """rknn_create_mem, _mem2, _mem_from_fd, _mem_from_phys; None for what is no argument of the function called."""

    size: int
    virt_addr: int | None
    fd: int | None
    alloc_flags: int | None
    memory: Memory | None


@dataclass(frozen=True)
class DestroyMemory:
    """rknn_destroy_mem; the memory as it was before."""

    memory: Memory | None


@dataclass(frozen=True)
class SetIoMemory:
    """rknn_set_io_mem."""

    memory: Memory | None
    attr: TensorAttributes | None


@dataclass(frozen=True)
class SetMemory:
    """rknn_set_weight_mem, rknn_set_internal_mem."""

    memory: Memory | None


@dataclass(frozen=True)
class MemorySync:
    """rknn_mem_sync; `mode`: TO_DEVICE, FROM_DEVICE, BOTH or UNKNOWN(n)."""

    memory: Memory | None
    mode: str


@dataclass(frozen=True)
class SetShapes:
    """rknn_set_input_shape, rknn_set_input_shapes."""

    n_inputs: int
    attrs: tuple[TensorAttributes, ...]
    unreadable: bool


@dataclass(frozen=True)
class SetNumber:
    """rknn_set_core_mask, rknn_set_batch_core_num."""

    value: int


@dataclass(frozen=True)
class Unfinished:
    """A call that never returned, of whose arguments too little was noted for a record of its function."""


Details = Union[
    Unfinished,
    Init,
    DupContext,
    Destroy,
    Query,
    InputsSet,
    Run,
    Wait,
    OutputsGet,
    OutputsRelease,
    CreateMemory,
    DestroyMemory,
    SetIoMemory,
    SetMemory,
    MemorySync,
    SetShapes,
    SetNumber,
]


def _init(fields: Fields) -> Init:
    return Init(ModelGiven.read(fields.object("model")), fields.u32("flags"), not fields.is_null("extend"))


def _query(fields: Fields) -> Query:
    return Query(
        fields.text("command"),
        fields.i32("command_value"),
        fields.u32("info_len"),
        fields.flag("info_null"),
        fields.optional_integer("index"),
        fields.optional("attr", TensorAttributes.read),
    )


def _inputs(fields: Fields) -> tuple[InputGiven, ...]:
    found: list[InputGiven] = []

    def read(item: Fields) -> InputGiven:
        given = InputGiven(
            len(found),
            item.u32("index"),
            item.address("buf"),
            item.u32("size"),
            item.integer("pass_through", 0, 255),
            item.text("type"),
            item.text("fmt"),
            item.optional("content", Content.read),
        )
        found.append(given)
        return given

    return fields.items("inputs", read)


def _outputs(fields: Fields) -> tuple[OutputGot, ...]:
    found: list[OutputGot] = []

    def read(item: Fields) -> OutputGot:
        got = item.has("content")
        output = OutputGot(
            len(found),
            item.u32("index"),
            item.integer("want_float", 0, 255),
            item.integer("is_prealloc", 0, 255),
            item.address("buf_before" if got else "buf"),
            item.u32("size_before" if got else "size"),
            item.address("buf"),
            item.u32("size"),
            item.optional("content", Content.read) if got else None,
        )
        found.append(output)
        return output

    return fields.items("outputs", read)


def _run(fields: Fields) -> Run:
    extend = None if fields.is_null("extend") else fields.object("extend")
    non_block = extend is not None and extend.i32("non_block") != 0
    return Run(fields.integer("run"), non_block, fields.items("bound", BoundMemory.read))


def _create(fields: Fields) -> CreateMemory:
    return CreateMemory(
        fields.integer("size"),
        fields.address("virt_addr") if fields.has("virt_addr") else None,
        fields.i32("fd") if fields.has("fd") else None,
        fields.integer("alloc_flags") if fields.has("alloc_flags") else None,
        _memory(fields),
    )


def _memory(fields: Fields) -> Memory | None:
    return fields.optional("memory", Memory.read)


def _shapes(fields: Fields) -> SetShapes:
    return SetShapes(fields.u32("n_inputs"), fields.items("attrs", TensorAttributes.read), fields.flag("unreadable"))


READERS: dict[str, Callable[[Fields], Details]] = {
    "rknn_init": _init,
    "rknn_dup_context": lambda fields: DupContext(fields.integer("from")),
    "rknn_destroy": lambda _: Destroy(),
    "rknn_query": _query,
    "rknn_inputs_set": lambda fields: InputsSet(fields.u32("n_inputs"), _inputs(fields), fields.flag("unreadable")),
    "rknn_run": _run,
    "rknn_wait": lambda _: Wait(),
    "rknn_outputs_get": lambda fields: OutputsGet(fields.u32("n_outputs"), _outputs(fields), fields.flag("unreadable")),
    "rknn_outputs_release": lambda fields: OutputsRelease(
        fields.u32("n_outputs"), _outputs(fields), fields.flag("unreadable")
    ),
    "rknn_create_mem": _create,
    "rknn_create_mem2": _create,
    "rknn_create_mem_from_fd": _create,
    "rknn_create_mem_from_phys": _create,
    "rknn_destroy_mem": lambda fields: DestroyMemory(_memory(fields)),
    "rknn_set_io_mem": lambda fields: SetIoMemory(_memory(fields), fields.optional("attr", TensorAttributes.read)),
    "rknn_set_weight_mem": lambda fields: SetMemory(_memory(fields)),
    "rknn_set_internal_mem": lambda fields: SetMemory(_memory(fields)),
    "rknn_mem_sync": lambda fields: MemorySync(_memory(fields), fields.text("mode")),
    "rknn_set_input_shape": _shapes,
    "rknn_set_input_shapes": _shapes,
    "rknn_set_core_mask": lambda fields: SetNumber(fields.i32("core_mask")),
    "rknn_set_batch_core_num": lambda fields: SetNumber(fields.i32("core_num")),
}
