from __future__ import annotations

import json
import random
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignment_data import DATA
from rkparity.errors import DataError, UsageError
from rkparity.model import read_model, rknn_file

FILES = {path.name: path.read_bytes() for path in sorted((DATA / "models").glob("*.rknn"))}
GOOD = FILES["multi_input_int8.rknn"]
HEADER = 64


def payload_nbytes(data: bytes) -> int:
    return int.from_bytes(data[16:24], "little")


def with_file(folder: Path, data: bytes) -> Path:
    path = folder / "model.rknn"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("content", [b"", b"R", b"ONNX model" * 20, b"\x93NUMPY" + b"\0" * 100])
def test_another_kind_of_file_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"is not a \.rknn file"):
        read_model(with_file(tmp_path, content))


def test_no_file_and_a_folder_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_model(tmp_path / "absent.rknn")
    with pytest.raises(UsageError, match="is a folder"):
        read_model(tmp_path)


@pytest.mark.parametrize("nbytes", [4, 63, 64, 1000, HEADER + payload_nbytes(GOOD) + 3, len(GOOD) - 1])
def test_a_truncated_file_says_so(tmp_path: Path, nbytes: int) -> None:
    with pytest.raises(DataError, match=r"is truncated: it needs \d+ bytes and has"):
        read_model(with_file(tmp_path, GOOD[:nbytes]))


def test_lengths_in_the_header_are_not_believed(tmp_path: Path) -> None:
    for offset, value in ((16, 2**64 - 1), (16, 2**63), (HEADER + payload_nbytes(GOOD), 2**64 - 1)):
        data = GOOD[:offset] + struct.pack("<Q", value) + GOOD[offset + 8 :]
        with pytest.raises(DataError, match="is truncated"):
            read_model(with_file(tmp_path, data))


def test_a_damaged_trailer_says_so(tmp_path: Path) -> None:
    start = HEADER + payload_nbytes(GOOD)
    for text in (b"{", b"[1]", b"\xff\xfe", b"[" * 100_000):
        data = GOOD[:start] + struct.pack("<Q", len(text)) + text
        with pytest.raises(DataError, match="JSON part"):
            read_model(with_file(tmp_path, data))


def mutate(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    payload = max(8, min(payload_nbytes(data), 30_000))
    kind = source.randrange(6)
    if kind == 0:
        for _ in range(source.randint(1, 40)):
            changed[source.randrange(len(changed))] = source.randrange(256)
    elif kind == 1:
        del changed[source.randrange(len(changed)) :]
    elif kind == 2:
        other = source.choice(list(FILES.values()))
        start, begin = source.randrange(len(changed)), source.randrange(len(other))
        changed[start : start + source.randint(1, 4000)] = other[begin : begin + source.randint(1, 4000)]
    elif kind == 3:
        for _ in range(source.randint(1, 30)):
            offset = HEADER + 4 * source.randrange(payload // 4)
            word = source.choice([0, 1, 4, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, source.randrange(1 << 17)])
            changed[offset : offset + 4] = word.to_bytes(4, "little")
    elif kind == 4:
        for _ in range(source.randint(1, 400)):
            changed[HEADER + source.randrange(payload)] = source.randrange(256)
    else:
        start = HEADER + payload_nbytes(data) + 8
        for _ in range(source.randint(1, 20)):
            changed[source.randrange(start, len(changed))] = source.choice(b'{}[]",:0123456789truefalsn-e\\')
    return bytes(changed)


def test_thousands_of_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    """Nothing but DataError and UsageError comes out, no file takes long."""
    source = random.Random(20260101)  # noqa: S311
    originals = list(FILES.values())
    read = refused = 0
    slowest = 0.0
    for _ in range(3000):
        path = with_file(tmp_path, mutate(source, source.choice(originals)))
        started = time.perf_counter()
        try:
            model = read_model(path)
            model.expected_dumps()
            assert all(index < len(model.tensors) for index in (*model.inputs, *model.outputs))
            read += 1
        except (DataError, UsageError) as error:
            assert str(path) in error.message
            refused += 1
        slowest = max(slowest, time.perf_counter() - started)
    assert read > 300
    assert refused > 1000
    assert slowest < 1.0


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=600), st.sampled_from([6, 4100, 1]))
def test_any_payload_is_read_or_refused(tmp_path: Path, payload: bytes, version: int) -> None:
    data = b"RKNN" + bytes(4) + struct.pack("<QQ", version, len(payload)) + bytes(40) + payload
    try:
        read_model(with_file(tmp_path, data + struct.pack("<Q", 2) + b"{}"))
    except DataError as error:
        assert "model.rknn" in error.message


