"""Where the layers' values come from: the toolkit's simulator, asked for one run at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rkparity.emulator.description import channel_values, layer_tensors
from rkparity.emulator.protocol import GraphValue
from rkparity.errors import DataError
from rkparity.model import Model, ModelTensor
from rkparity.runs.void_values import VOID_MARK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.emulator.faults import Alteration
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.worker_client import Worker


@dataclass(frozen=True)
class RunValues:
    """One run: `outputs` in the model's types, by API index; `layers` as float32 (int64 stays), by tensor name."""

    outputs: tuple[NDArray[Any], ...]
    layers: Mapping[str, NDArray[Any]]


class ValueSource(Protocol):
    """Computes a model, like the NPU."""

    description: str

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        """Runs the model on its inputs in the model's types; DataError when they do not fit the model."""


@runtime_checkable
class DynamicSource(Protocol):
    """A source of values of a model with several sets of input shapes."""

    def at_graph(self, index: int) -> ValueSource:
        """The source of the same model at another set of shapes."""


class VoidSource:
    """No values for a model that the toolkit cannot build again: zeros as outputs, no layers. See `VOID_MARK`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.description = (
            f"{VOID_MARK}: {model.path.name} has no build record, so it cannot be simulated: outputs are zeros, layers "
            "and outputs are not dumped; only the calls mean something"
        )

    def at_graph(self, index: int) -> VoidSource:
        """The same at another set of input shapes."""
        return VoidSource(self._model.at_graph(index))

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        """Checks the inputs as a computation would; zeros."""
        import numpy as np

        graph_inputs(self._model, inputs)
        return RunValues(tuple(np.zeros(int(np.prod(t.shape)), t.dtype) for t in self._model.output_tensors), {})


@runtime_checkable
class SelectiveSource(Protocol):
    """A source that can compute some layers only."""

    def compute_tensors(self, inputs: Sequence[GraphValue], names: Collection[str]) -> RunValues:
        """As `compute`, with the layers of these names only."""


class SimulatorSource:
    """A model built in a toolkit worker. The build must be that of the `.rknn` file; `catalogue` checks that."""

    def __init__(self, worker: Worker, built: BuiltModel, model: Model) -> None:
        self._worker = worker
        self._built = built
        self._model = model
        self.description = f"the simulator of rknn-toolkit2 {built.toolkit_version}, model {model.path.name}"

    def at_graph(self, index: int) -> SimulatorSource:
        """The same build at another set of input shapes."""
        return SimulatorSource(self._worker, self._built, self._model.at_graph(index))

    def _shaped(self, inputs: Sequence[GraphValue]) -> list[NDArray[Any]]:
        """The inputs as the simulator's graph takes them.

        The simulator of a model with several sets of shapes chooses the graph by the inputs' shapes, which are the
        compiled model's.
        """
        import numpy as np

        shaped = []
        for value, item in zip(graph_inputs(self._model, inputs), self._built.inputs):
            fits = not self._model.is_dynamic and value.size == np.prod(item.shape)
            array = np.ascontiguousarray(value.reshape(item.shape) if fits else value)
            # A bool input is int8 in the .rknn file (evidence 160_dumpquant_1_boolin_int8).
            shaped.append(array != 0 if item.dtype == "bool" else array if item.is_real else array.astype(item.dtype))
        return shaped

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        """One run of the simulator, from the very values the graph's input holds."""
        names = {item.tensor.name for item in layer_tensors(self._model)} if want_layers else set()
        return self.compute_tensors(inputs, names)

    def compute_tensors(self, inputs: Sequence[GraphValue], names: Collection[str]) -> RunValues:
        """As `compute`, with the layers of these names only: fetching all costs more than computing them."""
        shaped = self._shaped(inputs)
        layers: dict[str, NDArray[Any]] = {}
        wanted = {item.tensor.name: item.tensor for item in layer_tensors(self._model) if item.tensor.name in names}
        if wanted:
            asked = list(dict.fromkeys(name for tensor in wanted.values() for name in simulator_names(tensor)))
            values = self._worker.layers(self._built.model_id, shaped, names=asked)
            outputs = values.outputs
            for name, tensor in wanted.items():
                found = next((other for other in simulator_names(tensor) if other in values.layers), None)
                if found is not None:
                    layers[name] = layer_value(tensor, values.layers[found])
        else:
            outputs = tuple(self._worker.outputs(self._built.model_id, shaped))
        if len(outputs) != len(self._model.outputs):
            raise DataError(
                f"the simulator gave {len(outputs)} outputs, {self._model.path.name} has {len(self._model.outputs)}"
            )
        return RunValues(
            tuple(output_value(tensor, array) for tensor, array in zip(self._model.output_tensors, outputs)), layers
        )

    def compute_altered(
        self, inputs: Sequence[GraphValue], alterations: Sequence[Alteration], *, want_layers: bool
    ) -> RunValues:
        """One run in which the layers behind an altered one are computed from its altered values.

        Each alteration costs one run more, as its layer's values must be known before.
        """
        shaped = self._shaped(inputs)
        altered: dict[str, NDArray[Any]] = {}
        for alteration in alterations:
            tensor = alteration.layer.tensor
            # An int8 output X is the simulator's X_int8, which the layers behind it read; its X is made from that.
            names = (f"{tensor.name}_int8", *simulator_names(tensor))
            original = _first(self._replayed(shaped, altered, names), names)
            if original is None:
                raise DataError(f"{tensor.name}: the simulator has no value of it to alter")
            name, array = original
            altered[name] = alteration.apply(array)
        dumped = [item.tensor for item in layer_tensors(self._model)] if want_layers else []
        wanted = (*dumped, *self._model.output_tensors)
        values = self._replayed(shaped, altered, [name for tensor in wanted for name in simulator_names(tensor)])
        found = {tensor.name: _first(values, simulator_names(tensor)) for tensor in wanted}
        outputs = []
        for tensor in self._model.output_tensors:
            value = found[tensor.name]
            if value is None:
                raise DataError(f"{tensor.name}: the simulator cannot compute this output from altered layers")
            outputs.append(output_value(tensor, value[1]))
        pairs = ((tensor, found[tensor.name]) for tensor in dumped)
        return RunValues(
            tuple(outputs), {tensor.name: layer_value(tensor, value[1]) for tensor, value in pairs if value is not None}
        )

    def _replayed(
        self, shaped: Sequence[NDArray[Any]], altered: Mapping[str, NDArray[Any]], names: Sequence[str]
    ) -> Mapping[str, NDArray[Any]]:
        """The simulator's tensors of these names, as far as it has them, when some are altered."""
        replayed = self._worker.resimulate(self._built.model_id, shaped, altered, names=list(dict.fromkeys(names)))
        if replayed.misfits:
            raise DataError(f"{replayed.misfits[0]}: the simulator does not take its altered values")
        return {**{item.name: item.values for item in replayed.tensors}, **altered}


