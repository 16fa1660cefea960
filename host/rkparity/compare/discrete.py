"""Operators that give integers or truth values: whether what the board has follows from what its operator read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import LayerPair, PairRole
from rkparity.compare.dumps import DumpSet
from rkparity.compare.scoring import Scorer
from rkparity.errors import DataError, UsageError
from rkparity.model.records import Model, TensorKind
from rkparity.runs.npy import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONSTANTS = (TensorKind.CONST, TensorKind.CPU_CONST, TensorKind.OTHER)
_LARGEST = 1 << 24
_KEEPS_ORDER = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "exDataConvert", "OutputOperator")
_SIGNS = {"ArgMax": 1, "ArgMin": -1}


class DiscreteCheck:
    """Computes discrete operators again on the dumps of their own inputs; needs the compiled model's graph.

    A comparison with the simulator's integers says nothing where its inputs were a little different, and not even with
    the same inputs where several values are equal: ArgMax and TopK may take any of them.
    """

    def __init__(self, dumps: DumpSet, model: Model | None, scorer: Scorer, pairs: Sequence[LayerPair]) -> None:
        self._dumps = dumps
        self._model = model
        self._scorer = scorer
        self._written = {
            pair.tensor.name if pair.role is PairRole.INPUT else _board_name(pair, model): pair
            for pair in pairs
            if pair.role is not PairRole.OUTPUT
        }
        self._nodes = {node.index: node for node in model.nodes} if model is not None else {}

    def follows(self, pair: LayerPair) -> str:
        """Why the integers of `pair` are right on the board's own inputs; empty when that is not shown."""
        inputs = self._inputs(pair)
        if not inputs:
            return ""
        given = open_npy(self._dumps.path(pair.dump))
        if given.size > _LARGEST or any(item.size > _LARGEST for item in inputs):
            return ""
        return follows(pair.dump.name.op_type, inputs, given)

    def _inputs(self, pair: LayerPair) -> list[NDArray[Any]]:
        node = self._nodes.get(pair.dump.name.index)
        if node is None or self._model is None:
            return []
        found = []
        for index in node.inputs:
            tensor = self._model.tensors[index]
            if tensor.kind in _CONSTANTS:
                continue
            source = self._written.get(tensor.name)
            if source is None:
                return []
            try:
                found.append(self._values(source))
            except (DataError, UsageError):
                return []
        return found

    def _values(self, pair: LayerPair) -> NDArray[Any]:
        import numpy as np

        array: NDArray[Any] = open_npy(self._dumps.path(pair.dump))
        known = self._scorer.quantization(pair)
        if known is None:
            return array
        real: NDArray[Any] = (array.astype(np.float32) - np.float32(known.zero_point)) * np.float32(known.scale)
        return real


def _board_name(pair: LayerPair, model: Model | None) -> str:
    """The compiled model's name of the tensor a dump is of; the simulator's may have a suffix more."""
    if model is None:
        return pair.tensor.name
    for item in model.expected_dumps():
        if item.index == pair.dump.name.index and pair.dump.name.raw.startswith(item.stem):
            return item.tensor.name
    return pair.tensor.name


def follows(op_type: str, inputs: Sequence[NDArray[Any]], given: NDArray[Any]) -> str:
    """Why `given` is what an operator of this type makes of `inputs`; empty when it is not, or not known."""
    import numpy as np

    data = inputs[0]
    if op_type == "Cast":
        wanted = data != 0 if given.dtype == bool else np.trunc(data)
        right = data.size == given.size and bool(np.array_equal(wanted.reshape(-1), given.reshape(-1)))
        return "every integer is the board's own input, cut off" if right else ""
    if op_type in _SIGNS:
        return _extreme(data * _SIGNS[op_type], given)
    if op_type == "TopK":
        return _largest(data, given)
    if op_type in _KEEPS_ORDER and len(inputs) == 1 and data.dtype.kind in "iub":
        same = data.size == given.size and bool(np.array_equal(data.reshape(-1), given.reshape(-1)))
        return "the integers are those of the board's own input" if same else ""
    return ""


def _extreme(data: NDArray[Any], given: NDArray[Any]) -> str:
    import numpy as np

    for axis in range(data.ndim):
        kept = (*data.shape[:axis], 1, *data.shape[axis + 1 :])
        if int(np.prod(kept)) != given.size or [size for size in kept if size != 1] != _long(given.shape):
            continue
        index = given.reshape(kept).astype(np.int64)
        if index.min() < 0 or index.max() >= data.shape[axis]:
            continue
        if (np.take_along_axis(data, index, axis) == data.max(axis=axis, keepdims=True)).all():
            return "each index points at an extreme value of the board's own input (equal values: any of them)"
    return ""


def _largest(data: NDArray[Any], given: NDArray[Any]) -> str:
    import numpy as np

    if given.dtype.kind not in "iu" or given.ndim != data.ndim:
        return ""
    axes = [axis for axis in range(data.ndim) if data.shape[axis] != given.shape[axis]] or [data.ndim - 1]
    if len(axes) != 1 or given.shape[axes[0]] > data.shape[axes[0]]:
        return ""
    axis, index = axes[0], given.astype(np.int64)
    if index.min(initial=0) < 0 or index.max(initial=0) >= data.shape[axis]:
        return ""
    ordered = np.sort(index, axis=axis)
    repeated = bool((np.diff(ordered, axis=axis) == 0).any())
    taken = np.take_along_axis(data, index, axis)
    for sign in (-1, 1):
        wanted = sign * np.take(np.sort(sign * data, axis=axis), range(given.shape[axis]), axis=axis)
        if not repeated and bool((taken == wanted).all()):
            return "the indices point at the largest values of the board's own input (equal values in another order)"
    return ""


def _long(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
