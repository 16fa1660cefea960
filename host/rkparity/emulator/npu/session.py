"""One program on the stand-in NPU: its memories, its task lists, its runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rkparity.emulator.faults import FaultPlan, make_plan, require_alterable
from rkparity.emulator.npu.binding import Binding, GraphCandidate, bind, read_tasks, tensor_addresses
from rkparity.emulator.npu.chips import Chip
from rkparity.emulator.npu.commands import TASK
from rkparity.emulator.npu.inputs import read_inputs
from rkparity.emulator.npu.journal import Journal
from rkparity.emulator.npu.layout import codes, native_bytes
from rkparity.emulator.npu.memory import MemoryObject, NpuMemory
from rkparity.emulator.values import DynamicSource, RunValues, SelectiveSource, ValueSource, VoidSource
from rkparity.errors import DataError, RkparityError
from rkparity.model import Model, Node
from rkparity.runs.dump_names import INPUT_OPERATOR, OUTPUT_OPERATOR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rkparity.emulator.protocol import GraphValue


class SubmitFailure(Exception):
    """A submit that was ordered to fail; `code` is librknnrt's."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Submit:
    """What the driver was asked to run. `cores` are the five sub-cores' (start, number)."""

    task_handle: int
    flags: int
    core_mask: int
    start: int
    number: int
    cores: tuple[tuple[int, int], ...]

    def shares(self) -> list[tuple[int, int]]:
        """The (start, number) of every task range that is run.

        One core runs sub-core 0's share, or start and number where there is none; two take sub-cores 0 and 1, wait for
        each other, and hold theirs in 2 and 3 of older libraries; three take 2 to 4.
        """
        count = bin(self.core_mask).count("1")
        if count > 1:
            first = 2 if count == 3 else 0
            shared = [item for item in self.cores[first : first + count] if item[1]]
            if shared:
                return shared
        return [self.cores[0] if self.cores[0][1] else (self.start, self.number)]


@dataclass
class TaskListRun:
    """A task list and the run it is in."""

    binding: Binding
    lock: threading.Lock = field(default_factory=threading.Lock)
    last_operator: int = -1
    words: NDArray[np.uint64] | None = None
    inputs: Sequence[GraphValue] = ()
    values: RunValues | None = None
    names: frozenset[str] | None = None
    """The tensors computed in this run; None: all."""
    plan: FaultPlan = field(default_factory=FaultPlan)


class NpuBoard:
    """What all programs of one virtual board share: models, the simulator, the chip, the journal.

    `faults` gives the fault orders that hold now.
    """

    def __init__(
        self,
        candidates: Callable[[], Iterator[GraphCandidate]],
        open_model: Callable[[str], tuple[Model, ValueSource]],
        chip: Chip,
        journal: Journal,
        faults: Callable[[], str] = lambda: "",
    ) -> None:
        self.candidates = candidates
        self.chip = chip
        self.journal = journal
        self.faults = faults
        self._open_model = open_model
        self._simulator = threading.Lock()

    def source(self, model: Model) -> ValueSource:
        """What computes a model's graph."""
        _, source = self._open_model(model.sha256)
        if model.graph == 0:
            return source
        if not isinstance(source, DynamicSource):
            raise DataError("this source of layer values has one set of input shapes")
        return source.at_graph(model.graph)

    def compute(
        self, model: Model, inputs: Sequence[GraphValue], plan: FaultPlan, names: frozenset[str] | None
    ) -> RunValues:
        """One run of the simulator, at least of these tensors; runs of several programs wait for one another."""
        with self._simulator:
            source = self.source(model)
            if isinstance(source, VoidSource):
                raise DataError(
                    f"{model.path.name} has no build record, so no simulator can be made of it",
                    hint="build the model with `rkparity build`, which leaves M.rknn.build.json beside it",
                )
            if plan.alterations:
                return require_alterable(source).compute_altered(inputs, plan.alterations, want_layers=True)
            if names is not None and isinstance(source, SelectiveSource):
                return source.compute_tensors(inputs, names)
            return source.compute(inputs, want_layers=True)


