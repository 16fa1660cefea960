"""Both APIs of the emulated library, value by value, on a source whose outputs are known."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_library import Runtime, TensorAttr
from emulator_bench import counting

F32, F16, I8, U8, I64 = 0, 1, 2, 3, 8
NCHW, NHWC, NC1HWC2, UNDEFINED = 0, 1, 2, 3
SCALE, ZERO_POINT = np.float32(0.06366001069545746), 9  # of y in b25_c3w30_int8 (evidence 160_b25_c3w30_u8_int8)


@pytest.fixture
def model(models: Path) -> bytes:
    """One image input x (1, 3, 9, 30), one output y (1, 5, 9, 30), int8."""
    return (models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn").read_bytes()


@pytest.fixture
def opened(library: ctypes.CDLL, model: bytes, counting_models: Any, served: Any) -> Any:
    with served(counting_models.open):
        runtime = Runtime(library)
        assert runtime.init(model) == 0
        yield runtime
        assert runtime.destroy() == 0


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, 9, 30, 3), dtype=np.uint8)


def source_input(counting_models: Any, name: str = "b25_c3w30_int8_rk3588.rknn") -> np.ndarray:
    return counting_models.sources[name].inputs[0]


def test_version_says_emulated(opened: Runtime) -> None:
    assert "rkparity emulated runtime" in opened.version()


def test_pixels_reach_the_source_as_given(opened: Runtime, counting_models: Any) -> None:
    image = pixels()
    assert opened.inputs_set([(image.tobytes(), U8, NHWC, 0)]) == 0
    assert opened.run() == 0
    np.testing.assert_array_equal(source_input(counting_models), image.transpose(0, 3, 1, 2).astype(np.float32))


def test_want_float(opened: Runtime) -> None:
    opened.inputs_set([(pixels().tobytes(), U8, NHWC, 0)])
    assert opened.run() == 0
    status, (raw,) = opened.outputs_get([False])
    assert status == 0
    quantized = np.frombuffer(raw, np.int8)
    np.testing.assert_array_equal(quantized, counting((1, 5, 9, 30), "int8"))
    status, (floats,) = opened.outputs_get([True])
    expected = (quantized.astype(np.int32) - ZERO_POINT).astype(np.float32) * SCALE
    np.testing.assert_array_equal(np.frombuffer(floats, np.float32), expected)


def test_outputs_before_any_run_are_zero_values(opened: Runtime) -> None:
    _, (floats,) = opened.outputs_get([True])
    np.testing.assert_array_equal(np.frombuffer(floats, np.float32), np.full(1350, np.float32(-ZERO_POINT) * SCALE))


@pytest.mark.parametrize(
    ("type_code", "fmt"),
    [(I8, NCHW), (I8, NHWC), (U8, NCHW), (U8, NHWC), (F16, NCHW), (F16, NHWC), (F32, NCHW), (F32, NHWC)],
)
def test_zero_copy_outputs(opened: Runtime, type_code: int, fmt: int) -> None:
    dtype = {I8: np.int8, U8: np.uint8, F16: np.float16, F32: np.float32}[type_code]
    _, attr = opened.attr(2, 0)
    attr.type, attr.fmt = type_code, fmt
    status, mem = opened.bind(attr, 1350 * np.dtype(dtype).itemsize)
    assert status == 0 and opened.run() == 0
    got = np.frombuffer(ctypes.string_at(mem.contents.virt_addr, mem.contents.size), dtype)
    quantized = counting((1, 5, 9, 30), "int8").reshape(1, 5, 9, 30)
    if fmt == NHWC:
        quantized = quantized.transpose(0, 2, 3, 1)
    values = (quantized.astype(np.int32) - ZERO_POINT).astype(np.float32) * SCALE
    expected = {
        I8: quantized,
        U8: (quantized.astype(np.int16) + 128).astype(np.uint8),
        F16: values.astype(np.float16),
        F32: values,
    }[type_code]
    np.testing.assert_array_equal(got, expected.reshape(-1))


def test_native_output_is_nc1hwc2(opened: Runtime) -> None:
    _, attr = opened.attr(9, 0)
    assert list(attr.dims[:5]) == [1, 2, 1, 272, 16]
    status, mem = opened.bind(attr, attr.size_with_stride)
    assert status == 0 and opened.run() == 0
    blocks = np.frombuffer(ctypes.string_at(mem.contents.virt_addr, mem.contents.size), np.int8).reshape(2, 272, 16)
    logical = blocks[:, :270].transpose(0, 2, 1).reshape(32, 270)[:5]
    np.testing.assert_array_equal(logical.reshape(-1), counting((1, 5, 9, 30), "int8"))


@pytest.mark.parametrize("type_code", [U8, F16, F32])
def test_native_output_in_another_type_fails_in_the_run(opened: Runtime, type_code: int) -> None:
    _, attr = opened.attr(9, 0)
    attr.type = type_code
    assert opened.bind(attr, attr.size_with_stride * 4)[0] == 0
    assert opened.run() == -1


def test_zero_copy_input_rows_are_w_stride_apart(opened: Runtime, counting_models: Any) -> None:
    _, attr = opened.attr(1, 0)
    assert (attr.w_stride, attr.size_with_stride) == (32, 864)
    image = pixels(1)
    padded = np.full((9, 32, 3), 77, np.uint8)
    padded[:, :30] = image[0]
    attr.type = U8
    status, mem = opened.bind(attr, 864, padded.tobytes())
    assert status == 0 and opened.run() == 0
    np.testing.assert_array_equal(source_input(counting_models), image.transpose(0, 3, 1, 2).astype(np.float32))
    ctypes.memset(mem.contents.virt_addr, 5, 864)
    assert opened.library.rknn_mem_sync(opened.context, mem, 1) == 0 and opened.run() == 0
    assert (source_input(counting_models) == 5).all()


def test_general_inputs_with_a_zero_copy_output(opened: Runtime) -> None:
    """rknn_inputs_set unbinds output memories: it still held its 0xa5 (evidence 160_zc_mix_inputs_set)."""
    _, attr = opened.attr(2, 0)
    status, mem = opened.bind(attr, 1350)
    assert status == 0
    ctypes.memset(mem.contents.virt_addr, 0xA5, 1350)
    assert opened.inputs_set([(pixels().tobytes(), U8, NHWC, 0)]) == 0 and opened.run() == 0
    assert ctypes.string_at(mem.contents.virt_addr, 1350) == b"\xa5" * 1350
    assert opened.outputs_get([False])[1][0] == counting((1, 5, 9, 30), "int8").tobytes()


def test_int8_values_reach_the_source_on_their_grid(opened: Runtime, counting_models: Any) -> None:
    quantized = np.arange(810, dtype=np.int64).astype(np.int8).reshape(1, 9, 30, 3)
    assert opened.inputs_set([(quantized.tobytes(), I8, NHWC, 0)]) == 0 and opened.run() == 0
    expected = (quantized.astype(np.float32) + 4) * np.float32(0.057258352637290955)
    np.testing.assert_array_equal(source_input(counting_models), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fmt": NC1HWC2, "pass_through": 0}, -1),
        ({"type": 4}, -1),
        ({"type": F32}, -1),
        ({"name": b"nosuch"}, -1),
    ],
)
def test_io_mem_refusals(opened: Runtime, change: dict[str, Any], code: int) -> None:
    _, attr = opened.attr(1, 0)
    for field, value in change.items():
        setattr(attr, field, value)
    assert opened.bind(attr, 864)[0] == code


def test_undefined_input_memory_fails_in_the_run(opened: Runtime) -> None:
    _, attr = opened.attr(1, 0)
    attr.fmt = UNDEFINED
    assert opened.bind(attr, 864)[0] == 0
    assert opened.run() == -1


@pytest.mark.parametrize(
    ("size", "pass_through", "code"), [(809, 0, -5), (810, 0, 0), (811, 0, 0), (100, 1, -5), (2000, 1, 0)]
)
def test_input_sizes(opened: Runtime, counting_models: Any, size: int, pass_through: int, code: int) -> None:
    assert opened.inputs_set([(bytes([1]) * 2000, U8, NHWC, pass_through)], sizes=[size]) == code
    assert opened.run() == 0
    zero = np.float32(4) * np.float32(0.057258352637290955)
    if pass_through == 0 and size >= 810:  # rows are padded: copied one by one, without a look at the size
        assert (source_input(counting_models) == 1).all()
    elif size < 810:
        assert (source_input(counting_models) == zero).all()


def test_bad_handles_and_models(
    library: ctypes.CDLL, model: bytes, counting_models: Any, served: Any, capfd: Any
) -> None:
    runtime = Runtime(library)
    assert runtime.run() == -7 and runtime.destroy() == -7
    assert runtime.inputs_set([(b"1234", U8, NHWC, 0)]) == -7
    attr = TensorAttr()
    assert library.rknn_query(runtime.context, 1, ctypes.byref(attr), 376) == -7
    with served(counting_models.open):
        assert runtime.init(b"garbage" * 100) == -6
        assert runtime.init(model, size=1000) == -6
        assert runtime.init_path(Path("/nowhere.rknn")) == -6
        changed = bytearray(model)
        changed[100] ^= 1
        assert runtime.init(bytes(changed)) == -6
        for nbytes in (len(model) - 1, len(model) + 32):  # what follows the model is not looked at
            assert runtime.init(model + bytes(32), size=nbytes) == 0 and runtime.destroy() == 0
    said = capfd.readouterr().err
    assert "parseRKNN: invalid RKNN_MAGIC!" in said
    assert "was not started with this model (hint: start it with --model M.rknn)" in said


def test_queries_that_fail(opened: Runtime, capfd: Any) -> None:
    attr = TensorAttr(index=5)
    assert opened.library.rknn_query(opened.context, 99, ctypes.byref(attr), 376) == -5
    assert opened.library.rknn_query(opened.context, 1, ctypes.byref(attr), 8) == -5
    assert opened.library.rknn_query(opened.context, 1, ctypes.byref(attr), 376) == -5
    assert opened.library.rknn_query(opened.context, 1, None, 376) == -5
    codes = [
        opened.library.rknn_query(opened.context, command, ctypes.byref(attr), 376) for command in (14, 15, 16, 17)
    ]
    assert codes == [-6, -6, -7, -7]
    said = capfd.readouterr().err
    assert "rknn_query, cmd = 99 is not in [0, 17]!" in said
    assert "rknn_query, info_len(8) < sizeof(rknn_tensor_attr)(376)!" in said
    assert "rknn_query, RKNN_QUERY_INPUT_ATTR, p_attr->index(5) >= input_num(1)!" in said


def test_duplicate_context_is_independent(opened: Runtime) -> None:
    other = Runtime(opened.library)
    assert opened.library.rknn_dup_context(ctypes.byref(opened.context), ctypes.byref(other.context)) == 0
    assert other.context.value != opened.context.value
    assert other.run() == 0 and other.destroy() == 0
    assert opened.run() == 0


def test_missing_dump_directory(
    opened: Runtime, tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
    monkeypatch.setenv("RKNN_DUMP_DIR", str(tmp_path / "missing"))
    runtime = Runtime(opened.library)
    assert runtime.init(model) == 0 and runtime.run() == 0
    assert capfd.readouterr().err.count("failed open dump path: ") == 3
    assert not (tmp_path / "missing").exists()
    runtime.destroy()


def test_full_disk_is_said(
    opened: Runtime, tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
    name = "002_OutputOperator_y_shape_1_5_9_30_float.npy"
    (tmp_path / "dumps" / name).symlink_to("/dev/full")
    runtime = Runtime(opened.library)
    assert runtime.init(model) == 0 and runtime.run() == 0
    assert f"the dump is cut short (disk full?): {tmp_path}/dumps/{name}" in capfd.readouterr().err
    runtime.destroy()


def test_raw_layer_dumps_come_back_to_their_type(
    opened: Runtime, tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
    monkeypatch.setenv("RKNN_DUMP_QUANT", "1")
    runtime = Runtime(opened.library)
    assert runtime.init(model) == 0 and runtime.run() == 0
    dumped = np.load(tmp_path / "dumps" / "001_Conv_y_shape_1_5_9_30_int8.npy")
    assert dumped.dtype == np.int8 and (dumped == round(0.5 / float(SCALE)) + ZERO_POINT).all()
    runtime.destroy()


def test_level_belongs_to_the_context(
    opened: Runtime, model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
    assert opened.run() == 0  # opened at level 0
    assert list((tmp_path / "dumps").iterdir()) == []


def test_threads_have_contexts_of_their_own(opened: Runtime, model: bytes) -> None:
    failures: list[object] = []

    def work() -> None:
        runtime = Runtime(opened.library)
        codes = [runtime.init(model)]
        for _ in range(20):
            codes += [runtime.inputs_set([(pixels().tobytes(), U8, NHWC, 0)]), runtime.run()]
        status, (raw,) = runtime.outputs_get([False])
        if any(codes) or status or runtime.destroy() or raw != counting((1, 5, 9, 30), "int8").tobytes():
            failures.append(codes)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import emulated_library as e
runtime = e.Runtime(e.load(Path(sys.argv[2])))
assert runtime.init(Path(sys.argv[3]).read_bytes()) == 0
assert all(runtime.run() == 0 for _ in range(20))
"""


