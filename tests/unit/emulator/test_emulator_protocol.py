"""The emulator's protocol: framing, damaged requests, descriptions."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkparity.emulator.description import channel_values, check_emulated, describe, graph_views, layer_tensors
from rkparity.emulator.protocol import MAGIC, GraphValue, Operation, Status, read_run, send_answer, u32, u64
from rkparity.emulator.server import Conversation, LayerValueServer, encode_run
from rkparity.emulator.values import RunValues, graph_inputs, output_value, simulator_names
from rkparity.errors import DataError, UsageError
from rkparity.model import InputNormalization, Model, ModelTensor, TensorKind, read_model

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"


@pytest.fixture(scope="module")
def classifier() -> Model:
    """Pixels (1, 3, 64, 64) with mean and std, int8; output (1, 10) float16."""
    return read_model(MODELS / "cnn_classifier_int8.rknn")


def tensor(**changes: object) -> ModelTensor:
    values = {
        "name": "t",
        "dtype": "int8",
        "layout": "NCHW",
        "kind": TensorKind.OUTPUT,
        "native_dims": (),
        "shape": (1, 4),
        "scale": (0.5,),
        "zero_point": (3,),
        "qmethod": "layer",
        "minimum": (),
        "maximum": (),
        "size": 4,
    }
    return ModelTensor(**{**values, **changes})  # type: ignore[arg-type]


def request(
    values: list[tuple[int, int, bytes]], *, graph: int = 0, layers: bool = False, faults: bytes = b""
) -> bytearray:
    parts = [u32(graph), u32(1 if layers else 0), u32(len(values))]
    parts += [u32(code) + u32(flags) + u64(len(data)) + data for code, flags, data in values]
    return bytearray(b"".join([*parts, u32(len(faults)), faults]))


def test_run_request() -> None:
    run = read_run(request([(3, 1, b"abc"), (8, 0, b"12345678")], graph=2, layers=True, faults=b"slow:1s"))
    assert run.graph == 2 and run.want_layers and run.faults == "slow:1s"
    assert [(value.dtype, bytes(value.data), value.raw_uint8) for value in run.values] == [
        ("uint8", b"abc", True),
        ("int64", b"12345678", False),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_as_a_run_are_read_or_refused(data: bytes) -> None:
    try:
        values = read_run(bytearray(data)).values
    except DataError:
        return
    assert sum(len(value.data) for value in values) <= len(data)


@given(st.integers(0, 60))
def test_cut_run_requests_are_refused(kept: int) -> None:
    whole = request([(3, 1, b"a" * 20), (2, 0, b"b" * 20)])
    with pytest.raises(DataError):
        read_run(whole[: min(kept, len(whole) - 1)])


def test_description_names_every_dumped_tensor(classifier: Model) -> None:
    data = describe(classifier, simulator="a test")
    for expected in classifier.expected_dumps():
        assert expected.tensor.name.encode() in data
    assert [(item.node, item.tensor.name) for item in layer_tensors(classifier)][:2] == [
        (1, "/stem/Relu_output_0"),
        (2, "/pool/MaxPool_output_0"),
    ]


def test_files_without_an_operator_list_are_refused() -> None:
    model = replace(read_model(MODELS / "b25_c3w30_int8_rv1106.rknn"), nodes=())
    with pytest.raises(
        DataError, match=r"b25_c3w30_int8_rv1106\.rknn: the file's payload has no operator list"
    ) as caught:
        check_emulated(model)
    assert "build the model again" in caught.value.hint


def test_every_set_of_shapes_is_described() -> None:
    model = read_model(MODELS.parent / "emulator" / "dynamic_input.rknn")
    data = describe(model, simulator="a test")
    assert [view.input_tensors[0].shape for view in graph_views(model)] == [
        (1, 3, 27, 60),
        (1, 3, 18, 30),
        (1, 3, 9, 30),
    ]
    # Behind the texts: file version, dynamic, batch, sets of shapes.
    assert u32(6) + u32(1) + u32(1) + u32(3) in data
    assert all(u32(4) + b"".join(map(u32, (1, 5, *size))) in data for size in ((27, 60), (18, 30), (9, 30)))
    with pytest.raises(DataError, match="both dynamic_input and rknn_batch_size=2"):
        check_emulated(replace(model, batch=2))


def test_a_run_at_a_set_of_shapes_there_is_not() -> None:
    model = read_model(MODELS.parent / "emulator" / "dynamic_input.rknn")

    class Source:
        description = "a test"

    speaker = Speaker(lambda _: (model, Source()))
    assert speaker.ask(Operation.OPEN, b"model bytes")[0] == 0
    status, text = speaker.ask(Operation.RUN, request([], graph=3))
    assert status == Status.FAIL and b"a run at the set of shapes 3, there are 3" in text
    status, text = speaker.ask(Operation.RUN, request([], graph=2))
    assert status == Status.FAIL and b"has one set of input shapes" in text


def test_channel_values() -> None:
    def normalization(mean: tuple[float, ...], std: tuple[float, ...]) -> InputNormalization:
        return InputNormalization("t", (1, 3, 2, 2), "nchw", "float32", mean, std, False)

    image = tensor(shape=(1, 3, 2, 2))
    assert channel_values(image, None) == ((), ())
    assert channel_values(image, normalization((0.0,) * 3, (1.0,) * 3)) == ((), ())
    assert channel_values(image, normalization((127.5,), (2.0,))) == ((127.5,) * 3, (2.0,) * 3)
    with pytest.raises(DataError, match="input t has 3 channels"):
        channel_values(image, normalization((1.0, 2.0), (1.0, 1.0)))


def test_pixels_become_what_the_toolkit_feeds(classifier: Model) -> None:
    pixels = np.arange(3 * 64 * 64, dtype=np.int64).astype(np.uint8)
    (given_values,) = graph_inputs(classifier, [GraphValue("uint8", memoryview(pixels.tobytes()), True)])
    mean = np.array([123.675, 116.28, 103.53]).reshape(1, 3, 1, 1)
    std = np.array([58.395, 57.12, 57.375]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(given_values, (pixels.reshape(1, 3, 64, 64) - mean) / std, rtol=1e-6)
    assert given_values.dtype == np.float32


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            GraphValue("float32", memoryview(b"\0" * 49152), False),
            "49152 bytes of float32 given, 12288 elements of int8 expected",
        ),
        (GraphValue("int8", memoryview(b"\0" * 5), False), "5 bytes of int8 given"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(classifier: Model, value: GraphValue, message: str) -> None:
    with pytest.raises(DataError, match=message):
        graph_inputs(classifier, [value])
    with pytest.raises(DataError, match="has 1 inputs, 2 given"):
        graph_inputs(classifier, [value, value])


def test_output_values_are_the_grid_integers() -> None:
    values = (np.array([-128, 0, 3, 127]) - 3) * np.float32(0.5)
    np.testing.assert_array_equal(output_value(tensor(), values), np.array([-128, 0, 3, 127], np.int8))
    halves = output_value(tensor(dtype="float16", scale=(), zero_point=()), np.array([[1.5, 2.25, -1, 0]], np.float32))
    assert halves.dtype == np.float16 and halves.tolist() == [1.5, 2.25, -1, 0]
    with pytest.raises(DataError, match="not finite"):
        output_value(tensor(), np.array([1, 2, 3, np.nan]))
    with pytest.raises(DataError, match=r"t: the simulator's shape \(5,\) is not the compiled model's \(1, 4\)"):
        output_value(tensor(), np.zeros(5))


def test_names_of_copied_inputs() -> None:
    assert simulator_names(tensor(name="y")) == ("y",)
    assert simulator_names(tensor(name="New_input_in:0")) == ("New_input_in:0", "in:0_int8", "in:0")
    assert simulator_names(tensor(name="New_input_x", dtype="float16", scale=())) == ("New_input_x", "x")


def test_missing_layers_are_marked(classifier: Model) -> None:
    first = layer_tensors(classifier)[0].tensor
    values = RunValues((np.zeros(10, np.float16),), {first.name: np.zeros(16 * 32 * 32, np.float32)})
    parts = [bytes(part) for part in encode_run(classifier, values, want_layers=True)]
    assert parts[:3] == [u32(1), u32(1), u64(20)]
    assert parts[4] == struct.pack("<IIIQ", 1, 0, 0, 65536)
    assert parts[6] == struct.pack("<IIIQ", 2, 0, 0xFFFFFFFF, 0)


class Speaker:
    """The library's side of a conversation, byte by byte."""

    def __init__(self, open_model: object) -> None:
        self.mine, theirs = socket.socketpair()
        self.mine.settimeout(10)
        self._thread = threading.Thread(target=self._run, args=(theirs, open_model), daemon=True)
        self._thread.start()

    @staticmethod
    def _run(theirs: socket.socket, open_model: object) -> None:
        from rkparity.emulator.protocol import Closed

        with theirs:
            try:
                Conversation(theirs, open_model).run()  # type: ignore[arg-type]
            except Closed:
                return

    def ask(
        self, operation: int, payload: bytes, *, magic: bytes = MAGIC, length: int | None = None
    ) -> tuple[int, bytes]:
        self.mine.sendall(struct.pack("<4siQ", magic, operation, len(payload) if length is None else length) + payload)
        head = self._take(16)
        answer_magic, status, count = struct.unpack("<4siQ", head)
        assert answer_magic == MAGIC
        return status, self._take(count)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.mine.recv(count - len(data))
            assert piece, "hung up"
            data += piece
        return data


