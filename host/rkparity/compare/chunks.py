"""The values of `.npy` files, a chunk at a time: fixed memory whatever the size."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError
from rkparity.runs.npy import header_of, open_npy
from rkparity_agent._native import ffi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.runs.npy import NpyHeader

CHUNK_NBYTES = 8 * 1024 * 1024
"""Bytes of one file in memory at a time, mapped: with files read into a buffer scoring took a quarter longer. A part at
a time keeps a large file out of this process's resident memory."""


class ChunkReader:
    """One `.npy` file from its first value to its last, in C order, aligned and in this machine's byte order.

    Raises DataError as `read_npy_header` does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: mmap.mmap | None = None
        self._chunk: Any = None
        self._start = 0
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self.header = header_of(self._file, path)
            self._array: NDArray[Any] | None = None if _is_plain(self.header) else open_npy(path)
        except OSError as error:
            self._file.close()
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except DataError:
            self._file.close()
            raise
        self.size = self.header.nbytes // self.header.itemsize

    def __enter__(self) -> ChunkReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        self._file.close()

    def next(self, count: int) -> Any:
        """A pointer to the next `count` values, good until the next call; DataError if the file became shorter."""
        self._release()
        start = self._start
        self._start += count
        if self._array is not None:
            # A copy always: it is aligned, in C order and in this machine's byte order.
            copy = self._array.flat[start : self._start].astype(self._array.dtype.newbyteorder("="))
            self._chunk = ffi.from_buffer(copy)
            return self._chunk
        begin = self.header.data_offset + start * self.header.itemsize
        skipped = begin % mmap.ALLOCATIONGRANULARITY
        nbytes = skipped + count * self.header.itemsize
        try:
            self._mapped = mmap.mmap(self._file.fileno(), nbytes, access=mmap.ACCESS_READ, offset=begin - skipped)
        except ValueError as error:
            # Python compares the length with the file's size at this moment.
            raise DataError(f"{self.path}: became shorter while it was read") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        self._chunk = ffi.from_buffer(self._mapped)
        return ffi.cast("char *", self._chunk) + skipped

    def _release(self) -> None:
        if self._chunk is not None:
            ffi.release(self._chunk)
            self._chunk = None
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None


def _is_plain(header: NpyHeader) -> bool:
    """Whether the file's bytes are what the kernels want."""
    one_dimension = not header.fortran_order or sum(dim != 1 for dim in header.shape) <= 1
    return one_dimension and header.descr[0] != ">" and header.data_offset % header.itemsize == 0
