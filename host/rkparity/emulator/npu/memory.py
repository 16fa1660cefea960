"""The NPU's memory as the program's stand-in driver shares it: files by descriptor, each with an address.

Files are read and written with pread and pwrite, never mapped: a program may shorten its file at any time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from rkparity.errors import DataError

_MAX_SIZE = 1 << 31
_MAX_OBJECTS = 65536


@dataclass(frozen=True)
class MemoryObject:
    """One memory. `asked` is the size the library wanted, `size` in whole pages; `thread` made it."""

    handle: int
    fd: int
    address: int
    size: int
    asked: int
    thread: int

    def read(self, offset: int, nbytes: int) -> bytes:
        """Exactly `nbytes` from `offset`; DataError when the memory has fewer."""
        if offset < 0 or nbytes < 0 or offset + nbytes > self.size:
            raise DataError(f"memory {self.handle} of {self.size} bytes: {nbytes} bytes at {offset} are not in it")
        try:
            data = os.pread(self.fd, nbytes, offset)
        except OSError as error:
            raise DataError(f"memory {self.handle}: cannot be read: {error.strerror}") from error
        if len(data) != nbytes:
            raise DataError(f"memory {self.handle}: {len(data)} of {nbytes} bytes at {offset} are there")
        return data

    def write(self, offset: int, data: bytes) -> None:
        """Writes `data` at `offset`; DataError when it does not fit."""
        if offset < 0 or offset + len(data) > self.size:
            raise DataError(f"memory {self.handle} of {self.size} bytes has no {len(data)} bytes at {offset}")
        try:
            written = os.pwrite(self.fd, data, offset)
        except OSError as error:
            raise DataError(f"memory {self.handle}: cannot be written: {error.strerror}") from error
        if written != len(data):
            raise DataError(f"memory {self.handle}: {written} of {len(data)} bytes at {offset} were written")


class NpuMemory:
    """The memories of one program; descriptors are owned and closed. Not safe for several threads without a lock."""

    def __init__(self) -> None:
        self._objects: dict[int, MemoryObject] = {}

    def add(self, item: MemoryObject) -> None:
        """Takes a memory over; one with the same handle, an import of the same file, is replaced."""
        if item.size > _MAX_SIZE or len(self._objects) >= _MAX_OBJECTS:
            os.close(item.fd)
            raise DataError(f"a memory of {item.size} bytes, {len(self._objects)} there: too much")
        self.remove(item.handle)
        self._objects[item.handle] = item

    def remove(self, handle: int) -> None:
        """Closes a memory; nothing when there is none."""
        item = self._objects.pop(handle, None)
        if item is not None:
            os.close(item.fd)

    def close(self) -> None:
        """Closes all."""
        for handle in list(self._objects):
            self.remove(handle)

    def get(self, handle: int) -> MemoryObject:
        """The memory with this handle; DataError when there is none."""
        item = self._objects.get(handle)
        if item is None:
            raise DataError(f"the library names memory {handle}, which does not exist")
        return item

    def find(self, address: int) -> tuple[MemoryObject, int]:
        """The memory an NPU address is in, and the offset there; DataError when it is in none."""
        for item in self._objects.values():
            if item.address <= address < item.address + item.size:
                return item, address - item.address
        raise DataError(f"the NPU address {address:#x} is in no memory")

    def read(self, address: int, nbytes: int) -> bytes:
        """`nbytes` at an NPU address; DataError when they are not in one memory."""
        item, offset = self.find(address)
        return item.read(offset, nbytes)

    def write(self, address: int, data: bytes) -> None:
        """Writes at an NPU address; DataError when it does not fit into one memory."""
        item, offset = self.find(address)
        item.write(offset, data)

    def in_order(self) -> Iterator[MemoryObject]:
        """All memories, in the order they were made."""
        return iter(self._objects.values())
