"""Mutations of what rkparity reads: JSON values, text files, arrays, models; each one names itself."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EVIL_TEXT = "\x1b]0;owned\x07\x9b31m\u202e\r\n|<script>&\"'`$(id)"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, 0.0, -0.0, 0.5, 1e308, 1e-320,
    float("nan"), float("inf"), -float("inf"), "", "x", "0", "NaN", "../../etc/passwd", "/etc/passwd", "a" * 300, "a" * 100_000,
    EVIL_TEXT, "\ud800", "\x00", "\u202e", [], [[]], [None], [1, "x", None], [[1, 2], [3]], {}, {"x": 1}, {"": {}}, [0] * 5000,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value, the whole first; of long lists the first, second and last items."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[index], (*path, index))


def changed(document: Any, path: tuple[Any, ...], how: random.Random) -> tuple[str, Any]:
    """`document` with one thing done at `path`, and what was done."""
    result = copy.deepcopy(document)
    if not path:
        value = how.choice(VALUES)
        return f"the whole is {_short(value)}", value
    holder = result
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    kind = how.random()
    if kind < 0.12:
        del holder[last]
        return f"without {_name(path)}", result
    if kind < 0.2:
        if isinstance(holder, list):
            holder.extend(copy.deepcopy(holder[last]) for _ in range(how.choice((1, 3))))
        else:
            holder[str(how.choice(VALUES))[:300]] = holder.pop(last)
        return f"twice or renamed {_name(path)}", result
    if kind < 0.3 and isinstance(holder[last], str):
        holder[last] += how.choice((EVIL_TEXT, "/..", "\x00", "\ud8ff", "a" * 260))
        return f"text added to {_name(path)}", result
    value = how.choice(VALUES)
    holder[last] = copy.deepcopy(value)
    return f"{_name(path)} = {_short(value)}", result


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)[:120]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def as_text(document: Any, how: random.Random) -> bytes:
    """The document as a file; seldom with NaN, duplicate ends, a byte order mark or damaged UTF-8."""
    data = json.dumps(document).encode("utf-8", "surrogatepass")
    kind = how.random()
    if kind < 0.02:
        return data + how.choice((b"}", b"\x00", b"\xff\xfe", b" " * 1000, data))
    if kind < 0.04:
        return data[: how.randrange(len(data) + 1)]
    if kind < 0.05:
        return b"[" * 20_000 + data
    return data


def damaged(data: bytes, how: random.Random) -> tuple[str, bytes]:
    """Bytes with one part overwritten, cut, doubled or put in."""
    if not data:
        return "one byte", b"\x00"
    at = how.randrange(len(data)) if how.random() < 0.5 else how.randrange(min(len(data), 256))
    kind = how.randrange(5)
    if kind == 0:
        return f"cut at {at}", data[:at]
    if kind == 1:
        part = how.randbytes(how.randrange(1, 9))
        return f"{len(part)} bytes at {at}", data[:at] + part + data[at + len(part) :]
    if kind == 2:
        part = how.choice((b"\xff" * 4, b"\x00" * 8, b"\x7f\xff\xff\xff", b"\xff" * 8, EVIL_TEXT.encode()))
        return f"{part!r} at {at}"[:60], data[:at] + part + data[at + len(part) :]
    if kind == 3:
        return f"doubled from {at}", data[:at] + data[at : at + 64] * 2 + data[at + 64 :]
    return f"put in at {at}", data[:at] + how.randbytes(how.randrange(1, 17)) + data[at:]


def load_lines(path: Path) -> list[Any]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
