"""What the rules look at: one process's trace, by context, with the model and the reference where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.findings.runtime_log import LogLine
from rkparity.runs.void_values import VOID_MARK
from rkparity.trace import (
    InputGiven,
    InputsSet,
    OutputGot,
    OutputsGet,
    Run,
    SetIoMemory,
    SetShapes,
    TensorAttributes,
    Trace,
    TraceCall,
)

if TYPE_CHECKING:
    from rkparity.lint.reference import Reference
    from rkparity.model import InputNormalization, Model
    from rkparity.trace import BoundMemory, ContextTrace

# Bytes of one element; INT4 has two to a byte and is never declared by an application.
TYPE_NBYTES = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "BFLOAT16": 2,
    "INT8": 1,
    "UINT8": 1,
    "BOOL": 1,
    "INT16": 2,
    "UINT16": 2,
    "INT32": 4,
    "UINT32": 4,
    "INT64": 8,
}
FLOAT_TYPES = ("FLOAT32", "FLOAT16", "BFLOAT16")
BYTE_TYPES = ("UINT8", "INT8")
# Chips whose runtime is the mini runtime, librknnmrt (RKNN manual, zero-copy API).
MINI_CHIPS = ("rv1103", "rv1106")


@dataclass(frozen=True)
class ContextView:
    """One context of a trace. `model` is the one of the `--model` that this context runs."""

    trace: Trace
    number: int
    info: ContextTrace | None
    model: Model | None

    @cached_property
    def calls(self) -> tuple[TraceCall, ...]:
        """Its calls in the order they began."""
        return self.trace.calls_of(self.number)

    @property
    def inputs(self) -> tuple[TensorAttributes, ...]:
        """The model's inputs; empty when they are not known."""
        return self.info.inputs if self.info is not None else ()

    @property
    def outputs(self) -> tuple[TensorAttributes, ...]:
        """The model's outputs; empty when they are not known."""
        return self.info.outputs if self.info is not None else ()

    @cached_property
    def is_reshaped(self) -> bool:
        """Whether the program chose other shapes: sizes are then not those of the attributes."""
        return any(isinstance(call.details, SetShapes) and not call.failed for call in self.calls)

    @cached_property
    def is_mini(self) -> bool:
        """Whether this runs on the mini runtime of RV1103/RV1106."""
        library = self.trace.library
        path = library.path if library is not None else None
        if path is not None and Path(path).name.startswith("librknnmrt"):
            return True
        platform = self.model.platform.lower() if self.model is not None else ""
        return platform.startswith(MINI_CHIPS)

    @property
    def is_emulated(self) -> bool:
        """Whether the runtime says that it is rkparity's emulated one."""
        return self.info is not None and "emulated" in (self.info.api_version or "")

    @property
    def is_void(self) -> bool:
        """Whether the emulated runtime had no values of this model: what its outputs hold says nothing."""
        return self.info is not None and VOID_MARK in (self.info.api_version or "")

    def input_at(self, position: int) -> TensorAttributes | None:
        """The attributes of input `position`: the library goes by the place (evidence 160_err_index_swapped)."""
        return self.inputs[position] if position < len(self.inputs) else None

    def output_at(self, position: int) -> TensorAttributes | None:
        """The attributes of output `position`."""
        return self.outputs[position] if position < len(self.outputs) else None

    def named(self, name: str) -> TensorAttributes | None:
        """The plain attributes of the input or output called `name`."""
        return next((attr for attr in (*self.inputs, *self.outputs) if attr.name == name), None)

    def native(self, name: str) -> TensorAttributes | None:
        """The native attributes of the input or output called `name`."""
        if self.info is None:
            return None
        both = (*self.info.native_inputs, *self.info.native_outputs)
        return next((attr for attr in both if attr.name == name), None)

    def is_input(self, name: str) -> bool:
        """Whether the model has an input of that name."""
        return any(attr.name == name for attr in self.inputs)

    def normalization(self, name: str) -> InputNormalization | None:
        """Mean and std of the input, when the model is known and has any."""
        if self.model is None:
            return None
        found = next((item for item in self.model.normalization if item.name == name), None)
        return None if found is None or found.is_identity else found

    def sets(self) -> Iterator[tuple[TraceCall, InputsSet]]:
        """The calls of rknn_inputs_set."""
        for call in self.calls:
            if isinstance(call.details, InputsSet):
                yield call, call.details

    def given(self) -> Iterator[tuple[TraceCall, InputGiven, TensorAttributes]]:
        """Every rknn_input whose tensor is known."""
        for call, details in self.sets():
            for item in details.inputs:
                attr = self.input_at(item.position)
                if attr is not None:
                    yield call, item, attr

    def runs(self) -> Iterator[tuple[TraceCall, Run]]:
        """The calls of rknn_run."""
        for call in self.calls:
            if isinstance(call.details, Run):
                yield call, call.details

    def gets(self) -> Iterator[tuple[TraceCall, OutputsGet]]:
        """The calls of rknn_outputs_get."""
        for call in self.calls:
            if isinstance(call.details, OutputsGet):
                yield call, call.details

    def got(self) -> Iterator[tuple[TraceCall, OutputGot, TensorAttributes]]:
        """Every rknn_output whose tensor is known."""
        for call, details in self.gets():
            for item in details.outputs:
                attr = self.output_at(item.position)
                if attr is not None:
                    yield call, item, attr

    def bindings(self) -> Iterator[tuple[TraceCall, SetIoMemory]]:
        """The calls of rknn_set_io_mem."""
        for call in self.calls:
            if isinstance(call.details, SetIoMemory):
                yield call, call.details

    def bound(self, direction: str) -> Iterator[tuple[TraceCall, BoundMemory]]:
        """Every bound memory of every run in one direction, input or output."""
        for call, details in self.runs():
            for item in details.bound:
                if item.direction == direction:
                    yield call, item