def shared_payload(tensors: int, sizes: int) -> bytes:
    """A payload whose graph lists one tensor `tensors` times, with one shape vector of `sizes` elements."""
    root, graphs, graph, entries = 4, 24, 32, 48
    tensor = entries + 4 + 4 * tensors
    shape = tensor + 24
    out = bytearray(shape + 4 + 4 * sizes)
    struct.pack_into("<I", out, 0, root)
    # Behind each table is its description (length, table length, one offset per slot), then what it points to.
    struct.pack_into("<iIHHHHH", out, root, -8, graphs - (root + 4), 10, 8, 0, 0, 4)
    struct.pack_into("<II", out, graphs, 1, graph - (graphs + 4))
    struct.pack_into("<iIHHH", out, graph, -8, entries - (graph + 4), 6, 8, 4)
    struct.pack_into("<I", out, entries, tensors)
    for position in range(entries + 4, tensor, 4):
        struct.pack_into("<I", out, position, tensor - position)
    struct.pack_into("<iIHH", out, tensor, -8, shape - (tensor + 4), 14, 8)
    struct.pack_into("<HHHHH", out, tensor + 12, 0, 0, 0, 0, 4)
    struct.pack_into("<I", out, shape, sizes)
    return bytes(out)


def rknn(payload: bytes) -> bytes:
    return b"RKNN" + bytes(4) + struct.pack("<QQ", 6, len(payload)) + bytes(40) + payload + struct.pack("<Q", 2) + b"{}"


def test_a_small_payload_made_by_hand_is_read(tmp_path: Path) -> None:
    payload = bytearray(shared_payload(3, 2))
    payload[-8:] = struct.pack("<ii", 4, 5)
    assert [tensor.shape for tensor in read_model(with_file(tmp_path, rknn(bytes(payload)))).tensors] == [(4, 5)] * 3


@pytest.mark.parametrize(("tensors", "sizes"), [(20_000, 30), (150_000, 32), (250_000, 1), (1000, 500_000)])
def test_many_references_to_one_vector_do_not_exhaust_memory(tmp_path: Path, tensors: int, sizes: int) -> None:
    started = time.perf_counter()
    path = with_file(tmp_path, rknn(shared_payload(tensors, sizes)))
    try:
        assert len(read_model(path).tensors) == tensors
    except DataError as error:
        assert tensors > 20_000 or sizes > 32
        assert "damaged" in error.message or "shape" in error.message
    assert time.perf_counter() - started < 10


def test_a_vector_too_long_for_the_file_is_refused(tmp_path: Path) -> None:
    payload = bytearray(shared_payload(1, 4))
    struct.pack_into("<I", payload, len(payload) - 20, 0x40000000)
    with pytest.raises(DataError, match="a vector of 1073741824 elements does not fit"):
        read_model(with_file(tmp_path, rknn(bytes(payload))))


def test_an_output_an_operator_leaves_out_is_no_tensor() -> None:
    # The third output of the LSTM of a speech detector (rknn-toolkit2 2.5.0) has the number -1.
    assert rknn_file._indices(Path("m.rknn"), "outputs", (287, 288, 0xFFFFFFFF), 307) == (287, 288)
    with pytest.raises(DataError, match="tensor 4294967294 does not exist, there are 307"):
        rknn_file._indices(Path("m.rknn"), "outputs", (0xFFFFFFFE,), 307)


WORDS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["input", "output", "norm_tensor", "x"]),
    lambda item: (
        st.lists(item, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["left", "right", "left_tensor_id", "right_tensor_id", "tensor_id", "size", "dtype", "url"]
            ),
            item,
            max_size=5,
        )
    ),
    max_leaves=12,
)
TRAILERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("graph", "norm_tensor", "target_platform", "version", "network_platform"), WORDS)
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trailer=TRAILERS, version=st.sampled_from([1, 2, 3, 7, 4100, 2**63]))
def test_any_json_of_a_version_that_is_not_known_is_read_or_refused(
    tmp_path: Path, trailer: dict[str, object], version: int
) -> None:
    text = json.dumps(trailer).encode()
    header = b"RKNN".ljust(8, b"\0") + struct.pack("<QQ", version, 64) + bytes(HEADER - 24)
    path = with_file(tmp_path, header + bytes(64) + struct.pack("<Q", len(text)) + text)
    try:
        model = read_model(path)
    except DataError as error:
        assert str(path) in error.message
        return
    assert model.inputs or model.outputs
    assert all(isinstance(size, int) for tensor in model.tensors for size in tensor.shape)


@pytest.mark.parametrize("graph", [[], [{"left": []}], [{"left": {}}], [None], "x", {"left": "input"}])
def test_a_version_that_is_not_known_and_names_nothing_is_refused(tmp_path: Path, graph: object) -> None:
    text = json.dumps({"graph": graph}).encode()
    header = b"RKNN".ljust(8, b"\0") + struct.pack("<QQ", 7, 0) + bytes(HEADER - 24)
    with pytest.raises(DataError, match="is of file version 7, which rkparity cannot read") as told:
        read_model(with_file(tmp_path, header + struct.pack("<Q", len(text)) + text))
    assert "build the model again" in told.value.hint