def _first(values: Mapping[str, NDArray[Any]], names: Sequence[str]) -> tuple[str, NDArray[Any]] | None:
    """The first of these names that has a value, and its value."""
    return next(((name, values[name]) for name in names if name in values), None)


def simulator_names(tensor: ModelTensor) -> tuple[str, ...]:
    """The names the simulator may know a compiled tensor by.

    The compiler puts an operator `Conv` before some graphs that only copies the input into another layout; its output
    `New_input_X` is the simulator's quantised input `X_int8`, or `X` itself (evidence 160_c25_odd_names_int8).
    """
    prefix = "New_input_"
    if not tensor.name.startswith(prefix):
        return (tensor.name,)
    source = tensor.name[len(prefix) :]
    return (tensor.name, f"{source}_int8", source) if tensor.is_quantized else (tensor.name, source)


def graph_inputs(model: Model, inputs: Sequence[GraphValue]) -> list[NDArray[Any]]:
    """The float32 (or integer) values after mean and std that the given input values stand for.

    int8: (q - zero_point) * scale, exactly on the input's grid, so that the simulator's own quantisation gives q again.
    Pixels before the NPU's normalisation: (x - mean) / std in double precision, then float32, as the toolkit normalises
    (evidence toolkit/cnn_classifier/fp16/snapshot/golden: its input, bit for bit).
    """
    import numpy as np

    if len(inputs) != len(model.inputs):
        raise DataError(f"{model.path.name} has {len(model.inputs)} inputs, {len(inputs)} given")
    arrays = []
    for tensor, value in zip(model.input_tensors, inputs):
        expected = "uint8" if value.raw_uint8 else tensor.dtype
        count = int(np.prod(tensor.shape, dtype=np.int64))
        if value.dtype != expected or len(value.data) != count * np.dtype(expected).itemsize:
            raise DataError(
                f"input {tensor.name}: {len(value.data)} bytes of {value.dtype} given, {count} elements of "
                f"{expected} expected"
            )
        array: NDArray[Any] = np.frombuffer(value.data, dtype=expected).reshape(tensor.shape)
        if value.raw_uint8:
            array = _normalized(model, tensor, array)
        elif tensor.is_quantized:
            array = (array.astype(np.float32) - np.float32(tensor.zero_point[0])) * np.float32(tensor.scale[0])
        elif tensor.dtype in ("float16", "bool", "int8", "uint8"):
            array = array.astype(np.float32)
        arrays.append(array)
    return arrays


def _normalized(model: Model, tensor: ModelTensor, pixels: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    normalization = next((item for item in model.normalization if item.name == tensor.name), None)
    mean, std = channel_values(tensor, normalization)
    values = pixels.astype(np.float64)
    if mean:
        shape = (1, -1) + (1,) * (values.ndim - 2)
        values -= np.array(mean).reshape(shape)
        values /= np.array(std).reshape(shape)
    normal: NDArray[Any] = values.astype(np.float32)
    return normal


def _fitting(tensor: ModelTensor, array: NDArray[Any]) -> NDArray[Any]:
    """The simulator keeps other ranks than the compiled model (a Gemm is (1, N, 1, 1)); only the count must agree."""
    import numpy as np

    if array.size != int(np.prod(tensor.shape, dtype=np.int64)):
        raise DataError(
            f"{tensor.name}: the simulator's shape {array.shape} is not the compiled model's {tensor.shape}"
        )
    return array


def layer_value(tensor: ModelTensor, array: NDArray[Any]) -> NDArray[Any]:
    """A layer's values as the library dumps them: float32, int64 for int64 tensors."""
    import numpy as np

    return np.ascontiguousarray(
        _fitting(tensor, array), dtype=np.int64 if tensor.dtype == "int64" else np.float32
    ).reshape(-1)


def output_value(tensor: ModelTensor, array: NDArray[Any]) -> NDArray[Any]:
    """An output in the compiled model's type. The simulator's int8 values lie on the tensor's grid, so q is exact."""
    import numpy as np

    flat = _fitting(tensor, array).reshape(-1)
    if tensor.is_quantized:
        info = np.iinfo(tensor.dtype)
        quantized = np.rint(flat.astype(np.float64) / np.float64(tensor.scale[0])) + tensor.zero_point[0]
        if not np.isfinite(quantized).all():
            raise DataError(f"{tensor.name}: the simulator gave values that are not finite for a {tensor.dtype} tensor")
        integers: NDArray[Any] = np.clip(quantized, info.min, info.max).astype(tensor.dtype)
        return integers
    return np.ascontiguousarray(flat, dtype=tensor.dtype)