@dataclass(frozen=True)
class Subject:
    """One process: its trace, its contexts, and what else is known. Rules read it and yield observations."""

    trace: Trace
    models: tuple[Model, ...] = ()
    references: tuple[tuple[Model | None, Reference], ...] = ()
    log: tuple[LogLine, ...] = ()
    contexts: tuple[ContextView, ...] = field(init=False)

    def __post_init__(self) -> None:
        numbers = {call.context for call in self.trace.calls} | {info.context for info in self.trace.contexts}
        views = []
        for number in sorted(numbers - {0}):
            info = self.trace.context(number)
            views.append(ContextView(self.trace, number, info, self._model_of(info)))
        object.__setattr__(self, "contexts", tuple(views))

    def reference_of(self, view: ContextView) -> Reference | None:
        """The reference of this context's model, or the one that was given for no model in particular."""
        own = [reference for model, reference in self.references if model is not None and model is view.model]
        return next(iter([*own, *(reference for model, reference in self.references if model is None)]), None)

    def _model_of(self, info: ContextTrace | None) -> Model | None:
        """The given model that this context runs; one whose hash is not known is found by its inputs' names.

        A duplicated context runs what its source runs. Names that fit several of the given models name none.
        """
        if info is None:
            return None
        if info.model is None and info.duplicated_from is not None:
            source = self.trace.context(info.duplicated_from)
            if source is not None and source.seq < info.seq:
                return self._model_of(source)
        given = info.model.sha256 if info.model is not None else None
        if given is not None:
            return next((model for model in self.models if model.sha256 == given), None)
        names = [attr.name for attr in info.inputs]
        fitting = [model for model in self.models if names == [tensor.name for tensor in model.input_tensors]]
        return fitting[0] if len(fitting) == 1 else None


def nbytes_of(attr: TensorAttributes, type_name: str) -> int | None:
    """Bytes of a tensor without strides in the type called `type_name`; None for a type without a byte size."""
    width = TYPE_NBYTES.get(type_name)
    return None if width is None else attr.n_elems * width


def is_picture(attr: TensorAttributes) -> bool:
    """Whether an input can hold a picture: 4-D NHWC with 1, 3 or 4 channels (RKNN manual, input types)."""
    return attr.n_dims == 4 and len(attr.dims) >= 4 and attr.dims[3] in (1, 3, 4) and attr.n_elems > 64


def described(attr: TensorAttributes) -> str:
    """`'x' (1x30x40x3 NHWC INT8)`."""
    return f"{attr.name!r} ({'x'.join(str(size) for size in attr.dims[: attr.n_dims])} {attr.fmt} {attr.type})"