def no_model(sha256: str) -> object:
    raise UsageError(f"not one of mine: {sha256[:4]}", hint="start me with it")


def test_conversation_refuses_what_it_does_not_know() -> None:
    assert Speaker(no_model).ask(Operation.HELLO, u32(3)) == (0, b"")
    status, text = Speaker(no_model).ask(Operation.HELLO, u32(99))
    assert status == Status.FAIL and b"the library speaks version 99" in text
    status, text = Speaker(no_model).ask(Operation.OPEN, b"model bytes")
    assert status == Status.MODEL_INVALID and text.endswith(b"(hint: start me with it)")
    status, text = Speaker(no_model).ask(Operation.RUN, request([]))
    assert status == Status.FAIL and b"a run before a model was opened" in text
    status, text = Speaker(no_model).ask(7, b"")
    assert status == Status.FAIL and b"operation 7 is not known" in text
    status, text = Speaker(no_model).ask(Operation.HELLO, b"", magic=b"GET ")
    assert status == Status.FAIL and b"a request begins with b'GET '" in text


def test_conversation_refuses_lengths_before_taking_memory() -> None:
    status, text = Speaker(no_model).ask(Operation.RUN, b"", length=1 << 60)
    assert status == Status.FAIL and b"at most 65536 are expected" in text
    status, text = Speaker(no_model).ask(Operation.OPEN, b"", length=1 << 40)
    assert status == Status.FAIL and b"at most 4294967296 are expected" in text


def test_server_can_be_closed_before_it_is_started() -> None:
    server = LayerValueServer(no_model)  # type: ignore[arg-type]
    assert server.socket_path.exists()
    server.close()
    assert not server.socket_path.parent.exists()


def test_answers_to_nobody() -> None:
    from rkparity.emulator.protocol import Closed

    mine, theirs = socket.socketpair()
    theirs.close()
    with mine, pytest.raises(Closed):
        for _ in range(10):
            send_answer(mine, Status.OK, [b"x" * 100000])
