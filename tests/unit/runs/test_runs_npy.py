"""The npy reader against files that are right, damaged and hostile."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rkparity.errors import DataError
from rkparity.runs import open_npy, read_npy_header, write_npy

PLAIN_DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i2", "i4", "i8", "u4", "b1"])


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


@given(data=st.data(), dtype=PLAIN_DTYPES)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dtype: str
) -> None:
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)))
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    write_npy(path, array)
    back = open_npy(path)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert [item.name for item in path.parent.iterdir()] == ["x.npy"]


def test_fortran_order_is_honoured(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asfortranarray(array))
    (tmp_path / "f.npy").write_bytes(buffer.getvalue())
    assert read_npy_header(tmp_path / "f.npy").fortran_order
    assert open_npy(tmp_path / "f.npy").tolist() == array.tolist()


def test_the_mini_runtimes_header_is_understood(tmp_path: Path) -> None:
    # Evidence mrt232_d1: no trailing comma in the dictionary, and a 1-D shape written as a number in brackets.
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (20)}"
    (tmp_path / "d.npy").write_bytes(npy(header, np.arange(20, dtype="<f4").tobytes()))
    assert open_npy(tmp_path / "d.npy").tolist() == [float(value) for value in range(20)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not an npy file"),
        (b"PK\x03\x04 a zip file", "is not an npy file"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", b"\0" * 11), "truncated"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", b"\0" * 13), "longer than its header says"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x04N."), "not a plain number type"),
        (npy("{'descr': '<U9', 'fortran_order': False, 'shape': (1,)}", b"\0" * 36), "not a plain number type"),
        (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", b"\0" * 4), "not a plain number"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "not a tuple of sizes"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}"), "not a tuple of sizes"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999,)}"), "not a tuple of sizes"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (281474976710655, 281474976710655)}"), "truncated"),
        (npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", b"\0" * 4), "fortran_order is 0"),
        (npy("{'descr': '<f4', 'shape': (1,)}", b"\0" * 4), "lacks descr"),
        (npy("__import__('os').system('true')"), "cannot be read"),
        (npy("(" * 3000 + ")" * 3000), "cannot be read"),
        (npy("{}", version=b"\x09\x00"), "npy version 9"),
        (b"\x93NUMPY\x01\x00\xff\xff{}", "cut off"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        open_npy(path)
    assert str(path) in caught.value.message


@given(content=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + content)
    try:
        array = open_npy(path)
    except DataError:
        return
    assert array.nbytes <= len(content)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_npy(tmp_path / "none.npy")


def test_a_header_of_more_than_the_usual_length_is_read(tmp_path: Path) -> None:
    values = np.arange(3, dtype=np.float32).tobytes()
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"
    for length in (500, 512, 513, 60_000):
        (tmp_path / "long.npy").write_bytes(npy(text.ljust(length), values))
        assert open_npy(tmp_path / "long.npy").tolist() == [0.0, 1.0, 2.0]
        assert read_npy_header(tmp_path / "long.npy").data_offset == 11 + length
    (tmp_path / "long.npy").write_bytes(npy(text.ljust(513), values)[:520])
    with pytest.raises(DataError, match="npy header of 514 bytes is cut off"):
        open_npy(tmp_path / "long.npy")
    long = text.ljust(100_000).encode()
    (tmp_path / "long.npy").write_bytes(b"\x93NUMPY\x02\x00" + len(long).to_bytes(4, "little") + long + values)
    with pytest.raises(DataError, match="npy header of 100000 bytes is cut off or too long"):
        open_npy(tmp_path / "long.npy")


def test_scalars_and_one_dimension_are_read(tmp_path: Path) -> None:
    for shape, said in (((), "()"), ((4,), "(4,)"), ((4,), "(4)"), ((2, 2), "(2, 2)"), ((2, 2), "(2,2,)")):
        size = 4 if shape else 1
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {said}, }}"
        (tmp_path / "a.npy").write_bytes(npy(header, bytes(4 * size)))
        assert read_npy_header(tmp_path / "a.npy").shape == shape
