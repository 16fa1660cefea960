"""The stand-in NPU without a program: memories filled as a library fills them, a submit, what is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rkparity.emulator.description import layer_tensors
from rkparity.emulator.npu.binding import GraphCandidate
from rkparity.emulator.npu.chips import chip_named
from rkparity.emulator.npu.commands import TASK, GraphCommands, read_commands
from rkparity.emulator.npu.journal import Journal
from rkparity.emulator.npu.memory import MemoryObject, NpuMemory
from rkparity.emulator.npu.session import GuestProgram, NpuBoard, Submit, SubmitFailure
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.values import RunValues
from rkparity.errors import DataError, UsageError
from rkparity.io import read_json
from rkparity.model import Model, read_model

MODELS = Path(__file__).resolve().parents[3] / "data" / "models"
WEIGHTS, TASKS, INPUT, OUTPUT = 0x10000000, 0x20000000, 0x30000000, 0x40000000


class Source:
    """Layers are 1, 2, 3, ... in the tensor's own steps; keeps what it was asked to compute."""

    description = "a test's source"

    def __init__(self, model: Model) -> None:
        self.model = model
        self.inputs: list[GraphValue] = []

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        self.inputs = list(inputs)
        layers = {item.tensor.name: ramp(item.tensor.shape, item.tensor.scale) for item in layer_tensors(self.model)}
        return RunValues((), layers)


def ramp(shape: tuple[int, ...], scale: tuple[float, ...]) -> np.ndarray:
    numbers = np.arange(int(np.prod(shape))) % 100
    return (numbers * (scale[0] if scale else 1.0)).astype(np.float32)


