"""The C reader and writer of npy files against NumPy's own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkparity_agent import native
from rkparity_agent._native import ffi, lib
from rkparity_agent.events import AgentFailure


def write(path: Path, kind: str, shape: list[int], data: bytes) -> None:
    error = native.new_error()
    status = lib.rkrt_npy_write(
        str(path).encode(), native.type_number(kind), len(shape), ffi.new("uint32_t[]", shape), data, len(data), error
    )
    native.check(status, error)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("FLOAT32", "<f4"),
        ("FLOAT16", "<f2"),
        ("INT8", "|i1"),
        ("UINT8", "|u1"),
        ("INT16", "<i2"),
        ("UINT16", "<u2"),
        ("INT32", "<i4"),
        ("UINT32", "<u4"),
        ("INT64", "<i8"),
        ("BOOL", "|b1"),
    ],
)
@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (1, 2, 3, 4, 5)])
def test_written_files_are_numpys(tmp_path: Path, kind: str, dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(int(np.prod(shape))).reshape(shape) % 2).astype(dtype)
    write(tmp_path / "a.npy", kind, list(shape), array.tobytes())
    loaded = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert loaded.dtype == np.dtype(dtype)
    assert loaded.shape == shape
    assert np.array_equal(loaded, array)
    reference = io.BytesIO()
    np.lib.format.write_array(reference, array, version=(1, 0))
    assert (tmp_path / "a.npy").read_bytes() == reference.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_types_numpy_lacks_are_kept_as_bytes(tmp_path: Path) -> None:
    write(tmp_path / "b.npy", "BFLOAT16", [2], b"\x01\x02\x03\x04")
    assert np.load(tmp_path / "b.npy").tolist() == [1, 2, 3, 4]


def test_shape_that_does_not_fit_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(AgentFailure, match="5 bytes do not fill a FLOAT32 tensor of that shape"):
        write(tmp_path / "a.npy", "FLOAT32", [2], b"12345")
    with pytest.raises(AgentFailure, match="do not fill"):
        write(tmp_path / "a.npy", "INT8", [1 << 31, 1 << 31, 1 << 31], b"1")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(AgentFailure, match="cannot be written: File too large"):
            write(tmp_path / "a.npy", "UINT8", [100000], bytes(100000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f4", "|u1", "<i8", "<f8", "|b1"])
def test_header_of_numpys_files(tmp_path: Path, version: tuple[int, int], dtype: str) -> None:
    array = np.zeros((2, 3, 4), dtype=dtype)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    npy = native.NpyFile(str(tmp_path / "a.npy"))
    assert (npy.descr, npy.shape, npy.fortran_order, npy.nbytes) == (dtype, [2, 3, 4], False, array.nbytes)
    assert npy.data_offset + npy.nbytes == (tmp_path / "a.npy").stat().st_size
    assert (npy.type is None) == (dtype == "<f8")


def test_fortran_order_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(np.zeros((2, 3))))
    assert native.NpyFile(str(tmp_path / "a.npy")).fortran_order is True


def header(text: str, data: bytes = b"") -> bytes:
    body = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body + data


def test_mini_runtime_writes_a_one_dimensional_shape_without_comma(tmp_path: Path) -> None:
    """Evidence mrt232_d1."""
    path = tmp_path / "a.npy"
    path.write_bytes(header("{'descr': '|u1', 'fortran_order': False, 'shape': (20)}", bytes(20)))
    assert native.NpyFile(str(path)).shape == [20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an npy file"),
        (b"PK\x03\x04 something else", "is not an npy file"),
        (b"\x93NUMPY\x09\x00\x10\x00", "npy version 9 is not known"),
        (b"\x93NUMPY\x01\x00\xff\x7f{", "is cut off or too long"),
        (b"\x93NUMPY\x01\x00\x40\x00{'descr'", "is cut off or too long"),
        (
            header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
            "is not a plain little-endian number type",
        ),
        (
            header("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }"),
            "is not a plain little-endian number type",
        ),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}"), "npy header cannot be read"),
        (header("{'descr': '<f4', 'shape': (1,), }"), "npy header cannot be read"),
        (header("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }"), "npy header cannot be read"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "npy header cannot be read"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"), "cannot be read"),
        (
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (200000000000,200000000000,200000000000), }"),
            "impossibly large",
        ),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(7)), "truncated"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(9)), "longer than its header says"),
    ],
)
def test_damaged_headers(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(AgentFailure) as caught:
        native.NpyFile(str(path))
    assert (caught.value.kind, caught.value.exit_code) == ("data", 3)
    assert caught.value.message.startswith(f"{path}: ")
    assert message in caught.value.message


def test_missing_file() -> None:
    with pytest.raises(AgentFailure) as caught:
        native.NpyFile("/nowhere/a.npy")
    assert (caught.value.kind, caught.value.message) == (
        "file",
        "/nowhere/a.npy: cannot be opened: No such file or directory",
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(tmp_path: Path, tail: bytes, position: int, value: int) -> None:
    """A valid file with one byte changed and anything after it never crashes the reader."""
    valid = bytearray(header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", bytes(24)) + tail)
    valid[position % len(valid)] = value
    path = tmp_path / "fuzz.npy"
    path.write_bytes(bytes(valid))
    try:
        npy = native.NpyFile(str(path))
    except AgentFailure as failure:
        assert failure.kind == "data"
    else:
        assert npy.data_offset + npy.nbytes == len(valid)
