"""What the layer says about arguments and buffers, against what the program is known to pass."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from layer_programs import Kit

from rkparity.trace import (
    DupContext,
    Init,
    InputsSet,
    MemorySync,
    OutputsGet,
    OutputsRelease,
    Query,
    Run,
    SetIoMemory,
    TensorAttributes,
    read_traces,
)

IMAGE = (np.arange(48) * 5 + 1).astype(np.uint8)


def xxh64(data: bytes) -> str:
    from rkparity_agent import _native

    state = _native.ffi.new("struct rkp_xxh64 *")
    _native.lib.rkp_xxh64_init(state, 0)
    _native.lib.rkp_xxh64_update(state, data, len(data))
    return f"{_native.lib.rkp_xxh64_value(state):016x}"


def test_general_api(native: Kit, tmp_path: Path) -> None:
    trace = native.trace(
        native.linked, "general", trace=tmp_path / "trace", environment={"RKPARITY_TRACE_BUFFERS": "1"}
    )
    assert trace.start.exe == str(native.linked)
    assert (trace.start.hashed, trace.start.buffers, trace.start.queried, trace.start.pointer_bits) == (
        True,
        1,
        True,
        64,
    )
    context = trace.contexts[0]
    assert (context.api_version, context.driver_version, context.failed_queries) == ("plain", "0.9.8", ())
    assert context.inputs == context.native_inputs
    assert context.inputs[0] == TensorAttributes(
        0, "x", 4, (1, 4, 4, 3), 48, 48, "NHWC", "UINT8", "AFFINE_ASYMMETRIC", 0, 0, 0.5, 4, 48, 0, 0
    )
    assert [(attr.name, attr.type, attr.zp) for attr in context.outputs] == [("y", "INT8", -128), ("ids", "INT64", 0)]
    init, query, given, run, got, released, _ = (call.details for call in trace.calls[:7])
    assert isinstance(init, Init)
    assert (init.model.source, init.model.size) == ("memory", 8)
    assert init.model.sha256 == hashlib.sha256(b"a model\0").hexdigest()
    assert isinstance(query, Query)
    assert (query.command, query.info_len, query.attr) == ("SDK_VERSION", 512, None)
    assert isinstance(given, InputsSet)
    content = given.inputs[0].content
    assert content is not None and content.values is not None and content.bytes is not None
    assert (given.inputs[0].type, given.inputs[0].fmt, given.inputs[0].size) == ("UINT8", "NHWC", 48)
    assert (content.size, content.nbytes_read, content.unread, content.type) == (48, 48, None, "UINT8")
    assert content.xxh64 == xxh64(IMAGE.tobytes())
    assert (content.values.minimum, content.values.maximum, content.values.mean) == (1, 236, 118.5)
    assert content.file is not None and content.file.startswith("rkparity-") and content.file.endswith("-2-in0.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "trace" / content.file), IMAGE)
    assert isinstance(run, Run) and (run.run, run.bound) == (0, ())
    assert isinstance(got, OutputsGet)
    y, ids = got.outputs
    assert (y.want_float, y.is_prealloc, y.buf_before, y.size_before, y.size) == (1, 0, 0, 0, 48)
    assert y.index == 1, "the index field as the program set it, not the position"
    assert y.content is not None and y.content.type == "FLOAT32" and y.content.file is not None
    expected = (IMAGE.reshape(12, 4).astype(int).sum(axis=1) // 4 * 0.5).astype(np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "trace" / y.content.file), expected)
    assert y.content.float_like == 1
    assert ids.content is not None and ids.content.type == "INT64" and ids.content.values is not None
    assert ids.content.values.maximum == IMAGE.astype(int).sum()
    assert isinstance(released, OutputsRelease) and released.n_outputs == 2
    assert trace.calls[6].name == "rknn_destroy"
    # Only the first run of each context is kept.
    assert len(list((tmp_path / "trace").glob("*.npy"))) == 2 * 3


def test_zero_copy(native: Kit, tmp_path: Path) -> None:
    trace = native.trace(native.linked, "zero-copy", trace=tmp_path / "trace")
    binds = [call.details for call in trace.calls if isinstance(call.details, SetIoMemory)]
    assert [(bind.attr.name, bind.memory.id, bind.memory.size) for bind in binds if bind.attr and bind.memory] == [
        ("x", 1, 48),
        ("y", 2, 12),
        ("ids", 3, 16),
    ]
    syncs = [call.details.mode for call in trace.calls if isinstance(call.details, MemorySync)]
    assert syncs == ["TO_DEVICE", "FROM_DEVICE"] * 3
    runs = [call.details for call in trace.calls if isinstance(call.details, Run)]
    assert [run.run for run in runs] == [0, 1, 2]
    for number, run in enumerate(runs):
        x, y, ids = run.bound
        assert [(bound.name, bound.direction) for bound in run.bound] == [
            ("x", "input"),
            ("y", "output"),
            ("ids", "output"),
        ]
        image = (np.arange(48) * 5 + number).astype(np.uint8)
        assert x.before is not None and x.after is not None and x.before.values is not None
        assert x.before.xxh64 == x.after.xxh64 == xxh64(image.tobytes())
        assert x.before.values.minimum == image.min() and x.after.values is None
        assert y.before is not None and y.after is not None and y.before.values is None
        assert (y.before.xxh64 != y.after.xxh64) and y.after.values is not None
        assert y.after.values.n == 12 and y.after.type == "INT8"
        assert ids.after is not None and ids.after.type == "INT64"
    assert trace.exit is not None
    assert (trace.exit.open_contexts, trace.exit.open_memories) == ((), ())


def test_wrong_arguments(native: Kit, tmp_path: Path) -> None:
    trace = native.trace(native.linked, "wrong", trace=tmp_path / "trace")
    sets = [call for call in trace.calls if isinstance(call.details, InputsSet)]
    details = [call.details for call in sets if isinstance(call.details, InputsSet)]
    contents = [given.inputs[0].content if given.inputs else None for given in details]
    too_big, too_small, null = contents[:3]
    assert too_big is not None and (too_big.size, too_big.nbytes_read, too_big.unread) == (100, 16, "not readable")
    assert too_big.values is not None and (too_big.values.n, too_big.is_constant) == (16, True)
    assert too_small is not None and (too_small.size, too_small.nbytes_read, too_small.unread) == (10, 10, None)
    assert null is not None and (null.nbytes_read, null.unread) == (0, "null pointer")
    assert [call.ret for call in sets] == [0, -5, 0, -5, -5, -7]
    assert [(given.n_inputs, len(given.inputs), given.unreadable) for given in details[3:]] == [
        (1000000, 1, True),
        (2, 0, True),
        (1, 0, True),
    ]
    assert sets[5].context == 0
    suspects = {entered.seq: entered.suspect for entered in trace.entered if entered.suspect}
    assert {sets[2].seq, sets[3].seq, sets[4].seq, sets[5].seq} <= set(suspects)
    outputs = [call.details for call in trace.calls if isinstance(call.details, OutputsGet)]
    small = outputs[0].outputs[0]
    assert (small.is_prealloc, small.size_before, small.size) == (1, 4, 4)
    assert outputs[1].unreadable and outputs[1].n_outputs == 3
    queries = [call for call in trace.calls if isinstance(call.details, Query)]
    assert [call.ret_name for call in queries] == ["RKNN_ERR_PARAM_INVALID"] * 3
    assert [call.details.index for call in queries if isinstance(call.details, Query)] == [5, None, None]
    assert isinstance(queries[1].details, Query) and queries[1].details.command == "UNKNOWN(99)"
    assert (trace.calls[-1].name, trace.calls[-1].ret) == ("rknn_init", -6)
    assert trace.exit is not None and trace.exit.open_contexts == (1,)


def test_duplicated_context(native: Kit, tmp_path: Path) -> None:
    trace = native.trace(native.linked, "missing", trace=tmp_path / "trace")
    first, second = trace.contexts
    assert (first.duplicated_from, second.duplicated_from) == (None, 1)
    assert second.inputs == first.inputs and second.native_outputs == first.native_outputs
    assert [call.details for call in trace.calls if call.name == "rknn_dup_context"] == [DupContext(1)]
    assert trace.exit is not None and trace.exit.open_contexts == (2,)


def test_switches(native: Kit, tmp_path: Path) -> None:
    environment = {"RKPARITY_TRACE_NO_HASH": "1", "RKPARITY_TRACE_NO_QUERY": "1", "RKNN_LOG_LEVEL": "5"}
    for mode in ("general", "zero-copy"):
        native.run(native.linked, mode, trace=tmp_path / "trace", environment=environment)
    for trace in read_traces(tmp_path / "trace"):
        assert (trace.start.hashed, trace.start.queried) == (False, False)
        assert trace.start.environment["RKNN_LOG_LEVEL"] == "5"
        assert trace.start.environment["RKNN_DUMP_DIR"] is None
        assert trace.contexts[0].inputs == () and trace.contexts[0].api_version is None
        init = trace.calls[0].details
        assert isinstance(init, Init) and init.model.sha256 is None
        for call in trace.calls:
            if isinstance(call.details, InputsSet):
                assert [given.content for given in call.details.inputs] == [None]
            if isinstance(call.details, Run):
                assert all(bound.before is None and bound.after is None for bound in call.details.bound)


def test_comma_locale(native: Kit, tmp_path: Path) -> None:
    """Numbers in the trace do not follow the program's locale; C.UTF-8 stands in where no comma locale is installed."""
    for locale in ("de_DE.UTF-8", "C.UTF-8"):
        trace = native.trace(
            native.linked, "locale", trace=tmp_path / locale, environment={"APP_LOCALE": locale, "LC_ALL": locale}
        )
        content = next(call.details.inputs[0].content for call in trace.calls if isinstance(call.details, InputsSet))
        assert content is not None and content.values is not None and content.values.mean == 118.5


def test_cost_stays_in_its_order_of_magnitude(native: Kit, tmp_path: Path) -> None:
    """Wide margins on the budget of 2 us per call and 2 GB/s: other programs share the caches of this machine."""
    environment = {"RKPARITY_TRACE_NO_HASH": "1"}
    done = native.run(native.linked, "bench", "", "10000", trace=tmp_path / "calls", environment=environment)
    query_ns, frame_ns = (float(line.split()[1]) for line in done.output.splitlines())
    assert query_ns < 4000 and frame_ns < 4 * 4000
    for number in ("0", "2", "3"):
        done = native.run(native.linked, "big", "", "64", number, trace=tmp_path / "contents")
        assert float(done.output.split()[1]) > 0.7