def memory_of(handle: int, address: int, data: bytes) -> MemoryObject:
    fd = os.memfd_create("test")
    size = -(-len(data) // 4096) * 4096
    os.ftruncate(fd, size)
    os.pwrite(fd, data, 0)
    return MemoryObject(handle, fd, address, size, len(data), 1)


@dataclass
class Program:
    """A loaded model: one convolution from x to y."""

    session: GuestProgram
    source: Source
    commands: GraphCommands
    journal: Path
    orders: list[str]

    def submit(self) -> None:
        first, count = next((number, 1) for number, task in enumerate(self.commands.tasks) if task["operator"] == 1)
        self.session.submit(Submit(2, 5, 0, first, count, ((first, count),) * 5))

    def output(self) -> np.ndarray:
        return np.frombuffer(self.session._memory.get(4).read(0, 8704), np.int8)


def linked(commands: GraphCommands, model: Model) -> bytes:
    """The commands as a library leaves them: every address is the tensor's base and the offset."""
    words = commands.words.copy()
    bases = {index: WEIGHTS + 0x100000 * (1 + index) for index in commands.constants}
    bases.update({model.inputs[0]: INPUT, model.outputs[0]: OUTPUT})
    for index, places in commands.places.items():
        for place in places:
            words[place] += np.uint64(bases.get(index, 0)) << np.uint64(16)
    return words.tobytes()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    path = MODELS / "b25_c3w30_int8_rk3588.rknn"
    if not path.is_file():
        import zipfile

        with zipfile.ZipFile(MODELS.parent / "emulator" / "models.zip") as archive:
            path = Path(archive.extract("b25_c3w30/b25_c3w30_int8_rk3588.rknn", tmp_path))
    model = read_model(path)
    (commands,) = read_commands(path)
    source = Source(model)
    orders = [""]
    board = NpuBoard(
        lambda: iter([GraphCandidate(model, commands)]),
        lambda sha256: (model, source),
        chip_named("rk3588"),
        Journal(tmp_path / "npu.json", {}),
        faults=lambda: orders[0],
    )
    session = GuestProgram(board)
    tasks = commands.tasks.copy()
    tasks["address"] += WEIGHTS
    session.created(memory_of(1, WEIGHTS, linked(commands, model)))
    session.created(memory_of(2, TASKS, tasks.tobytes()))
    rows = np.zeros((9, 32, 3), np.int8)
    rows[:, :30] = np.arange(810).reshape(9, 30, 3) % 256 - 128
    session.created(memory_of(3, INPUT, rows.tobytes()))
    session.created(memory_of(4, OUTPUT, bytes(8704)))
    for number, (index, data) in enumerate(commands.constants.items()):
        if len(commands.places.get(index, ())):
            session.created(memory_of(10 + number, WEIGHTS + 0x100000 * (1 + index), bytes(data)))
    yield Program(session, source, commands, tmp_path / "npu.json", orders)
    session.close()


def test_an_operators_output_is_written_where_its_commands_point(program: Program) -> None:
    program.submit()
    # 5 channels of 9 x 30 in one group of 16; the surface is 272 points, 270 of them used. Zero point 9.
    laid = program.output()[: 272 * 16].reshape(272, 16)
    logical = (np.arange(5 * 270) % 100 + 9).clip(max=127).reshape(5, 270)
    np.testing.assert_array_equal(laid[:270, :5], logical.T)
    assert not laid[:, 5:].any()
    assert not laid[270:].any()


def test_the_input_is_what_the_memory_holds(program: Program) -> None:
    program.submit()
    (value,) = program.source.inputs
    # In the file's own form the convolution converts nothing: the memory holds codes.
    assert (value.dtype, value.raw_uint8) == ("int8", False)
    found = np.frombuffer(value.data, np.int8).reshape(3, 9, 30)
    np.testing.assert_array_equal(found, (np.arange(810) % 256 - 128).reshape(9, 30, 3).transpose(2, 0, 1))


def test_every_task_is_marked_done(program: Program) -> None:
    program.submit()
    tasks = np.frombuffer(program.session._memory.get(2).read(0, program.commands.tasks.nbytes), TASK)
    done = tasks["interrupt_status"] == tasks["interrupt_mask"]
    assert np.count_nonzero(done) == 1


def test_runs_are_counted_and_nothing_is_void(program: Program) -> None:
    program.submit()
    program.submit()
    record = read_json(program.journal)
    assert [item["runs"] for item in record["models"]] == [2]
    assert record["void"] == []


def test_another_models_weights_are_not_taken_for_this_one(program: Program) -> None:
    weights = next(index for index in program.commands.constants if len(program.commands.constants[index]) == 864)
    number = 10 + list(program.commands.constants).index(weights)
    address = WEIGHTS + 0x100000 * (1 + weights)
    program.session.created(memory_of(number, address, bytes(len(program.commands.constants[weights]))))
    with pytest.raises(DataError, match="not started with"):
        program.submit()


def test_faults_are_ordered_as_for_the_emulated_runtime(program: Program) -> None:
    program.orders[0] = "fail-run:-2"
    with pytest.raises(SubmitFailure) as caught:
        program.submit()
    assert caught.value.code == -2
    program.orders[0] = "stuck-output:0"
    program.submit()
    assert not program.output().any()


def test_an_operator_without_a_value_is_left_void_and_said_so(program: Program) -> None:
    program.source.compute = lambda inputs, want_layers: RunValues((), {})  # type: ignore[method-assign]
    program.submit()
    assert not program.output().any()
    (void,) = read_json(program.journal)["void"]
    assert (void["operator"], void["type"]) == (1, "Conv")
    assert "no value" in void["why"]


def test_shares_follow_the_core_mask() -> None:
    cores = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    assert Submit(1, 0, 0, 1, 2, cores).shares() == [(1, 2)]
    assert Submit(1, 0, 3, 1, 2, cores).shares() == [(1, 2), (3, 4)]
    assert Submit(1, 0, 7, 1, 2, cores).shares() == [(5, 6), (7, 8), (9, 10)]
    empty = ((0, 0),) * 5
    assert Submit(1, 0, 0, 4, 3, empty).shares() == [(4, 3)]
    assert Submit(1, 0, 3, 4, 3, empty).shares() == [(4, 3)]


def test_memory_never_reaches_beyond_its_end() -> None:
    memory = NpuMemory()
    memory.add(memory_of(1, 0x1000, bytes(4096)))
    with pytest.raises(DataError, match="not in it"):
        memory.read(0x1FFF, 2)
    with pytest.raises(DataError, match="has no 2 bytes"):
        memory.write(0x1FFF, b"ab")
    with pytest.raises(DataError, match="in no memory"):
        memory.read(0x2000, 1)
    os.ftruncate(memory.get(1).fd, 10)  # the program shortens its file
    with pytest.raises(DataError, match="10 of 100 bytes"):
        memory.read(0x1000, 100)
    memory.close()


def test_a_chip_the_stand_in_cannot_be_is_named() -> None:
    with pytest.raises(UsageError, match="cannot be a rv1106"):
        chip_named("rv1106")
    assert chip_named("rk3588").hardware_version == 0x46495245


def test_files_of_another_form_are_refused() -> None:
    with pytest.raises(DataError, match="file version 4100"):
        read_commands(MODELS / "b25_c3w30_int8_rv1106.rknn")
