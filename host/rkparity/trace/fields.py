"""Checked access to one JSON object of a trace; every refusal names the file, the line and the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, TypeVar

from rkparity.errors import DataError

_T = TypeVar("_T")

MAX_TEXT = 4096
MAX_ITEMS = 1024
MAX_U32 = 2**32 - 1
MAX_U64 = 2**64 - 1


class Fields:
    """One JSON object: `where` is the text that errors begin with, e.g. `rkparity-12.jsonl:7: inputs[0]`."""

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise DataError(f"{where}: is {type(value).__name__}, an object is expected")
        self._value = value

    def refuse(self, key: str, expected: str) -> DataError:
        """The error for a field that is missing or is not what it should be."""
        if key not in self._value:
            return DataError(f"{self.where}: lacks the field {key!r} ({expected})")
        shown = repr(self._value[key])
        return DataError(f"{self.where}: field {key!r} is {shown[:60]}, {expected} is expected")

    def is_null(self, key: str) -> bool:
        """Whether the field is there and null."""
        if key not in self._value:
            raise self.refuse(key, "a value or null")
        return self._value[key] is None

    def has(self, key: str) -> bool:
        """Whether the field is there."""
        return key in self._value

    def integer(self, key: str, low: int = 0, high: int = MAX_U64) -> int:
        """An integer within [low, high]."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, f"an integer from {low} to {high}")
        return value

    def u32(self, key: str) -> int:
        """A uint32_t."""
        return self.integer(key, 0, MAX_U32)

    def i32(self, key: str) -> int:
        """An int32_t."""
        return self.integer(key, -(2**31), 2**31 - 1)

    def optional_integer(self, key: str, low: int = 0, high: int = MAX_U64) -> int | None:
        """An integer or null."""
        return None if self.is_null(key) else self.integer(key, low, high)

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1.8e308:
            raise self.refuse(key, "a number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """A number, or null for one that is not finite."""
        return None if self.is_null(key) else self.number(key)

    def text(self, key: str) -> str:
        """Text of at most 4096 characters."""
        value = self._value.get(key)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise self.refuse(key, f"text of at most {MAX_TEXT} characters")
        return value

    def optional_text(self, key: str) -> str | None:
        """Text or null."""
        return None if self.is_null(key) else self.text(key)

    def address(self, key: str) -> int:
        """An address or handle written as hexadecimal text."""
        value = self._value.get(key)
        digits = value[2:] if isinstance(value, str) and value.startswith("0x") and len(value) <= 18 else ""
        if not digits or digits.strip("0123456789abcdef"):
            raise self.refuse(key, "an address such as '0x7f00'")
        return int(digits, 16)

    def flag(self, key: str) -> bool:
        """true or false."""
        value = self._value.get(key)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false")
        return value

    def object(self, key: str) -> Fields:
        """An object."""
        if not isinstance(self._value.get(key), dict):
            raise self.refuse(key, "an object")
        return Fields(self._value[key], f"{self.where}: {key}")

    def opened(self, key: str, otherwise: Mapping[str, Any]) -> Fields:
        """This object with the members of the object `key` among its own, and `otherwise` for what neither has."""
        self.object(key)
        return Fields({**otherwise, **self._value, **self._value[key]}, self.where)

    def optional(self, key: str, parse: Callable[[Fields], _T]) -> _T | None:
        """An object read by `parse`, or null."""
        return None if self.is_null(key) else parse(self.object(key))

    def items(self, key: str, parse: Callable[[Fields], _T]) -> tuple[_T, ...]:
        """A list of objects read by `parse`."""
        return tuple(
            parse(Fields(item, f"{self.where}: {key}[{place}]"))
            for place, item in enumerate(self._list(key, "objects"))
        )

    def integers(self, key: str, low: int = 0, high: int = MAX_U64) -> tuple[int, ...]:
        """A list of integers within [low, high]."""
        values = self._list(key, "integers")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise self.refuse(key, f"a list of integers from {low} to {high}")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(key, "texts")
        if any(not isinstance(value, str) or len(value) > MAX_TEXT for value in values):
            raise self.refuse(key, "a list of texts")
        return tuple(values)

    def _list(self, key: str, what: str) -> list[Any]:
        value = self._value.get(key)
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise self.refuse(key, f"a list of at most {MAX_ITEMS} {what}")
        return value
