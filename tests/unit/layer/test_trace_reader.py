"""Reading traces that are whole, cut off, damaged, hostile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rkparity.errors import DataError, RkparityError, UsageError
from rkparity.trace import (
    Content,
    Init,
    InputsSet,
    OutputsGet,
    Run,
    SetIoMemory,
    Suspect,
    find_traces,
    read_trace,
    read_traces,
    reader,
)

ATTR: dict[str, Any] = {
    "index": 0,
    "name": "x",
    "n_dims": 4,
    "dims": [1, 4, 4, 3],
    "n_elems": 48,
    "size": 48,
    "fmt": "NHWC",
    "type": "INT8",
    "qnt_type": "AFFINE_ASYMMETRIC",
    "fl": 0,
    "zp": -128,
    "scale": 0.5,
    "w_stride": 4,
    "size_with_stride": 48,
    "pass_through": 0,
    "h_stride": 0,
}
CONTENT: dict[str, Any] = {
    "size": 48,
    "read": 48,
    "unread": None,
    "xxh64": "cc2c9674e76c7676",
    "type": "UINT8",
    "values": {"n": 48, "min": 1, "max": 236, "mean": 118.5, "zeros": 0, "nan": 0, "inf": 0},
    "bytes": {"min": 1, "max": 236, "mean": 118.5, "zeros": 0},
    "float_like": 0.25,
    "file": None,
}
HASH_ONLY = {key: CONTENT[key] for key in ("size", "read", "unread", "xxh64", "file")}
MEMORY: dict[str, Any] = {
    "id": 1,
    "address": "0x10",
    "virt_addr": "0x20",
    "phys_addr": "0x0",
    "fd": -1,
    "offset": 0,
    "size": 48,
    "flags": 0,
}
MODEL = {"source": "memory", "path": None, "size": 8, "sha256": "0" * 64, "unread": None}


def call(seq: int, name: str, **fields: Any) -> dict[str, Any]:
    common = {"event": "call", "seq": seq, "tid": 7, "t_ns": 100 + seq, "dur_ns": 5, "call": name, "context": 1}
    return {**common, "handle": "0x5eed", "ret": 0, "ret_name": "RKNN_SUCC", "missing": False, **fields}


EVENTS: list[dict[str, Any]] = [
    {
        "event": "start",
        "schema": "rkparity.trace/1",
        "layer_version": "0.1.0",
        "pid": 12,
        "ppid": 1,
        "forked_from": None,
        "exe": "/bin/app",
        "machine": "aarch64",
        "pointer_bits": 64,
        "t_ns": 1,
        "unix_ns": 2,
        "settings": {"hash": True, "buffers": 0, "query": True, "max_bytes": 1 << 28},
        "environment": {
            "RKNN_LOG_LEVEL": "5",
            "RKNN_DUMP_DIR": None,
            "RKNN_DUMP_QUANT": None,
            "RKNN_DUMP_TXT_TENSOR": None,
        },
    },
    {"event": "library", "path": "/usr/lib/librknnrt.so", "found": "next", "missing": ["rknn_wait"], "reason": None},
    {
        "event": "enter",
        "seq": 0,
        "tid": 7,
        "t_ns": 1,
        "call": "rknn_init",
        "context": 0,
        "handle": "0x0",
        "suspect": None,
    },
    {
        "event": "context",
        "context": 1,
        "seq": 0,
        "handle": "0x5eed",
        "flags": 0,
        "duplicated_from": None,
        "model": MODEL,
        "sdk": {"api_version": "2.3.2", "driver_version": "0.9.8"},
        "inputs": [ATTR],
        "outputs": [{**ATTR, "name": "y", "scale": None}],
        "native_inputs": [],
        "native_outputs": [],
        "failed_queries": [{"command": "NATIVE_INPUT_ATTR", "index": 0, "ret": -5}],
    },
    call(0, "rknn_init", model=MODEL, flags=0, extend=None),
    call(
        2,
        "rknn_run",
        run=0,
        extend={"frame_id": 0, "non_block": 0, "timeout_ms": 0, "fence_fd": 0},
        bound=[
            {
                "memory": 1,
                "name": "x",
                "direction": "input",
                "index": 0,
                "virt_addr": "0x20",
                "size": 48,
                "before": CONTENT,
                "after": HASH_ONLY,
            }
        ],
    ),
    call(
        1,
        "rknn_inputs_set",
        n_inputs=1,
        inputs=[
            {
                "index": 0,
                "buf": "0x7fff",
                "size": 48,
                "pass_through": 0,
                "type": "UINT8",
                "fmt": "UNKNOWN(9)",
                "content": CONTENT,
            }
        ],
        unreadable=False,
    ),
    call(
        3,
        "rknn_outputs_get",
        n_outputs=1,
        extend=None,
        outputs=[
            {
                "index": 0,
                "want_float": 1,
                "is_prealloc": 0,
                "buf_before": "0x0",
                "size_before": 0,
                "buf": "0x10",
                "size": 48,
                "content": None,
            }
        ],
        unreadable=False,
        ret=-5,
        ret_name="RKNN_ERR_PARAM_INVALID",
    ),
    call(4, "rknn_set_io_mem", memory=MEMORY, attr=ATTR),
    call(5, "rknn_create_mem_from_fd", fd=3, virt_addr="0x0", size=16, offset=0, memory=None, ret=-1, ret_name="X"),
    call(6, "rknn_mem_sync", memory=MEMORY, mode="UNKNOWN(7)"),
    call(
        7,
        "rknn_query",
        command="INPUT_ATTR",
        command_value=1,
        info_len=376,
        info_null=False,
        index=0,
        attr=ATTR,
    ),
    call(8, "rknn_set_input_shapes", n_inputs=1, attrs=[ATTR], unreadable=False),
    call(9, "rknn_set_core_mask", core_mask=7),
    {
        "event": "enter",
        "seq": 10,
        "tid": 7,
        "t_ns": 9,
        "call": "rknn_inputs_set",
        "context": 1,
        "handle": "0x5eed",
        "suspect": {"what": "inputs", "index": 0, "buf": "0x0"},
    },
    {"event": "untraced", "path": "other/librknnrt.so"},
    {"event": "limit", "max_bytes": 100},
    {"event": "exit", "t_ns": 10, "calls": 10, "open_contexts": [1], "open_memories": [1]},
]


def write(folder: Path, events: list[dict[str, Any]], tail: bytes = b"", name: str = "rkparity-12.jsonl") -> Path:
    path = folder / name
    path.write_bytes("".join(json.dumps(event) + "\n" for event in events).encode() + tail)
    return path


def test_whole_trace(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, EVENTS))
    assert (trace.start.pid, trace.start.environment["RKNN_LOG_LEVEL"]) == (12, "5")
    assert trace.library is not None and trace.library.missing == ("rknn_wait",)
    assert [item.seq for item in trace.calls] == list(range(10)), "in the order the calls began"
    assert trace.context(1) == trace.contexts[0] and trace.context(0) is None
    assert (trace.contexts[0].api_version, trace.contexts[0].outputs[0].scale) == ("2.3.2", None)
    assert trace.contexts[0].failed_queries[0].ret == -5
    init, given, run, got, bound = (item.details for item in trace.calls[:5])
    assert isinstance(init, Init) and init.model.size == 8 and not init.has_extend
    assert isinstance(given, InputsSet) and given.inputs[0].fmt == "UNKNOWN(9)" and given.inputs[0].position == 0
    assert isinstance(run, Run) and run.bound[0].after is not None and run.bound[0].after.values is None
    assert isinstance(got, OutputsGet) and got.outputs[0].content is None
    assert (trace.calls[3].ret, trace.calls[3].failed, trace.calls[2].failed) == (-5, True, False)
    assert isinstance(bound, SetIoMemory) and bound.memory is not None and bound.memory.virt_addr == 0x20
    assert [entered.suspect for entered in trace.unfinished] == [Suspect("inputs", 0, 0)]
    assert (trace.untraced, trace.limit, trace.truncated) == (("other/librknnrt.so",), 100, 0)
    assert trace.exit is not None and trace.exit.open_memories == (1,)
    assert trace.calls_of(1) == trace.calls


@pytest.mark.parametrize(
    ("tail", "left"), [(b'{"event":"call","se', 19), (b"\0" * 4096, 0), (b'{"event"' + b"\0" * 99, 8), (b"", 0)]
)
def test_last_line_without_its_end(tmp_path: Path, tail: bytes, left: int) -> None:
    trace = read_trace(write(tmp_path, EVENTS[:-1], tail))
    assert (trace.truncated, trace.exit, len(trace.calls)) == (left, None, 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"rkparity-12.jsonl: is empty"),
        (b'{"event": "sta', r"rkparity-12.jsonl: holds no whole line"),
        (b"[]\n", r"rkparity-12.jsonl:1: is list, an object is expected"),
        (b"nonsense\n", r"rkparity-12.jsonl:1: is not a line of JSON"),
        (b'{"event": NaN}\n', r"rkparity-12.jsonl:1: is not a line of JSON: NaN is not JSON"),
        (b'\xff{"event": 1}\n', r"rkparity-12.jsonl:1: is not a line of JSON"),
        (b"[" * 100_000 + b"\n", r"rkparity-12.jsonl:1: is not a line of JSON"),
        (b'{"event": "exit"}\n', r"the first line is 'exit', 'start' is expected"),
        (b'{"n": ' + b"9" * 5000 + b"}\n", r"rkparity-12.jsonl:1: "),
    ],
)
def test_what_is_no_trace(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rkparity-12.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_trace(path)


def changed(number: int, *keys: Any, value: Any) -> list[dict[str, Any]]:
    events = json.loads(json.dumps(EVENTS))
    place: Any = events[number]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return events


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (changed(0, "schema", value="rkparity.trace/2"), r":1: field 'schema' is 'rkparity.trace/2'"),
        (changed(0, "pid", value=True), r":1: field 'pid' is True, an integer from 0 to 4294967295 is expected"),
        (changed(1, "found", value="magic"), r":2: field 'found' is 'magic'"),
        (changed(3, "inputs", 0, "zp", value=2**31), r":4: inputs\[0\]: field 'zp' is 2147483648"),
        (changed(3, "inputs", value=[ATTR] * 1025), r":4: field 'inputs' is .* a list of at most 1024 objects"),
        (changed(4, "call", value="rknn_dance"), r":5: field 'call' is 'rknn_dance', a function of the API"),
        (changed(4, "model", "sha256", value="0" * 63), r":5: model: field 'sha256'"),
        (changed(5, "bound", 0, "direction", value="up"), r":6: bound\[0\]: field 'direction' is 'up'"),
        (changed(6, "inputs", 0, "buf", value="7fff"), r":7: inputs\[0\]: field 'buf' is '7fff', an address"),
        (changed(6, "inputs", 0, "content", "xxh64", value="x" * 16), r"content: field 'xxh64'"),
        (changed(6, "inputs", 0, "content", "values", "mean", value="1"), r"values: field 'mean' is '1', a number"),
        (changed(6, "seq", value=2), r": call number 2 is there twice"),
        (changed(13, "event", value="dance"), r":14: field 'event' is 'dance'"),
        (changed(13, "handle", value=None), r":14: field 'handle' is None"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, events: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_trace(write(tmp_path, events))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def test_every_field_missing_or_of_another_kind_is_refused_or_harmless(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311
    strange: list[Any] = [None, -1, 2**70, 1.5, "text", [], {}, True, [None], "x" * 5000, {"event": 1}]
    n_refused = 0
    for number, keys in [(number, keys) for number, event in enumerate(EVENTS) for keys in places(event)]:
        events = json.loads(json.dumps(EVENTS))
        place: Any = events[number]
        for key in keys[:-1]:
            place = place[key]
        if chance.random() < 0.3:
            del place[keys[-1]]
        else:
            place[keys[-1]] = chance.choice(strange)
        try:
            read_trace(write(tmp_path, events))
        except DataError as error:
            n_refused += 1
            assert "rkparity-12.jsonl" in error.message
    assert n_refused > 250


def test_damaged_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    chance = random.Random(6)  # noqa: S311
    whole = write(tmp_path, EVENTS).read_bytes()
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path = tmp_path / "rkparity-12.jsonl"
        path.write_bytes(bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.3 else data))
        try:
            read_trace(path)
        except RkparityError as error:
            assert str(path) in error.message


def test_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, EVENTS)
    monkeypatch.setattr(reader, "MAX_CALLS", 3)
    with pytest.raises(DataError, match="more than 3 calls"):
        read_trace(path)
    monkeypatch.setattr(reader, "MAX_LINE_NBYTES", 100)
    with pytest.raises(DataError, match=":1: the line has more than 100 bytes"):
        read_trace(path)
    monkeypatch.setattr(reader, "MAX_NBYTES", 100)
    with pytest.raises(DataError, match="at most 100 are read"):
        read_trace(path)


def test_finding_traces(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no trace"):
        read_traces(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        find_traces(tmp_path / "nowhere")
    names = ["rkparity-12.jsonl", "rkparity-9-1.jsonl", "rkparity-9.jsonl"]
    for name in [*names, "rkparity-9.jsonl.part", "rkparity-x.jsonl"]:
        write(tmp_path, EVENTS, name=name)
    (tmp_path / "trace").mkdir()
    write(tmp_path / "trace", EVENTS, name="rkparity-10.jsonl")
    assert [path.name for path in find_traces(tmp_path)] == [
        "rkparity-9.jsonl",
        "rkparity-9-1.jsonl",
        "rkparity-10.jsonl",
        "rkparity-12.jsonl",
    ]
    assert [trace.path.name for trace in read_traces(tmp_path / "rkparity-12.jsonl")] == ["rkparity-12.jsonl"]
    with pytest.raises(DataError, match="cannot be read"):
        read_trace(tmp_path)


def test_constant_content() -> None:
    def content(**values: Any) -> Content:
        from rkparity.trace.fields import Fields

        return Content.read(Fields({**CONTENT, "values": {**CONTENT["values"], **values}}, "x"))

    assert not content().is_constant
    assert content(min=4, max=4).is_constant
    assert not content(min=4, max=4, nan=1).is_constant
    assert not content(min=None, max=None, mean=None, nan=48).is_constant
