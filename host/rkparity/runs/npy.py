"""Reading and writing `.npy` from sources that are not trusted: header first, sizes checked before anything is mapped.

NumPy's own reader accepts pickles, notices a short file only when the missing page is touched, and refuses the headers
of the mini runtime (`(20)` for a 1-D shape; evidence mrt232_d1). This reader refuses the first, reports the second by
name and understands the third.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError
from rkparity.io import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_MAX_HEADER_NBYTES = 64 * 1024
# NumPy and librknnrt pad a header of up to seven dimensions to 128 bytes.
_USUAL_HEADER_NBYTES = 512
_MAX_DIMS = 32
# The header as NumPy and librknnrt write it; anything else goes the slow way, to the same checks.
_USUAL = re.compile(
    rb"\{'descr': '(?P<descr>[^'\\]+)', 'fortran_order': (?P<order>True|False), "
    rb"'shape': \((?P<shape>(?:(?:0|[1-9][0-9]{0,14}), ?)*(?:0|[1-9][0-9]{0,14})?)\),? ?\}\s*"
)
# Plain numbers only: one kind letter, one size. Objects, strings, records and dates are not tensors.
_DESCR = re.compile(r"[<>|=](?:b1|[iu][1248]|f[248])")


@dataclass(frozen=True)
class NpyHeader:
    """What a `.npy` file says about itself: `descr` is NumPy's dtype text, `data_offset` where the values begin."""

    descr: str
    fortran_order: bool
    shape: tuple[int, ...]
    data_offset: int

    @functools.cached_property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(self.descr[2:])

    @functools.cached_property
    def nbytes(self) -> int:
        """Bytes of the values."""
        count = 1
        for dim in self.shape:
            count *= dim
        return count * self.itemsize


def read_npy_header(path: Path) -> NpyHeader:
    """Reads and checks the header of `path` against the file's size.

    Raises DataError when the file is no npy, holds objects, is truncated or has bytes left over.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return header_of(descriptor, path)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def header_of(descriptor: int, path: Path) -> NpyHeader:
    """As `read_npy_header`, of an open file, whose position stays where it is; may raise OSError.

    A descriptor: a comparison opens hundreds of files, and Python file objects for them cost it 5 % of its time.
    """
    start = os.pread(descriptor, _USUAL_HEADER_NBYTES, 0)
    prefix_nbytes, length = _lengths(start, path)
    if prefix_nbytes + length > len(start):
        start = os.pread(descriptor, min(prefix_nbytes + length, _MAX_HEADER_NBYTES), 0)
    header = _parse_header(start, prefix_nbytes, length, path)
    size = os.fstat(descriptor).st_size
    expected = header.data_offset + header.nbytes
    if size != expected:
        what = "truncated" if size < expected else "longer than its header says"
        raise DataError(
            f"{path}: {what}: shape {header.shape} of {header.descr} needs {expected} bytes, the file has {size}",
            hint="the writer was cut off or the disk was full; make the dump again",
        )
    return header


def open_npy(path: Path) -> NDArray[Any]:
    """Maps `path` read-only in C order; raises DataError as `read_npy_header` does. An empty tensor is not mapped."""
    import numpy as np

    header = read_npy_header(path)
    dtype = np.dtype(header.descr)
    if header.nbytes == 0:
        return np.empty(header.shape, dtype=dtype)
    count = header.nbytes // header.itemsize
    values: NDArray[Any] = np.memmap(path, dtype=dtype, mode="r", offset=header.data_offset, shape=(count,))
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Writes `array` as npy version 1.0 in C order, under a temporary name first so that no reader sees half a file."""
    import numpy as np

    with replacing(path) as file:
        # ascontiguousarray would turn a scalar into a vector of one.
        np.lib.format.write_array(
            file, array.copy(order="C") if not array.flags.c_contiguous else array, version=(1, 0), allow_pickle=False
        )


def _lengths(start: bytes, source: Path) -> tuple[int, int]:
    """Bytes before the header's text, and of it."""
    if start[:6] != _MAGIC or len(start) < 10:
        raise DataError(f"{source}: is not an npy file (it begins with {start[:6]!r})")
    major = start[6]
    if major == 1:
        return 10, int.from_bytes(start[8:10], "little")
    if major in (2, 3) and len(start) >= 12:
        return 12, int.from_bytes(start[8:12], "little")
    raise DataError(f"{source}: npy version {major} is not known")


def _parse_header(start: bytes, prefix_nbytes: int, length: int, source: Path) -> NpyHeader:
    text = start[prefix_nbytes : prefix_nbytes + length]
    if len(text) < length:
        raise DataError(f"{source}: npy header of {length} bytes is cut off or too long")
    usual = _usual_header(text, prefix_nbytes + length) if length <= _USUAL_HEADER_NBYTES else None
    if usual is not None:
        return usual
    try:
        fields = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DataError(f"{source}: npy header cannot be read: {text[:80]!r}") from error
    if not isinstance(fields, dict) or not {"descr", "fortran_order", "shape"} <= set(fields):
        raise DataError(f"{source}: npy header lacks descr, fortran_order or shape: {text[:80]!r}")
    return _checked(fields["descr"], fields["fortran_order"], fields["shape"], prefix_nbytes + length, source)


@functools.lru_cache(maxsize=4096)
def _usual_header(text: bytes, data_offset: int) -> NpyHeader | None:
    """Most tensors of a run have the header of another one. None: not as usual, or wrong; the slow way tells which."""
    usual = _USUAL.fullmatch(text)
    if usual is None:
        return None
    shape = tuple(map(int, usual["shape"].rstrip(b", ").split(b","))) if usual["shape"] else ()
    try:
        return _checked(usual["descr"].decode("latin-1"), usual["order"] == b"True", shape, data_offset, Path())
    except DataError:
        return None


def _checked(descr: object, fortran_order: object, shape: object, data_offset: int, source: Path) -> NpyHeader:
    if not isinstance(descr, str) or not _DESCR.fullmatch(descr):
        raise DataError(f"{source}: dtype {descr!r} is not a plain number type")
    if not isinstance(fortran_order, bool):
        raise DataError(f"{source}: fortran_order is {fortran_order!r}")
    if isinstance(shape, int):
        # The mini runtime writes a 1-D shape as `(20)`, which Python reads as the number 20.
        shape = (shape,)
    if (
        not isinstance(shape, tuple)
        or len(shape) > _MAX_DIMS
        or not all(isinstance(dim, int) and not isinstance(dim, bool) and 0 <= dim < 2**48 for dim in shape)
    ):
        raise DataError(f"{source}: shape {shape!r} is not a tuple of sizes")
    return NpyHeader(descr, fortran_order, shape, data_offset)
