"""Everything measured about the layers of one comparison, once, for all checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rkparity.compare.comparison import Comparison, PairResult
from rkparity.compare.file_scores import score_files
from rkparity.compare.kernels import Quantization, ScoreOptions, ShapeMismatch, grid_ends
from rkparity.compare.own_error import OwnError
from rkparity.compare.source import TensorSource
from rkparity.compare.statistics import PairStatistics
from rkparity.compare.verdict import Origin, Verdict
from rkparity.errors import DataError, UsageError
from rkparity.findings.finding import Finding
from rkparity.model.records import Model, ModelTensor, TensorKind
from rkparity.runs import Precision, TensorRecord, open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONSTANTS = (TensorKind.CONST, TensorKind.CPU_CONST, TensorKind.OTHER)


@dataclass(frozen=True)
class LayerFacts:
    """One compared layer: `pair` is its result; `tensor` the compiled model's, `record` the reference's.

    `noise`: simulator (test) against golden (reference) with saturation counted, None without golden.
    `own`: the board's dump against what the simulator makes of the board's own inputs, None when not recomputed.
    """

    pair: PairResult
    tensor: ModelTensor | None
    record: TensorRecord | None
    noise: PairStatistics | None = None
    own: OwnError | None = None

    @property
    def quantization(self) -> Quantization | None:
        """The tensor's scale and zero point, from the model or else from the reference; a boolean one has none."""
        if self.dtype == "bool":
            return None
        for source in (self.tensor, self.record):
            if source is not None and len(source.scale) == 1 and len(source.zero_point) == 1 and source.scale[0] > 0:
                return Quantization(source.scale[0], source.zero_point[0])
        return None

    @property
    def dtype(self) -> str:
        """The type on the NPU, "bool" for booleans kept as int8; "int8" when only a scale is known."""
        if self.tensor is not None:
            return "bool" if self.tensor.is_boolean else self.tensor.dtype
        if self.record is None or self.record.dtype == "bool":
            return "" if self.record is None else "bool"
        return "int8" if self.record.scale else ""


@dataclass(frozen=True)
class LayersFacts:
    """The layers of one comparison in execution order, and the runs behind them; values are mapped when asked for."""

    comparison: Comparison
    layers: tuple[LayerFacts, ...]
    reference: TensorSource
    golden: TensorSource | None
    model: Model | None

    @property
    def has_local_run(self) -> bool:
        """Whether every layer was also computed on the board's own inputs."""
        return self.comparison.local_path is not None

    @property
    def failing(self) -> tuple[LayerFacts, ...]:
        """Layers beyond their limits."""
        return tuple(layer for layer in self.layers if layer.pair.verdict is Verdict.FAIL)

    @property
    def own(self) -> tuple[LayerFacts, ...]:
        """Failing layers whose inputs are good."""
        return tuple(layer for layer in self.failing if layer.pair.origin is Origin.OWN)

    def dump(self, layer: LayerFacts) -> NDArray[Any]:
        """The board's values, dequantised when the dump is raw."""
        import numpy as np

        array = open_npy(Path(self.comparison.dumps_path) / layer.pair.dump)
        known = layer.quantization
        if array.dtype.kind in "iu" and known is not None and array.dtype.name == layer.dtype:
            real: NDArray[Any] = (array.astype(np.float32) - np.float32(known.zero_point)) * np.float32(known.scale)
            return real
        return array

    def simulated(self, layer: LayerFacts) -> NDArray[Any] | None:
        """The reference's values in the dump's shape."""
        if layer.record is None:
            return None
        return self.reference.tensor(layer.record).reshape(layer.pair.shape)

    def golden_of(self, name: str) -> NDArray[Any] | None:
        """Golden's tensor of that name."""
        if self.golden is None:
            return None
        record = next((item for item in self.golden.manifest.tensors if item.name == name), None)
        return None if record is None else self.golden.tensor(record)

    def readers(self, layer: LayerFacts) -> list[LayerFacts]:
        """The nearest compared layers that read this one's output; by order alone, the next one, without a graph."""
        if self.model is None or not self.model.nodes or layer.tensor is None:
            later = [item for item in self.layers if item.pair.order > layer.pair.order]
            return later[:1]
        names = [tensor.name for tensor in self.model.tensors]
        found: list[LayerFacts] = []
        visited: set[str] = set()
        waiting = [layer.tensor.name]
        while waiting:
            name = waiting.pop()
            for node in self.model.nodes:
                if name not in {names[index] for index in node.inputs} or node.index <= layer.pair.order:
                    continue
                for output in [names[index] for index in node.outputs]:
                    if output in visited:
                        continue
                    visited.add(output)
                    other = next((item for item in self._of(output) if item.pair.order == node.index), None)
                    if other is not None:
                        found.append(other)
                    else:
                        waiting.append(output)
            # An OutputOperator writes nothing; its dump is of what it reads.
            found += [item for item in self._of(name) if item.pair.order > layer.pair.order and item not in found]
        return found

    def _of(self, name: str) -> list[LayerFacts]:
        """The dumps of one tensor: the layer's own, and the OutputOperator's."""
        return [item for item in self.layers if item.tensor is not None and item.tensor.name == name]

    def sources(self, layer: LayerFacts) -> list[LayerFacts]:
        """The nearest compared layers this one reads; by order alone, the one before it, without a graph."""
        if self.model is None or not self.model.nodes:
            before = [item for item in self.layers if item.pair.order < layer.pair.order]
            return before[-1:]
        producer = {index: node for node in self.model.nodes for index in node.outputs}
        node = next((node for node in self.model.nodes if node.index == layer.pair.order), None)
        waiting = list(node.inputs) if node is not None else []
        visited: set[int] = set()
        found: list[LayerFacts] = []
        while waiting:
            index = waiting.pop()
            tensor = self.model.tensors[index]
            if index in visited or tensor.kind in _CONSTANTS:
                continue
            visited.add(index)
            before = [item for item in self._of(tensor.name) if item.pair.order < layer.pair.order]
            if before:
                found.append(before[-1])
            elif index in producer and producer[index].index < layer.pair.order:
                waiting.extend(producer[index].inputs)
        return found


