"""A strict reader of a tar stream from a board: only the files that were asked for, at their announced sizes.

Python's tarfile reads every kind of member there is and costs a fifth of the transfer's speed; a board's stream may
hold regular files only. Understood: ustar, GNU long names, pax path and size (GNU tar, busybox, toybox, bsdtar).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import TransferError

_BLOCK = 512
_MAX_EXTENSION_NBYTES = 64 * 1024
_REGULAR = (b"0", b"\0", b"7")
_KINDS = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "pipe",
    b"S": "sparse file",
}


@dataclass(frozen=True)
class Received:
    """A file that arrived whole."""

    name: str
    nbytes: int
    sha256: str


class TarReceiver:
    """Unpacks one tar stream into `folder`.

    `read` gives the stream's next bytes, empty at its end. `expected` maps each file's name to its size; anything
    else in the stream, another size or a second copy is a TransferError. `on_bytes` is told of file bytes as they are
    written. Each file gets its name when it is whole. Errors of this machine's disk are OSError.
    """

    def __init__(
        self, read: Callable[[], bytes], expected: Mapping[str, int], folder: Path, on_bytes: Callable[[int], None]
    ) -> None:
        self._read = read
        self._expected = dict(expected)
        self._folder = folder
        self._on_bytes = on_bytes
        self._rest = memoryview(b"")
        self._temporary = folder / f".receiving-{os.getpid()}.part"

    def files(self) -> Iterator[Received]:
        """Receives file after file; ends after the last expected one or at the end of the archive."""
        long_name: str | None = None
        long_size: int | None = None
        while self._expected:
            header = self._take(_BLOCK)
            if not header or header == bytes(_BLOCK):
                return
            _check_sum(header)
            kind = header[156:157]
            size = _number(header[124:136])
            if kind == b"L":
                long_name = self._extension(size).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
            elif kind in (b"x", b"g"):
                fields = _pax_fields(self._extension(size))
                if kind == b"x":
                    long_name = fields.get("path", long_name)
                    long_size = _decimal(fields["size"]) if "size" in fields else long_size
            else:
                name = long_name if long_name is not None else _short_name(header)
                yield self._file(name, kind, size if long_size is None else long_size)
                long_name = long_size = None

    def drain(self) -> None:
        """Reads the archive's padding to the end of the stream, so that the sender can finish."""
        while self._read():
            pass

    def _file(self, raw_name: str, kind: bytes, size: int) -> Received:
        name = raw_name[2:] if raw_name.startswith("./") else raw_name
        if kind not in _REGULAR:
            raise TransferError(
                f"the board sent {name!r} as a {_KINDS.get(kind, f'member of kind {kind!r}')}, not a file"
            )
        if name not in self._expected:
            raise TransferError(f"the board sent {name!r}, which was not asked for")
        wanted = self._expected.pop(name)
        if size != wanted:
            raise TransferError(
                f"the board announced {name!r} with {wanted} bytes and sends {size}",
                hint="the file changed meanwhile: is a program still writing dumps? Pull again when it is done",
            )
        digest = hashlib.sha256()
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        try:
            left = size
            while left:
                piece = self._piece(left)
                if not piece:
                    raise TransferError(f"the stream ended inside {name!r}, {left} of {size} bytes are missing")
                digest.update(piece)
                _write_all(descriptor, piece)
                left -= len(piece)
                self._on_bytes(len(piece))
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                self._temporary.unlink()
            raise
        os.close(descriptor)
        self._temporary.replace(self._folder / name)
        self._skip(-size % _BLOCK)
        return Received(name, size, digest.hexdigest())

    def _extension(self, size: int) -> bytes:
        if size > _MAX_EXTENSION_NBYTES:
            raise TransferError(f"the board's tar stream has a name record of {size} bytes")
        data = self._take(size)
        self._skip(-size % _BLOCK)
        return data

    def _piece(self, limit: int) -> memoryview:
        if not self._rest:
            self._rest = memoryview(self._read())
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def _take(self, count: int) -> bytes:
        """Exactly `count` bytes, or none at the end of the stream; TransferError when it ends in between."""
        data = bytearray()
        while len(data) < count:
            piece = self._piece(count - len(data))
            if not piece:
                if data:
                    raise TransferError("the board's tar stream is cut off")
                return b""
            data += piece
        return bytes(data)

    def _skip(self, count: int) -> None:
        if count and not self._take(count):
            raise TransferError("the board's tar stream is cut off")


def _check_sum(header: bytes) -> None:
    claimed = _number(header[148:156])
    if sum(header[:148]) + 8 * 0x20 + sum(header[156:]) != claimed:
        raise TransferError(
            "what the board sent is no tar stream",
            hint="does the login shell print something on non-interactive logins?",
        )


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        # GNU's binary form for numbers too large for octal.
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.split(b"\0", 1)[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise TransferError(f"what the board sent is no tar stream: {field!r} is no number") from None


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise TransferError(f"the board's tar stream has the size {text!r}")
    return int(text)


def _short_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "surrogateescape")


def _pax_fields(data: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    while data:
        length_text, _, _ = data.partition(b" ")
        if not length_text.isdigit() or not len(length_text) + 2 <= int(length_text) <= len(data):
            raise TransferError("the board's tar stream has a damaged pax record")
        record, data = data[len(length_text) + 1 : int(length_text)], data[int(length_text) :]
        key, _, value = record.rstrip(b"\n").partition(b"=")
        fields[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return fields


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
