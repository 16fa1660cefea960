"""Standard output and error as rkparity writes to them: nothing of a board, model, trace or log steers a terminal."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TextIO, cast


def printable(text: str, *, keep: str = "") -> str:
    """`text` with everything that steers a terminal or cannot be printed as an escape; characters of `keep` stay.

    Escaped are the Unicode categories C (control characters of both halves, direction marks, half surrogate pairs,
    private use) and the line and paragraph separators.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character in keep or not _steers(character) else _escape(character) for character in text
    )


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class EscapingStream:
    """A text stream that writes to another with `printable` over everything but line ends and tabs.

    Whoever has checked all foreign text already and colours the rest writes to `unescaped(stream)`. What the other
    stream's encoding lacks is escaped as well. Everything but writing is the other stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream

    def write(self, text: str) -> int:
        """Writes the escaped text; returns the length of what was given, as callers expect."""
        encoding = self.unescaped.encoding or "utf-8"
        safe = printable(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
        self.unescaped.write(safe)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes each line as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.unescaped, name)


def unescaped(stream: TextIO) -> TextIO:
    """The stream below an EscapingStream, or the stream itself: for text whose foreign parts are `printable`."""
    below = getattr(stream, "unescaped", None)
    return stream if below is None else cast(TextIO, below)


@contextlib.contextmanager
def escaped_output() -> Iterator[None]:
    """Puts an EscapingStream before standard output and standard error while the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, EscapingStream(unescaped(stream))) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
