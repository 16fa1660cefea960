"""The bytes between the emulated librknnrt and the layer-value server; docs/emulator.md describes them."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from rkparity.errors import DataError

PROTOCOL_VERSION = 3
MAGIC = b"RKE1"
_HEAD = struct.Struct("<4siQ")


class Operation(enum.IntEnum):
    """What the library asks for."""

    HELLO = 1
    OPEN = 2
    RUN = 3


class Status(enum.IntEnum):
    """The return codes of librknnrt that the server uses."""

    OK = 0
    FAIL = -1
    PARAM_INVALID = -5
    MODEL_INVALID = -6


FLAG_WANT_LAYERS = 1
FLAG_RAW_UINT8 = 1
NO_VALUE = 0xFFFFFFFF
NO_NODE = 0xFFFFFFFF
NO_INPUT = 0xFFFFFFFF

# The library's element types, by NumPy name (csrc/abi/rknn_abi.h).
TYPE_CODES = {
    "float32": 0,
    "float16": 1,
    "int8": 2,
    "uint8": 3,
    "int16": 4,
    "uint16": 5,
    "int32": 6,
    "uint32": 7,
    "int64": 8,
    "bool": 9,
}
TYPE_NAMES = {code: name for name, code in TYPE_CODES.items()}

MAX_MODEL_NBYTES = 1 << 32


@dataclass(frozen=True)
class GraphValue:
    """One input of a run in logical order: `data` of NumPy type `dtype`; `raw_uint8`: pixels before mean and std."""

    dtype: str
    data: memoryview
    raw_uint8: bool


class Closed(Exception):
    """The other side has hung up."""


def read_exactly(connection: socket.socket, count: int) -> bytearray:
    """Exactly `count` bytes; Closed when the connection ends before."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        try:
            received = connection.recv_into(view)
        except ConnectionError as error:
            raise Closed from error
        if received == 0:
            raise Closed
        view = view[received:]
    return data


def read_head(connection: socket.socket) -> tuple[Operation, int]:
    """The next request's operation and payload length; DataError when this is no request."""
    magic, code, length = _HEAD.unpack(read_exactly(connection, _HEAD.size))
    if magic != MAGIC:
        raise DataError(f"emulator protocol: a request begins with {magic!r}, not {MAGIC!r}")
    try:
        return Operation(code), length
    except ValueError:
        raise DataError(f"emulator protocol: operation {code} is not known") from None


def send_answer(connection: socket.socket, status: int, parts: Iterable[bytes | memoryview]) -> None:
    """Sends an answer; Closed when nobody takes it."""
    pieces = list(parts)
    try:
        connection.sendall(_HEAD.pack(MAGIC, status, sum(len(piece) for piece in pieces)))
        for piece in pieces:
            connection.sendall(piece)
    except ConnectionError as error:
        raise Closed from error


class PayloadReader:
    """Reads a request's payload and never past its end."""

    def __init__(self, payload: bytearray) -> None:
        self._view = memoryview(payload)

    def take(self, count: int) -> memoryview:
        """The next `count` bytes; DataError when there are fewer."""
        if count > len(self._view):
            raise DataError(f"emulator protocol: {count} bytes announced, {len(self._view)} there")
        taken, self._view = self._view[:count], self._view[count:]
        return taken

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """An unsigned 64-bit number."""
        return int.from_bytes(self.take(8), "little")


@dataclass(frozen=True)
class ComputeRequest:
    """What a program wants computed; `faults` is the text of its fault orders, mostly empty.

    `graph` is the number of the set of input shapes.
    """

    graph: int
    want_layers: bool
    values: tuple[GraphValue, ...]
    faults: str


def read_run(payload: bytearray) -> ComputeRequest:
    """A RUN request; DataError when it is damaged."""
    reader = PayloadReader(payload)
    graph, flags = reader.u32(), reader.u32()
    values = []
    for _ in range(reader.u32()):
        code, value_flags, nbytes = reader.u32(), reader.u32(), reader.u64()
        if code not in TYPE_NAMES:
            raise DataError(f"emulator protocol: element type {code} is not known")
        values.append(GraphValue(TYPE_NAMES[code], reader.take(nbytes), bool(value_flags & FLAG_RAW_UINT8)))
    try:
        faults = bytes(reader.take(reader.u32())).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError("emulator protocol: the fault orders are not UTF-8") from error
    return ComputeRequest(graph, bool(flags & FLAG_WANT_LAYERS), tuple(values), faults)


def u32(value: int) -> bytes:
    """An unsigned 32-bit number's bytes."""
    return struct.pack("<I", value)


def i32(value: int) -> bytes:
    """A signed 32-bit number's bytes."""
    return struct.pack("<i", value)


def u64(value: int) -> bytes:
    """An unsigned 64-bit number's bytes."""
    return struct.pack("<Q", value)


def f32(value: float) -> bytes:
    """A float's bytes."""
    return struct.pack("<f", value)


def text(value: str) -> bytes:
    """A length-prefixed UTF-8 text."""
    data = value.encode("utf-8")
    return u32(len(data)) + data
