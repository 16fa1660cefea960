"""What the library put into a model's input memories, decoded for the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rkparity.emulator.npu.binding import Binding, tensor_addresses
from rkparity.emulator.npu.chips import INPUT_BLOCK, Chip
from rkparity.emulator.npu.layout import element_type, input_values
from rkparity.emulator.npu.memory import MemoryObject, NpuMemory
from rkparity.emulator.protocol import GraphValue
from rkparity.errors import DataError
from rkparity.model import ModelTensor
from rkparity.runs.dump_names import INPUT_OPERATOR

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_inputs(binding: Binding, words: NDArray[np.uint64], memory: NpuMemory, chip: Chip) -> list[GraphValue]:
    """The model's inputs as NPU or CPU are about to read them; DataError when one is not found."""
    model = binding.model
    ranges = consumer_ranges(binding)
    found = [_one(tensor_addresses(binding, words, index, ranges)) for index in model.inputs]
    if any(address is None for address in found):
        found = _by_size(binding, memory, found)
    values = []
    for tensor, index, address in zip(model.input_tensors, model.inputs, found):
        if address is None:
            raise DataError(f"input {tensor.name}: no command of the NPU reads it, and its memory was not recognised")
        raw = tensor.is_quantized and _pixels_are_converted(binding, words, index, ranges, chip)
        kind = np.dtype(np.uint8) if raw else element_type(tensor)
        data = input_values(tensor, memory.read(address, tensor.size), kind)
        values.append(GraphValue("uint8" if raw else tensor.dtype, data.data.cast("B"), raw))
    return values


def consumer_ranges(binding: Binding) -> list[tuple[int, int, int]]:
    """The command words of every operator that computes; InputOperators only clear what lies beside an input."""
    makers = {node.index for node in binding.model.nodes if node.op_type == INPUT_OPERATOR}
    everything = binding.commands.word_ranges(0, len(binding.commands.tasks))
    return [item for item in everything if item[0] not in makers]


def _one(found: list[int]) -> int | None:
    if len(found) > 1:
        places = ", ".join(f"{address:#x}" for address in found)
        raise DataError(f"an input is read at several places: {places}")
    return found[0] if found else None


def _pixels_are_converted(
    binding: Binding, words: NDArray[np.uint64], tensor: int, ranges: list[tuple[int, int, int]], chip: Chip
) -> bool:
    """Whether the NPU itself turns pixels into codes: the library then leaves the pixels as they were given."""
    places = binding.commands.places.get(tensor)
    if places is None:
        return False
    for _, start, end in ranges:
        if not bool(((places >= start) & (places < end)).any()):
            continue
        task = words[start:end]
        inputs = task[(task >> np.uint64(48)) == INPUT_BLOCK]
        registers = inputs & np.uint64(0xFFFF)
        if chip.conversion is None:
            original = binding.commands.words[start:end][(task >> np.uint64(48)) == INPUT_BLOCK]
            if bool(((inputs != original) & (registers >= 0x1050) & (registers <= 0x1078)).any()):
                return True
            continue
        chosen = inputs[registers == chip.conversion]
        if len(chosen) and not int(chosen[-1] >> np.uint64(16)) & 1:
            return True
    return False


def _by_size(binding: Binding, memory: NpuMemory, found: list[int | None]) -> list[int | None]:
    """Inputs that only the CPU reads: the library makes the memories of inputs, then outputs, in their sizes.

    Taken only when exactly one such row exists that agrees with the inputs whose addresses are known; else, as programs
    may make larger memories for outputs, when exactly one row of inputs does.
    """
    model = binding.model
    items = [item for item in memory.in_order() if item.address != binding.base]
    for tensors in ([*model.input_tensors, *model.output_tensors], [*model.input_tensors]):
        known = [*found, *(None for _ in tensors[len(found) :])]
        rows = [items[start : start + len(tensors)] for start in range(len(items) - len(tensors) + 1)]
        fitting = [row for row in rows if all(map(_may_hold, row, tensors, known))]
        if len(fitting) == 1:
            return [item.address for item in fitting[0][: len(found)]]
    return found


def _may_hold(item: MemoryObject, tensor: ModelTensor, address: int | None) -> bool:
    return item.asked == tensor.size and address in (None, item.address)
