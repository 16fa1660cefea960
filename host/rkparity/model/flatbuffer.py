"""Reading a FlatBuffer that is not trusted: every offset, length and count is checked before it is used."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Union

from rkparity.errors import DataError

Buffer = Union[bytes, memoryview]

# A real file's tables share little, so what is read stays well below these (a large detector has a few thousand
# tables); a hostile one could make thousands of tables point at one long vector.
_MAX_ELEMENTS = 4_000_000
_MAX_TABLES = 200_000
_MAX_TEXT_NBYTES = 64 * 1024 * 1024


class FlatBuffer:
    """The bytes of one FlatBuffer. Errors are DataError and name `source` and the byte offset."""

    def __init__(self, data: Buffer, source: str) -> None:
        self._data = data
        self._source = source
        self._elements_left = _MAX_ELEMENTS
        self._tables_left = _MAX_TABLES
        self._text_left = _MAX_TEXT_NBYTES

    def root(self) -> FlatTable:
        """The root table."""
        return FlatTable(self, self.indirect(0))

    def number(self, code: str, offset: int) -> Any:
        """One little-endian number of struct format `code` at `offset`."""
        size = struct.calcsize("<" + code)
        if offset < 0 or offset + size > len(self._data):
            raise self.damaged(offset, f"a value of {size} bytes reaches past the end")
        return struct.unpack_from("<" + code, self._data, offset)[0]

    def indirect(self, offset: int) -> int:
        """Where the unsigned 32-bit offset at `offset` points to."""
        target = offset + int(self.number("I", offset))
        if target + 4 > len(self._data):
            raise self.damaged(offset, f"points to {target}, past the end")
        return target

    def numbers(self, code: str, offset: int) -> tuple[Any, ...]:
        """The vector of numbers whose length word is at `offset`."""
        count = self._count(offset, struct.calcsize("<" + code))
        return struct.unpack_from(f"<{count}{code}", self._data, offset + 4)

    def tables(self, offset: int) -> list[FlatTable]:
        """The vector of tables whose length word is at `offset`."""
        count = self._count(offset, 4)
        self._tables_left -= count
        if self._tables_left < 0:
            raise self.damaged(offset, f"more than {_MAX_TABLES} tables")
        return [FlatTable(self, self.indirect(offset + 4 + 4 * index)) for index in range(count)]

    def text(self, offset: int) -> str:
        """The string whose length word is at `offset`; bytes that are not UTF-8 become U+FFFD."""
        nbytes = int(self.number("I", offset))
        self._text_left -= nbytes
        if offset + 4 + nbytes > len(self._data) or self._text_left < 0:
            raise self.damaged(offset, f"a string of {nbytes} bytes does not fit")
        return bytes(self._data[offset + 4 : offset + 4 + nbytes]).decode("utf-8", "replace")

    def data(self, offset: int) -> memoryview:
        """The vector of bytes whose length word is at `offset`; not copied."""
        nbytes = int(self.number("I", offset))
        if offset + 4 + nbytes > len(self._data):
            raise self.damaged(offset, f"a vector of {nbytes} bytes does not fit")
        return memoryview(self._data)[offset + 4 : offset + 4 + nbytes]

    def damaged(self, offset: int, what: str) -> DataError:
        """The error for something impossible at `offset`."""
        return DataError(
            f"{self._source}: model data is damaged at byte {offset}: {what}",
            hint="copy or export the .rknn file again",
        )

    def _count(self, offset: int, itemsize: int) -> int:
        count = int(self.number("I", offset))
        self._elements_left -= count
        if offset + 4 + count * itemsize > len(self._data) or self._elements_left < 0:
            raise self.damaged(offset, f"a vector of {count} elements does not fit")
        return count


class FlatTable:
    """One table; a field that is absent reads as its default."""

    def __init__(self, buffer: FlatBuffer, offset: int) -> None:
        self._buffer = buffer
        self._offset = offset
        self._vtable = offset - int(buffer.number("i", offset))
        self._vtable_nbytes = int(buffer.number("H", self._vtable))
        self._nbytes = int(buffer.number("H", self._vtable + 2))
        if self._vtable_nbytes < 4 or self._vtable_nbytes % 2:
            raise buffer.damaged(self._vtable, f"a table description of {self._vtable_nbytes} bytes")

    def _field(self, slot: int, nbytes: int) -> int | None:
        position = 4 + 2 * slot
        if position + 2 > self._vtable_nbytes:
            return None
        relative = int(self._buffer.number("H", self._vtable + position))
        if relative == 0:
            return None
        if relative < 4 or relative + nbytes > self._nbytes:
            raise self._buffer.damaged(self._vtable + position, f"field {slot} lies outside its table")
        return self._offset + relative

    def integer(self, slot: int, code: str, default: int = 0) -> int:
        """The integer field `slot` of struct format `code`."""
        field = self._field(slot, struct.calcsize("<" + code))
        return default if field is None else int(self._buffer.number(code, field))

    def text(self, slot: int) -> str:
        """The string field `slot`, empty when absent."""
        field = self._field(slot, 4)
        return "" if field is None else self._buffer.text(self._buffer.indirect(field))

    def integers(self, slot: int, code: str = "i") -> tuple[int, ...]:
        """The vector of integers in field `slot`, empty when absent."""
        field = self._field(slot, 4)
        return () if field is None else self._buffer.numbers(code, self._buffer.indirect(field))

    def floats(self, slot: int) -> tuple[float, ...]:
        """The vector of float32 in field `slot`, empty when absent."""
        field = self._field(slot, 4)
        return () if field is None else self._buffer.numbers("f", self._buffer.indirect(field))

    def data(self, slot: int) -> memoryview:
        """The vector of bytes in field `slot`, empty when absent."""
        field = self._field(slot, 4)
        return memoryview(b"") if field is None else self._buffer.data(self._buffer.indirect(field))

    def tables(self, slot: int) -> Sequence[FlatTable]:
        """The vector of tables in field `slot`, empty when absent."""
        field = self._field(slot, 4)
        return () if field is None else self._buffer.tables(self._buffer.indirect(field))
