"""What a `.rknn` file says of the NPU's work: tasks, register commands, which words hold which tensor's address.

A command is a 64-bit word: bits 0-15 the register, 16-47 its value, 48-63 the block. In the file an address register
holds the offset within its tensor; the library adds the tensor's base when it loads the model or binds a memory. Table
and slot numbers were found on files of toolkit 2.5.0 for RK3588, by comparing them with what librknnrt 1.5.2 submitted
(docs/npu.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rkparity.errors import DataError
from rkparity.model.flatbuffer import FlatBuffer, FlatTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER_NBYTES = 64
_VERSION = 6
_BLOBS, _GRAPHS = 20, 2
_TENSORS, _RELOCATIONS = 0, 7
_NAME, _SIZE, _OFFSET, _BLOB = 5, 12, 13, 18
_COMMANDS, _TASKS = "regcmd", "task"

# One packed record of the kernel driver's task list.
TASK = np.dtype(
    [
        ("flags", "<u4"),
        ("operator", "<u4"),
        ("enable", "<u4"),
        ("interrupt_mask", "<u4"),
        ("interrupt_clear", "<u4"),
        ("interrupt_status", "<u4"),
        ("amount", "<u4"),
        ("offset", "<u4"),
        ("address", "<u8"),
    ]
)
assert TASK.itemsize == 40


@dataclass(frozen=True)
class GraphCommands:
    """One graph's work. `tasks["address"]` are byte offsets into `words`; arrays are read-only views of the file.

    `places`: by tensor number, the words that hold the tensor's address. `offsets`: where the compiler put a tensor in
    the internal memory, for those it put there. `constants`: the bytes of weights, by tensor number.
    """

    tasks: NDArray[Any]
    words: NDArray[np.uint64]
    places: Mapping[int, NDArray[np.int64]]
    offsets: Mapping[int, int]
    constants: Mapping[int, memoryview]

    def word_ranges(self, first: int, count: int) -> list[tuple[int, int, int]]:
        """(operator, first word, end) of `count` tasks from number `first`."""
        chosen = self.tasks[first : first + count]
        starts = chosen["address"] // 8
        return [
            (int(operator), int(start), int(start) + int(amount))
            for operator, start, amount in zip(chosen["operator"], starts, chosen["amount"])
        ]


def read_commands(path: Path) -> tuple[GraphCommands, ...]:
    """The NPU work of every graph of the file; DataError when the file does not keep it in the form known."""
    data = path.read_bytes()
    version = int.from_bytes(data[8:16], "little")
    if data[:4] != b"RKNN" or version != _VERSION:
        raise DataError(
            f"{path}: file version {version} keeps the NPU's commands in a form rkparity cannot read",
            hint="build the model again with rknn-toolkit2 2.2.0 or later for RK3588, RK3576, RK3568, RK3566 or RK3562",
        )
    nbytes = int.from_bytes(data[16:24], "little")
    root = FlatBuffer(memoryview(data)[_HEADER_NBYTES : _HEADER_NBYTES + nbytes], str(path)).root()
    blobs = [table.data(0) for table in root.tables(_BLOBS)]
    return tuple(_graph(path, graph, blobs) for graph in root.tables(_GRAPHS))


def _graph(path: Path, graph: FlatTable, blobs: list[memoryview]) -> GraphCommands:
    tensors = graph.tables(_TENSORS)
    names = [tensor.text(_NAME) for tensor in tensors]
    commands = _blob(path, _named(path, names, _COMMANDS), tensors, blobs)
    tasks = _blob(path, _named(path, names, _TASKS), tensors, blobs)
    words: NDArray[np.uint64] = np.frombuffer(commands[: len(commands) // 8 * 8], "<u8")
    numbers = {name: number for number, name in enumerate(names)}
    places: dict[int, NDArray[np.int64]] = {}
    for table in graph.tables(_RELOCATIONS):
        # Pairs of 32 bits: the offset within the tensor, which the word holds too, and the word's number.
        held = np.array(table.integers(1, "Q"), np.uint64).astype(np.int64) >> 32
        number = numbers.get(table.text(0))
        if number is not None:
            places[number] = held[held < len(words)]
    offsets, constants = {}, {}
    for number, tensor in enumerate(tensors):
        blob = tensor.integer(_BLOB, "I")
        if 0 < blob < len(blobs) and names[number] not in (_COMMANDS, _TASKS):
            constants[number] = blobs[blob]
        elif tensor.integer(_SIZE, "I"):
            offsets[number] = tensor.integer(_OFFSET, "I")
    records = np.frombuffer(tasks[: len(tasks) // TASK.itemsize * TASK.itemsize], TASK)
    _check(path, records, words)
    return GraphCommands(records, words, places, offsets, constants)


def _named(path: Path, names: list[str], wanted: str) -> int:
    if wanted not in names:
        raise DataError(f"{path}: holds no {wanted!r}, so nothing that the NPU would run")
    return names.index(wanted)


def _blob(path: Path, number: int, tensors: Sequence[FlatTable], blobs: list[memoryview]) -> memoryview:
    blob = tensors[number].integer(_BLOB, "I")
    if not 0 < blob < len(blobs):
        raise DataError(f"{path}: names data {blob} of {len(blobs)}", hint="copy or export the .rknn file again")
    return blobs[blob]


def _check(path: Path, tasks: NDArray[Any], words: NDArray[np.uint64]) -> None:
    ends = tasks["address"] // 8 + tasks["amount"]
    if len(tasks) and int(ends.max()) > len(words):
        raise DataError(f"{path}: a task reaches past the commands", hint="copy or export the .rknn file again")


def addresses(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The 32-bit values of command words."""
    values: NDArray[np.int64] = ((words >> np.uint64(16)) & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return values