def test_processes_at_once(opened: Runtime, library_path: Path, models: Path) -> None:
    arguments = [
        str(Path(__file__).parent),
        str(library_path),
        str(models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn"),
    ]
    processes = [subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env=os.environ) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]


def test_server_gone_is_an_error(
    library: ctypes.CDLL, model: bytes, counting_models: Any, served: Any, capfd: Any
) -> None:
    runtime = Runtime(library)
    with served(counting_models.open):
        assert runtime.init(model) == 0
    assert runtime.run() == -3
    assert "the connection to the emulator's server is lost" in capfd.readouterr().err
    assert Runtime(library).init(model) == -1
    assert runtime.destroy() == 0


def test_no_server_is_named(library: ctypes.CDLL, model: bytes, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.delenv("RKPARITY_EMULATOR_SOCKET", raising=False)
    assert Runtime(library).init(model) == -1
    assert "no emulator server is named: start the program from `rkparity emulator" in capfd.readouterr().err


def test_no_leak_over_many_runs(opened: Runtime, model: bytes) -> None:
    def resident_kb() -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1])

    def rounds(count: int) -> None:
        for _ in range(count):
            runtime = Runtime(opened.library)
            assert runtime.init(model) == 0 and runtime.run() == 0
            runtime.outputs_get([True])
            assert runtime.destroy() == 0

    rounds(50)
    before, files = resident_kb(), len(list(Path("/proc/self/fd").iterdir()))
    rounds(300)
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2
    assert resident_kb() - before < 4096


