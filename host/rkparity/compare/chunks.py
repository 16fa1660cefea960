"""The values of `.npy` files, a chunk at a time: fixed memory whatever the size.

Files are read, not mapped: a mapped file that another program cuts off ends the process by a signal. Only a file in
Fortran order, which librknnrt and the toolkit never write, is mapped.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError
from rkparity.runs.npy import header_of, open_npy
from rkparity_agent._native import ffi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.runs.npy import NpyHeader

CHUNK_NBYTES = 1024 * 1024
"""Bytes of one file that `next` is asked for at a time."""


class ChunkReader:
    """One `.npy` file from its first value to its last, in C order, aligned and in this machine's byte order.

    `descriptor`: the open file's number, until the reader is left; it must be used as a context manager.
    `is_plain`: the file's bytes are such values as they stand, from `header.data_offset` on; the kernels can read them
    from `descriptor` themselves. Raises DataError as `read_npy_header` does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._chunk: Any = None
        self._start = 0
        try:
            self.descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self.header = header_of(self.descriptor, path)
            in_order = _is_in_order(self.header)
            self._array: NDArray[Any] | None = None if in_order else open_npy(path)
        except OSError as error:
            os.close(self.descriptor)
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except DataError:
            os.close(self.descriptor)
            raise
        self.is_plain = in_order and self.header.descr[0] != ">"
        self.size = self.header.nbytes // self.header.itemsize

    def __enter__(self) -> ChunkReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

    def next(self, count: int) -> Any:
        """A pointer to the next `count` values, good until the next call; DataError if the file became shorter."""
        start = self._start
        self._start += count
        if self._array is not None:
            # A copy always: it is aligned, in C order and in this machine's byte order.
            values = self._array.flat[start : self._start].astype(self._array.dtype.newbyteorder("="))
            self._chunk = ffi.from_buffer(values)
            return self._chunk
        data = self._read(start, count)
        if not self.is_plain:
            import numpy as np

            data = np.frombuffer(data, dtype=self.header.descr).byteswap()
        self._chunk = ffi.from_buffer(data)
        return self._chunk

    def failed(self, error: int) -> DataError:
        """The DataError for a read that failed with errno `error`, or -1 for a file that ended early."""
        if error == -1:
            return DataError(f"{self.path}: became shorter while it was read")
        return DataError(f"{self.path}: cannot be read: {os.strerror(error)}")

    def _read(self, start: int, count: int) -> Any:
        # Python's own allocation is aligned for every number.
        data = bytearray(count * self.header.itemsize)
        offset = self.header.data_offset + start * self.header.itemsize
        done = 0
        while done < len(data):
            try:
                got = os.preadv(self.descriptor, [memoryview(data)[done:]], offset + done)
            except OSError as error:
                raise self.failed(error.errno or 0) from error
            if got == 0:
                raise self.failed(-1)
            done += got
        return data


def _is_in_order(header: NpyHeader) -> bool:
    return not header.fortran_order or sum(dim != 1 for dim in header.shape) <= 1