class GuestProgram:
    """One program. Safe for several threads; a submit that waits for the simulator holds only its own task list."""

    def __init__(self, board: NpuBoard) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._memory = NpuMemory()
        self._runs: dict[int, TaskListRun] = {}

    def close(self) -> None:
        """Forgets the program's memories."""
        with self._lock:
            self._memory.close()

    def created(self, item: MemoryObject) -> None:
        """A new memory; its descriptor is taken over."""
        with self._lock:
            self._memory.add(item)

    def destroyed(self, handle: int) -> None:
        """A memory is gone."""
        with self._lock:
            self._memory.remove(handle)
            self._runs.pop(handle, None)

    def submit(self, submit: Submit) -> list[str]:
        """Writes what the submitted operators compute; returns what stayed void, and why, when that is new.

        DataError when nothing of it can be known, SubmitFailure on order.
        """
        run = self._run_of(submit.task_handle)
        with run.lock:
            ranges = self._ranges(run.binding, submit)
            nodes = self._nodes(run.binding.model, ranges)
            if run.values is None or not nodes or nodes[0].index <= run.last_operator:
                self._begin(
                    run, whole=len(nodes) == 1 and not read_by_cpu(run.binding).issuperset(_names(run, nodes[0]))
                )
            notes = []
            for node in nodes:
                if len(nodes) == 1 and run.names is not None and not run.names.issuperset(_names(run, node)):
                    run.names = None
                    run.values = self._board.compute(run.binding.model, run.inputs, run.plan, None)
                notes += self._compute(run, node, [item for item in ranges if item[0] == node.index])
            if nodes:
                run.last_operator = nodes[-1].index
            self._tell_done(submit, run.binding)
            return notes

    def _run_of(self, handle: int) -> TaskListRun:
        with self._lock:
            tasks = read_tasks(self._memory.get(handle))
            run = self._runs.get(handle)
            if run is None or not run.binding.still_fits(tasks):
                binding = bind(tasks, self._memory, self._board.candidates())
                run = self._runs[handle] = TaskListRun(binding)
                self._board.journal.model(binding.model)
            return run

    def _ranges(self, binding: Binding, submit: Submit) -> list[tuple[int, int, int]]:
        ranges: list[tuple[int, int, int]] = []
        for start, number in submit.shares():
            if start + number > len(binding.commands.tasks):
                raise DataError(f"tasks {start} to {start + number} of {len(binding.commands.tasks)} were submitted")
            ranges += binding.commands.word_ranges(start, number)
        return ranges

    def _nodes(self, model: Model, ranges: list[tuple[int, int, int]]) -> list[Node]:
        """The operators of a submit that compute, in the order of the model."""
        wanted = {operator for operator, _, _ in ranges}
        unknown = [operator for operator in wanted if operator >= len(model.nodes)]
        if unknown:
            raise DataError(f"operator {unknown[0]} of {len(model.nodes)} was submitted")
        nodes = (model.nodes[operator] for operator in sorted(wanted))
        return [node for node in nodes if node.op_type != INPUT_OPERATOR]

    def _begin(self, run: TaskListRun, *, whole: bool) -> None:
        """The first submit of a run: the inputs are complete, and the simulator computes from them.

        A library that dumps, or measures, submits operators one by one and looks at each (`whole`); otherwise nobody
        but the NPU reads what no operator of the CPU reads, and that is not computed.
        """
        board, model = self._board, run.binding.model
        run.values = None
        run.plan = make_plan(board.faults(), model)
        with self._lock:
            run.words = run.binding.words(self._memory)
            run.inputs = read_inputs(run.binding, run.words, self._memory, board.chip)
        time.sleep(run.plan.slow_s)
        if run.plan.fail_code:
            raise SubmitFailure(run.plan.fail_code)
        run.names = None if whole else read_by_cpu(run.binding)
        run.values = board.compute(model, run.inputs, run.plan, run.names)
        board.journal.ran(model)

    def _compute(self, run: TaskListRun, node: Node, ranges: list[tuple[int, int, int]]) -> list[str]:
        model = run.binding.model
        assert run.values is not None and run.words is not None
        if run.plan.failing_node is not None and node.index >= run.plan.failing_node:
            raise SubmitFailure(-1)
        if node.op_type == OUTPUT_OPERATOR:
            why = "the NPU's own conversion of an output is not known"
            return [_note(node, why)] if self._board.journal.void(model, node, why) else []
        notes = []
        for index in node.outputs:
            if run.names is not None and model.tensors[index].name not in run.names:
                continue
            try:
                self._write(run, index, ranges)
            except DataError as error:
                if self._board.journal.void(model, node, error.message):
                    notes.append(_note(node, error.message))
        return notes

    def _write(self, run: TaskListRun, index: int, ranges: list[tuple[int, int, int]]) -> None:
        model = run.binding.model
        tensor = model.tensors[index]
        assert run.values is not None and run.words is not None
        if index in model.outputs and model.outputs.index(index) in run.plan.stuck_outputs:
            return
        found = tensor_addresses(run.binding, run.words, index, ranges)
        if len(found) != 1:
            places = ", ".join(f"{address:#x}" for address in found) or "none"
            raise DataError(f"{tensor.name}: the commands name {len(found)} places for it: {places}")
        values = value_of(model, index, run.values)
        if values is None:
            raise DataError(f"{tensor.name}: the simulator has no value of it")
        data = native_bytes(tensor, codes(tensor, values))
        with self._lock:
            self._memory.write(found[0], data)

    def _tell_done(self, submit: Submit, binding: Binding) -> None:
        """Every task's status is the interrupt it waits for, as after real work."""
        place = TASK.fields["interrupt_status"][1] if TASK.fields else 0
        with self._lock:
            item = self._memory.get(submit.task_handle)
            for start, number in submit.shares():
                for task in range(start, start + number):
                    mask = int(binding.tasks["interrupt_mask"][task])
                    item.write(task * TASK.itemsize + place, mask.to_bytes(4, "little"))


def read_by_cpu(binding: Binding) -> frozenset[str]:
    """The tensors that operators without a task read, outputs of the model among them."""
    model = binding.model
    submitted = {int(operator) for operator in binding.commands.tasks["operator"]}
    indices = {index for node in model.nodes if node.index not in submitted for index in node.inputs}
    return frozenset(model.tensors[index].name for index in (*indices, *model.outputs))


def _names(run: TaskListRun, node: Node) -> list[str]:
    return [run.binding.model.tensors[index].name for index in node.outputs]


def _note(node: Node, why: str) -> str:
    return f"operator {node.index} ({node.op_type}) is left void: {why}"


def value_of(model: Model, index: int, values: RunValues) -> NDArray[Any] | None:
    """The simulator's values of a tensor, in real numbers; None when it has none."""
    layers: Mapping[str, NDArray[Any]] = values.layers
    return layers.get(model.tensors[index].name)


def reason(error: RkparityError) -> str:
    """An error as the one line that the program's stderr gets."""
    return f"{error.message} (hint: {error.hint})" if error.hint else error.message
