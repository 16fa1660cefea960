"""Reading the Python literal a `.rknn` carries, without Python's own parser.

`ast.literal_eval` may exhaust the interpreter's C stack on hostile text and refuses `inf` and `nan`, which are in real
files; this reader takes dictionaries, lists, tuples, strings, numbers and the named constants, to a fixed depth.
"""

from __future__ import annotations

import re
from typing import Any

_MAX_DEPTH = 32
_MAX_TOKENS = 500_000
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf\b|nan\b))
      | (?P<name>True\b|False\b|None\b)
      | (?P<punctuation>[\[\](){},:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"True": True, "False": False, "None": None}
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


class LiteralError(ValueError):
    """The text is not a literal this reader takes."""


def dictionary_entry(text: str, key: str) -> Any:
    """The value of `key` in the dictionary that `text` is a literal of; what follows it is not read.

    Returns None when the dictionary has no such key. Raises LiteralError when the text up to there is no literal.
    """
    reader = _Reader(text)
    reader.expect("{")
    while True:
        kind, token = reader.next()
        if (kind, token) == ("punctuation", "}"):
            return None
        name = reader.value(kind, token, 1)
        reader.expect(":")
        value = reader.value(*reader.next(), 1)
        if name == key:
            return value
        kind, token = reader.next()
        if (kind, token) == ("punctuation", "}"):
            return None
        if (kind, token) != ("punctuation", ","):
            raise LiteralError(f"expected , or }} but found {token[:40]!r}")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._tokens_left = _MAX_TOKENS

    def next(self) -> tuple[str, str]:
        self._tokens_left -= 1
        if self._tokens_left < 0:
            raise LiteralError(f"longer than {_MAX_TOKENS} words")
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastgroup is None:
            raise LiteralError(
                f"unreadable at character {self._position}: {self._text[self._position : self._position + 40]!r}"
            )
        self._position = match.end()
        return match.lastgroup, match[match.lastgroup]

    def expect(self, token: str) -> None:
        found = self.next()
        if found != ("punctuation", token):
            raise LiteralError(f"expected {token} but found {found[1][:40]!r}")

    def value(self, kind: str, token: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise LiteralError(f"nested deeper than {_MAX_DEPTH}")
        if kind == "string":
            return _ESCAPE.sub(_unescape, token[1:-1])
        if kind == "number":
            return _number(token)
        if kind == "name":
            return _NAMES[token]
        if token in _CLOSING:
            return self._collection(token, depth)
        raise LiteralError(f"unexpected {token!r}")

    def _collection(self, opening: str, depth: int) -> Any:
        closing = _CLOSING[opening]
        items: list[Any] = []
        keyed: dict[Any, Any] = {}
        while True:
            kind, token = self.next()
            if (kind, token) == ("punctuation", closing):
                break
            item = self.value(kind, token, depth + 1)
            if opening == "{":
                self.expect(":")
                if not isinstance(item, (str, int, float, bool, type(None))):
                    raise LiteralError("a dictionary key must be a plain value")
                keyed[item] = self.value(*self.next(), depth + 1)
            else:
                items.append(item)
            kind, token = self.next()
            if (kind, token) == ("punctuation", closing):
                break
            if (kind, token) != ("punctuation", ","):
                raise LiteralError(f"expected , or {closing} but found {token[:40]!r}")
        return keyed if opening == "{" else items


def _number(token: str) -> int | float:
    if re.fullmatch(r"[-+]?[0-9]+", token):
        # Python refuses to convert integers of thousands of digits; no field of the file needs more than 64 bits.
        if len(token) > 20:
            raise LiteralError(f"integer {token[:40]}.. is too long")
        return int(token)
    return float(token)


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return _SHORT_ESCAPES.get(match[4], match[4])
    value = int(code, 16)
    return chr(value) if value <= 0x10FFFF else "�"