class LayerCheck(Protocol):
    """One kind of cause."""

    def __call__(self, facts: LayersFacts) -> Iterable[Finding]:
        """The findings of this kind, none when it does not apply."""


def measure_layers(
    comparison: Comparison,
    reference: TensorSource,
    golden: TensorSource | None,
    model: Model | None,
) -> LayersFacts:
    """Collects the facts; reads reference and golden once. A damaged golden tensor leaves `noise` empty."""
    tensors = {tensor.name: tensor for tensor in model.tensors} if model is not None else {}
    by_dump = _model_tensors(model)
    records = {record.name: record for record in reference.manifest.tensors}
    golden_records = {record.name: record for record in golden.manifest.tensors} if golden is not None else {}
    layers = []
    for pair in comparison.pairs:
        if pair.proof is not None:
            continue
        record = records.get(pair.tensor)
        tensor = by_dump.get((pair.order, pair.op_type), tensors.get(pair.tensor))
        layer = LayerFacts(pair, tensor, record, None, pair.own)
        other = golden_records.get(pair.tensor)
        if golden is not None and other is not None and record is not None and not record.not_comparable:
            layer = LayerFacts(pair, tensor, record, _noise(layer, reference, golden, other), pair.own)
        layers.append(layer)
    return LayersFacts(comparison, tuple(layers), reference, golden, model)


def _model_tensors(model: Model | None) -> dict[tuple[int, str], ModelTensor]:
    """Tensors by operator, where it dumps just one."""
    found: dict[tuple[int, str], ModelTensor] = {}
    repeated: set[tuple[int, str]] = set()
    for item in model.expected_dumps() if model is not None else ():
        key = (item.index, item.op_type)
        repeated.update([key] if key in found else [])
        found[key] = item.tensor
    return {key: tensor for key, tensor in found.items() if key not in repeated}


def _noise(
    layer: LayerFacts, reference: TensorSource, golden: TensorSource, other: TensorRecord
) -> PairStatistics | None:
    assert layer.record is not None
    known = layer.quantization
    ends = grid_ends(layer.dtype, known) if known is not None and layer.dtype in ("int8", "uint8", "int16") else None
    options = ScoreOptions(scale=known.scale if known is not None else None, saturation=ends)
    try:
        return score_files(reference.file(layer.record.file), golden.file(other.file), options, ignore_unit_dims=True)
    except (ShapeMismatch, DataError, UsageError):
        # Compared already: what could not be read is listed there as not compared.
        return None


def is_quantized_run(facts: LayersFacts) -> bool:
    """Whether the reference is a quantised simulator run."""
    return facts.reference.manifest.precision is Precision.QUANTIZED


def named(layers: Sequence[LayerFacts], most: int = 5) -> str:
    """The layers' operators and tensors, for a sentence."""
    names = [f"{layer.pair.op_type} {layer.pair.tensor}" for layer in layers[:most]]
    return ", ".join(names) + (f" and {len(layers) - most} more" if len(layers) > most else "")