class PerfDetail(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("length", ctypes.c_uint64)]


@pytest.mark.parametrize(("level", "flags", "kept", "logged"), [(0, 0, 0, 0), (0, 8, 1, 0), (4, 0, 1, 1), (5, 8, 1, 1)])
def test_layer_tables(
    library: ctypes.CDLL,
    model: bytes,
    counting_models: Any,
    served: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    level: int,
    flags: int,
    kept: int,
    logged: int,
) -> None:
    """Kept with the flag or from level 4 on, logged from there on (evidence 160_perf_*, 160_loglevel_4)."""
    with served(counting_models.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", str(level))
        runtime = Runtime(library)
        assert runtime.init(model, flags=flags) == 0
        assert runtime.inputs_set([(pixels().tobytes(), U8, NHWC, 0)]) == 0 and runtime.run() == 0
        detail = PerfDetail()
        assert library.rknn_query(runtime.context, 3, ctypes.byref(detail), ctypes.sizeof(detail)) == 0
        text = (detail.data or b"").decode()
        assert runtime.destroy() == 0
    assert detail.length == len(text) and text.count("Network Layer Information Table") == kept
    assert capfd.readouterr().err.count("Network Layer Information Table") == logged
    if kept:
        rows = {line.split()[1]: line for line in text.splitlines() if line[:1].isdigit()}
        assert rows["Conv"].split()[:6] == ["2", "Conv", "UINT8", "NPU", "(1,3,9,30),(5,3,3,3),(5)", "(1,5,9,30)"]
        assert rows["InputOperator"].index("InputOperator:x") == 236
        assert "CallNumber" in text and "us are the simulator's for all layers together" in text


def test_where_the_real_library_crashes(opened: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    """Played with a crash by tests/fidelity (evidence 160_b25_c3w30_f32nchw_int8); here without."""
    assert opened.inputs_set([(bytes(3240), F32, NCHW, 0)]) == -5
    assert "the real library crashes here: fmt NCHW on a 4-D input" in capfd.readouterr().err
