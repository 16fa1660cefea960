"""The C session through cffi: what librknnrt is given, and what comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rkparity_agent import native
from rkparity_agent.session import (
    QUERY_INPUT_ATTR,
    QUERY_NATIVE_OUTPUT_ATTR,
    QUERY_OUTPUT_ATTR,
    OutputRequest,
    Session,
    TensorInput,
)
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, NATIVE_OUTPUT, Double

UINT8, INT8, FLOAT32, FLOAT16, INT64 = (native.type_number(n) for n in ("UINT8", "INT8", "FLOAT32", "FLOAT16", "INT64"))
NCHW, NHWC, NC1HWC2, UNDEFINED = (native.fmt_number(n) for n in ("NCHW", "NHWC", "NC1HWC2", "UNDEFINED"))


def open_session(double: Double, *, perf: bool = False) -> Session:
    return Session(str(double.library), str(double.model), perf=perf)


def image(dtype: str = "u1") -> np.ndarray:
    return (np.arange(1 * 9 * 30 * 3) % 251).astype(dtype).reshape(1, 9, 30, 3)


def given(array: np.ndarray, kind: int = UINT8, fmt: int = NHWC, pass_through: bool = False) -> TensorInput:
    return TensorInput(bytearray(array.tobytes()), kind, fmt, pass_through)


def test_attributes_versions_and_memory(double: Double) -> None:
    with open_session(double) as session:
        assert session.library_path == str(double.library)
        assert (session.n_inputs, session.n_outputs) == (1, 1)
        assert session.versions() == ("2.3.2 (test double)", "0.9.8")
        assert session.mem_size() == {"weight": 3200, "internal": 9600}
        (attr,) = session.attrs(QUERY_INPUT_ATTR)
        (out,) = session.attrs(QUERY_OUTPUT_ATTR)
    assert attr["scale"] == pytest.approx(0.0572583526)
    del attr["scale"]
    assert attr == {
        "index": 0,
        "name": "x",
        "dims": [1, 9, 30, 3],
        "n_elems": 810,
        "size": 810,
        "fmt": "NHWC",
        "type": "INT8",
        "qnt_type": "AFFINE",
        "zp": -4,
        "w_stride": 32,
        "size_with_stride": 864,
        "h_stride": 0,
    }
    assert (out["fmt"], out["dims"], out["zp"]) == ("NCHW", [1, 5, 9, 30], 9)


def test_model_is_given_by_path_and_perf_sets_the_flag(double: Double) -> None:
    open_session(double).close()
    open_session(double, perf=True).close()
    assert double.calls_of("rknn_init") == [
        f"rknn_init size=0 flag=0 model={double.model}",
        f"rknn_init size=0 flag=8 model={double.model}",
    ]


@pytest.mark.parametrize(
    ("dtype", "kind", "kind_name", "fmt", "fmt_name", "nbytes"),
    [
        ("u1", UINT8, "UINT8", NHWC, "NHWC", 810),
        ("i1", INT8, "INT8", NHWC, "NHWC", 810),
        ("f4", FLOAT32, "FLOAT32", NHWC, "NHWC", 3240),
        ("f2", FLOAT16, "FLOAT16", NHWC, "NHWC", 1620),
        ("u1", UINT8, "UINT8", NCHW, "NCHW", 810),
        ("u1", UINT8, "UINT8", NC1HWC2, "NC1HWC2", 810),
        ("u1", UINT8, "UINT8", UNDEFINED, "UNDEFINED", 810),
    ],
)
def test_general_input_reaches_the_library_unchanged(
    double: Double, dtype: str, kind: int, kind_name: str, fmt: int, fmt_name: str, nbytes: int
) -> None:
    with open_session(double) as session:
        session.set_inputs([given(image(dtype), kind, fmt)])
    assert double.calls_of("input ") == [f"input index=0 size={nbytes} pass_through=0 type={kind_name} fmt={fmt_name}"]
    assert double.received("input0") == image(dtype).tobytes()


@pytest.mark.parametrize("nbytes", [810, 864])
def test_general_pass_through_takes_native_bytes_with_and_without_strides(double: Double, nbytes: int) -> None:
    data = np.arange(nbytes, dtype="u1") if nbytes < 256 else (np.arange(nbytes) % 256).astype("u1")
    with open_session(double) as session:
        session.set_inputs([given(data, INT8, NHWC, True)])
    assert double.calls_of("input ") == [f"input index=0 size={nbytes} pass_through=1 type=INT8 fmt=NHWC"]
    assert double.received("input0") == data.tobytes()


@pytest.mark.parametrize("prealloc", [False, True])
@pytest.mark.parametrize("want_float", [False, True])
def test_general_outputs(double: Double, tmp_path: Path, want_float: bool, prealloc: bool) -> None:
    with open_session(double) as session:
        session.set_inputs([given(image())])
        assert session.run() >= 0
        session.get_outputs([OutputRequest(want_float, prealloc)])
        saved = session.save_output(0, str(tmp_path / "y.npy"))
    nbytes = 1350 * (4 if want_float else 1)
    assert double.calls_of("output ") == [
        f"output index=0 want_float={int(want_float)} is_prealloc={int(prealloc)} size={nbytes if prealloc else 0}"
    ]
    assert saved == {
        "type": "FLOAT32" if want_float else "INT8",
        "dtype": "float32" if want_float else "int8",
        "layout": "NCHW",
        "shape": [1, 5, 9, 30],
        "untouched": False,
    }
    values = np.load(tmp_path / "y.npy")
    expected = np.arange(1350) * 0.5 if want_float else np.arange(1350) & 0x7F
    assert values.dtype == (np.float32 if want_float else np.int8)
    assert values.shape == (1, 5, 9, 30)
    assert np.array_equal(values.ravel(), expected.astype(values.dtype))
    assert double.calls()[-2:] == ["rknn_outputs_release n=1", "rknn_destroy"]


def test_outputs_are_released_before_the_next_run(double: Double) -> None:
    with open_session(double) as session:
        session.set_inputs([given(image())])
        session.run()
        session.get_outputs([OutputRequest()])
        session.run()
    assert [line.split()[0] for line in double.calls_of("rknn_")] == [
        "rknn_init",
        "rknn_inputs_set",
        "rknn_run",
        "rknn_outputs_get",
        "rknn_outputs_release",
        "rknn_run",
        "rknn_destroy",
    ]


def test_several_inputs_non_4d_and_int64(double: Double, tmp_path: Path) -> None:
    double.configure(
        "input ids UNDEFINED INT64 0 1 0 128 1,16",
        "input mask UNDEFINED FLOAT16 0 1 0 40 20",
        "output y UNDEFINED FLOAT16 0 1 0 256 1,16,8",
        "output index UNDEFINED INT64 0 1 0 32 4",
    )
    ids, mask = np.arange(16, dtype="i8"), np.arange(20, dtype="f4")
    with open_session(double) as session:
        session.set_inputs([given(ids, INT64, UNDEFINED), given(mask, FLOAT32, UNDEFINED)])
        session.run()
        session.get_outputs([OutputRequest(False), OutputRequest(True)])
        saved = [session.save_output(index, str(tmp_path / f"{index}.npy")) for index in range(2)]
    assert double.calls_of("input ") == [
        "input index=0 size=128 pass_through=0 type=INT64 fmt=UNDEFINED",
        "input index=1 size=80 pass_through=0 type=FLOAT32 fmt=UNDEFINED",
    ]
    assert double.received("input0") == ids.tobytes()
    assert double.received("input1") == mask.tobytes()
    assert [(item["dtype"], item["shape"]) for item in saved] == [("float16", [1, 16, 8]), ("int64", [4])]
    # int64 stays int64 with want_float.
    assert np.load(tmp_path / "1.npy").tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("dtype", "kind", "name", "itemsize"), [("u1", UINT8, "UINT8", 1), ("f4", FLOAT32, "FLOAT32", 4)]
)
def test_zero_copy_input_rows_follow_w_stride(double: Double, dtype: str, kind: int, name: str, itemsize: int) -> None:
    source = image(dtype)
    with open_session(double) as session:
        session.bind_input(0, given(source, kind))
        session.bind_output(0, OutputRequest(False))
        session.run()
    nbytes = 864 * itemsize
    assert double.calls_of("rknn_set_io_mem")[0] == (
        f"rknn_set_io_mem name=x type={name} fmt=NHWC pass_through=0 n_dims=4 size={nbytes}"
    )
    memory = np.frombuffer(double.received("mem_in0"), dtype=dtype).reshape(9, 32, 3)
    assert np.array_equal(memory[:, :30], source[0])
    assert not memory[:, 30:].any()


def test_zero_copy_pass_through_uses_the_native_attributes(double: Double) -> None:
    double.configure(
        "input x NHWC INT8 -4 0.05 0 2400 1,9,30,5",
        "native_input x NC1HWC2 INT8 -4 0.05 0 4320 1,1,9,30,16",
        IMAGE_OUTPUT,
    )
    data = (np.arange(4320) % 256).astype("u1")
    with open_session(double) as session:
        session.bind_input(0, given(data, INT8, NC1HWC2, True))
        session.bind_output(0, OutputRequest(False))
        session.run()
    assert double.calls_of("rknn_set_io_mem")[0] == (
        "rknn_set_io_mem name=x type=INT8 fmt=NC1HWC2 pass_through=1 n_dims=5 size=4320"
    )
    assert double.received("mem_in0") == data.tobytes()


@pytest.mark.parametrize(
    ("request_", "name", "fmt", "shape", "memory"),
    [
        (OutputRequest(False), "INT8", "NCHW", [1, 5, 9, 30], 4608),
        (OutputRequest(True), "FLOAT32", "NCHW", [1, 5, 9, 30], 5400),
        (OutputRequest(False, fmt=NHWC), "INT8", "NHWC", [1, 9, 30, 5], 4608),
        (OutputRequest(True, type=UINT8), "UINT8", "NCHW", [1, 5, 9, 30], 4608),
        (OutputRequest(False, native=True), "INT8", "NC1HWC2", [1, 2, 1, 272, 16], 8704),
    ],
)
def test_zero_copy_outputs(
    double: Double, tmp_path: Path, request_: OutputRequest, name: str, fmt: str, shape: list[int], memory: int
) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, NATIVE_OUTPUT)
    with open_session(double) as session:
        session.bind_input(0, given(image()))
        session.bind_output(0, request_)
        session.run()
        saved = session.save_output(0, str(tmp_path / "y.npy"))
    assert double.calls_of("rknn_set_io_mem name=y") == [
        f"rknn_set_io_mem name=y type={name} fmt={fmt} pass_through=0 n_dims={len(shape)} size={memory}"
    ]
    assert (saved["type"], saved["layout"], saved["shape"], saved["untouched"]) == (name, fmt, shape, False)
    values = np.load(tmp_path / "y.npy")
    count = int(np.prod(shape))
    expected = np.arange(count) * 0.5 if name == "FLOAT32" else np.arange(count) & 0x7F
    assert np.array_equal(values.ravel(), expected.astype(values.dtype))


def test_zero_copy_syncs_memory_around_the_run_and_frees_it(double: Double) -> None:
    with open_session(double) as session:
        session.bind_input(0, given(image()))
        session.bind_output(0, OutputRequest(False))
        session.run()
    assert double.calls_of("rknn_mem_sync", "rknn_run", "rknn_destroy") == [
        "rknn_mem_sync size=864 mode=1",
        "rknn_mem_sync size=4608 mode=1",
        "rknn_run",
        "rknn_mem_sync size=4608 mode=2",
        "rknn_destroy_mem",
        "rknn_destroy_mem",
        "rknn_destroy",
    ]


def test_core_mask_and_perf(double: Double) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "perf layer times")
    with open_session(double, perf=True) as session:
        session.set_core_mask(native.core_mask_number("0_1_2"))
        session.set_inputs([given(image())])
        session.run()
        assert session.perf() == {"run_us": 1234, "detail": "layer times"}
    assert double.calls_of("rknn_set_core_mask") == ["rknn_set_core_mask 7"]


def test_native_attributes_of_outputs(double: Double) -> None:
    double.configure(IMAGE_INPUT, IMAGE_OUTPUT, NATIVE_OUTPUT)
    with open_session(double) as session:
        (attr,) = session.attrs(QUERY_NATIVE_OUTPUT_ATTR)
    assert (attr["fmt"], attr["dims"], attr["size"]) == ("NC1HWC2", [1, 2, 1, 272, 16], 8704)
