"""The values of `.npy` files, a chunk at a time, in buffers that are used again: fixed memory whatever the size.

The files are read, not mapped: a mapped file that another program cuts short ends this process with SIGBUS. It costs no
more than mapping, as the kernels find a chunk in the cache.
"""

from __future__ import annotations

import threading
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
"""Bytes of one file in memory at a time: small enough for the second-level cache, large enough to forget the call."""


class ChunkReader:
    """One `.npy` file from its first value to its last, in C order, aligned and in this machine's byte order.

    `slot` tells this thread's readers apart: of two readers with one slot only the last may be used. Raises DataError
    as `read_npy_header` does.
    """

    def __init__(self, path: Path, slot: int) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            self.header = header_of(self._file, path)
            self._file.seek(self.header.data_offset)
        except OSError as error:
            self._file.close()
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except DataError:
            self._file.close()
            raise
        self.size = self.header.nbytes // self.header.itemsize
        self._slot = slot
        self._start = 0
        self._array: NDArray[Any] | None = None if _is_plain(self.header) else open_npy(path)

    def __enter__(self) -> ChunkReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def next(self, count: int) -> Any:
        """A pointer to the next `count` values, good until the next call; DataError if the file became shorter."""
        if self._array is not None:
            return self._converted(self._array, count)
        nbytes = count * self.header.itemsize
        buffer = _BUFFERS.get(self._slot, nbytes)
        try:
            done = self._file.readinto(buffer.view[:nbytes])
            while done != nbytes:
                got = self._file.readinto(buffer.view[done:nbytes])
                if not got:
                    raise DataError(f"{self.path}: became shorter while it was read")
                done += got
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        return buffer.pointer

    def _converted(self, array: NDArray[Any], count: int) -> Any:
        import numpy as np

        chunk = array.flat[self._start : self._start + count]
        self._start += count
        buffer = _BUFFERS.get(self._slot, chunk.nbytes)
        np.frombuffer(buffer.view, array.dtype.newbyteorder("="), chunk.size)[:] = chunk
        return buffer.pointer


def _is_plain(header: NpyHeader) -> bool:
    """Whether the file's bytes are what the kernels want."""
    one_dimension = not header.fortran_order or sum(dim != 1 for dim in header.shape) <= 1
    return one_dimension and header.descr[0] != ">"


class _Buffer:
    def __init__(self, nbytes: int) -> None:
        memory = bytearray(nbytes)
        self.view = memoryview(memory)
        self.pointer = ffi.from_buffer(memory)


class _Buffers(threading.local):
    """Every thread has its own; they end with it."""

    def __init__(self) -> None:
        self._slots: dict[int, _Buffer] = {}

    def get(self, slot: int, nbytes: int) -> _Buffer:
        buffer = self._slots.get(slot)
        if buffer is None or len(buffer.view) < nbytes:
            buffer = self._slots[slot] = _Buffer(max(nbytes, CHUNK_NBYTES))
        return buffer


_BUFFERS = _Buffers()
