"""Which model a task list belongs to, and where its tensors are: what the library made of a `.rknn` in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rkparity.emulator.npu.commands import TASK, GraphCommands, addresses
from rkparity.emulator.npu.memory import MemoryObject, NpuMemory
from rkparity.errors import DataError
from rkparity.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of the weights' bytes that are not zero, how many must be in memory as in the file: two builds of one network have the
# same commands.
_WEIGHTS_SHARE = 0.9
_LINKED = ("operator", "amount", "enable", "interrupt_mask")


@dataclass(frozen=True)
class GraphCandidate:
    """A graph that the task list may be of."""

    model: Model
    commands: GraphCommands


@dataclass(frozen=True)
class Binding:
    """A task list in memory and its graph. `base`: the NPU address of the graph's first command word."""

    model: Model
    commands: GraphCommands
    base: int
    tasks: NDArray[Any]

    def still_fits(self, tasks: NDArray[Any]) -> bool:
        """Whether these are the tasks that were bound; their status changes with every submit."""
        return len(tasks) >= len(self.tasks) and all(
            np.array_equal(tasks[name][: len(self.tasks)], self.tasks[name]) for name in (*_LINKED, "address")
        )

    def words(self, memory: NpuMemory) -> NDArray[np.uint64]:
        """The command words as they are now."""
        return np.frombuffer(memory.read(self.base, self.commands.words.nbytes), "<u8")


def read_tasks(task_object: MemoryObject) -> NDArray[Any]:
    """The task list in a memory."""
    count = task_object.asked // TASK.itemsize or task_object.size // TASK.itemsize
    return np.frombuffer(task_object.read(0, count * TASK.itemsize), TASK)


def bind(tasks: NDArray[Any], memory: NpuMemory, candidates: Iterable[GraphCandidate]) -> Binding:
    """The candidate whose tasks, commands and weights these are; DataError when none is."""
    best, most = None, -1.0
    for candidate in candidates:
        base = _base(tasks, candidate.commands)
        if base is None:
            continue
        count = len(candidate.commands.tasks)
        binding = Binding(candidate.model, candidate.commands, base, tasks[:count].copy())
        share = _share_of_weights(binding, memory)
        if share > most:
            best, most = binding, share
    if best is None or most < _WEIGHTS_SHARE:
        raise DataError(
            "the program runs a model that this virtual board was not started with",
            hint="start it with --model M.rknn for every model of the program",
        )
    return best


def _base(tasks: NDArray[Any], commands: GraphCommands) -> int | None:
    """Where the commands begin, when the tasks are these but for that; None when they are others."""
    count = len(commands.tasks)
    if count == 0 or len(tasks) < count:
        return None
    mine = tasks[:count]
    if any(not np.array_equal(mine[name], commands.tasks[name]) for name in _LINKED):
        return None
    bases = np.unique(mine["address"].astype(np.int64) - commands.tasks["address"].astype(np.int64))
    return int(bases[0]) if len(bases) == 1 else None


def _share_of_weights(binding: Binding, memory: NpuMemory) -> float:
    try:
        words = binding.words(memory)
    except DataError:
        return 0.0
    same, total = 0, 0
    for number, expected in binding.commands.constants.items():
        places = binding.commands.places.get(number)
        if places is None or not len(places) or not len(expected):
            continue
        address = _address(words, binding.commands, int(places[0]))
        if binding.base <= address < binding.base + words.nbytes:
            continue  # the tables of look-up operators: the task that loads them names its own commands
        wanted = np.frombuffer(expected, np.uint8)
        telling = wanted != 0
        total += int(np.count_nonzero(telling))
        try:
            found = np.frombuffer(memory.read(address, len(expected)), np.uint8)
        except DataError:
            continue
        same += int(np.count_nonzero((found == wanted) & telling))
    return same / total if total else 1.0


def _address(words: NDArray[np.uint64], commands: GraphCommands, place: int) -> int:
    here, in_file = (int(addresses(item[place : place + 1])[0]) for item in (words, commands.words))
    return here - in_file


def tensor_addresses(
    binding: Binding, words: NDArray[np.uint64], tensor: int, ranges: Sequence[tuple[int, int, int]]
) -> list[int]:
    """The NPU addresses that commands in `ranges` (operator, first word, end) use for a tensor, each once, in order."""
    places = binding.commands.places.get(tensor)
    if places is None or not len(places):
        return []
    inside = np.zeros(len(places), bool)
    for _, start, end in ranges:
        inside |= (places >= start) & (places < end)
    chosen = places[inside]
    found = addresses(words[chosen]) - addresses(binding.commands.words[chosen])
    return list(dict.fromkeys(int(value) for value in found))
