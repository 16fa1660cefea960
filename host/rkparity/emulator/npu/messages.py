"""The stand-in driver's messages: what `csrc/npu/server.c` sends, and the conversation on one connection."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable

from rkparity.emulator.npu.memory import MemoryObject
from rkparity.emulator.npu.session import GuestProgram, NpuBoard, Submit, SubmitFailure, reason
from rkparity.emulator.protocol import MAGIC, Closed, PayloadReader, read_exactly, send_answer
from rkparity.errors import DataError, RkparityError

ATTACH, CREATED, DESTROYED, SUBMIT = 16, 17, 18, 19
VERSION = 1
_HEAD = struct.Struct("<4siQ")
_MAX_PAYLOAD = 256
_MAX_REASON = 511
_FAILED, _UNKNOWN = -1, -100


class GuestPrograms:
    """The programs of a board; each has as many connections as it has requests at once."""

    def __init__(self, board: NpuBoard) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._sessions: dict[int, tuple[GuestProgram, int]] = {}

    def enter(self, number: int) -> GuestProgram:
        """The program with this number, a new one when it has no connection yet."""
        with self._lock:
            session, connections = self._sessions.get(number) or (GuestProgram(self._board), 0)
            self._sessions[number] = (session, connections + 1)
            return session

    def leave(self, number: int) -> None:
        """A connection of the program has ended; with the last one its memories go."""
        with self._lock:
            session, connections = self._sessions[number]
            if connections > 1:
                self._sessions[number] = (session, connections - 1)
                return
            del self._sessions[number]
        session.close()


class DriverConversation:
    """One connection of a program's stand-in driver; `driver_version` is what the driver says of itself, 803: 0.8.3."""

    def __init__(
        self, connection: socket.socket, sessions: GuestPrograms, board: NpuBoard, driver_version: int
    ) -> None:
        self._connection = connection
        self._sessions = sessions
        self._board = board
        self._driver_version = driver_version
        self._session: GuestProgram | None = None
        self._number = 0

    def run(self) -> None:
        """Answers until the program hangs up (Closed)."""
        try:
            while True:
                self._one()
        finally:
            if self._session is not None:
                self._sessions.leave(self._number)

    def _one(self) -> None:
        head, descriptors = self._head()
        operation = 0
        try:
            operation, payload = self._payload(head)
            answer = self._answer(operation, PayloadReader(payload), descriptors)
        except SubmitFailure as failure:
            send_answer(self._connection, failure.code, [b"the failure that was ordered"])
        except RkparityError as error:
            self._refuse(reason(error), _UNKNOWN if operation == SUBMIT else _FAILED)
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001 - a program's memory can hold anything; the program gets a failed submit
            self._refuse(f"failed: {type(error).__name__}: {error}", _UNKNOWN if operation == SUBMIT else _FAILED)
        else:
            send_answer(self._connection, 0, [answer])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _refuse(self, text: str, status: int) -> None:
        print(f"rkparity stand-in NPU: {text}", file=sys.stderr, flush=True)
        send_answer(self._connection, status, [text.encode("utf-8", "replace")[:_MAX_REASON]])

    def _head(self) -> tuple[bytes, list[int]]:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, _HEAD.size, 4)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        return data + bytes(read_exactly(self._connection, _HEAD.size - len(data))), descriptors

    def _payload(self, head: bytes) -> tuple[int, bytearray]:
        magic, operation, length = _HEAD.unpack(head)
        if magic != MAGIC or length > _MAX_PAYLOAD:
            raise Closed
        return operation, read_exactly(self._connection, length)

    def _answer(self, operation: int, reader: PayloadReader, descriptors: list[int]) -> bytes:
        if operation == ATTACH:
            return self._attach(reader)
        if self._session is None:
            raise DataError("stand-in NPU: a request before the greeting")
        if operation == CREATED:
            self._session.created(_memory(reader, descriptors))
        elif operation == DESTROYED:
            self._session.destroyed(reader.u32())
        elif operation == SUBMIT:
            notes = self._session.submit(_submit(reader))
            return "; ".join(notes).encode("utf-8", "replace")[:_MAX_REASON]
        else:
            raise DataError(f"stand-in NPU: operation {operation} is not known")
        return b""

    def _attach(self, reader: PayloadReader) -> bytes:
        version = reader.u32()
        if version != VERSION or self._session is not None:
            raise DataError(
                f"the stand-in driver speaks version {version} of its protocol, this virtual board {VERSION}",
                hint="use the driver of the same rkparity installation",
            )
        reader.u32()
        self._number = reader.u64()
        self._session = self._sessions.enter(self._number)
        chip = self._board.chip
        return struct.pack("<III", chip.hardware_version, self._driver_version, chip.through_drm)


def _memory(reader: PayloadReader, descriptors: list[int]) -> MemoryObject:
    handle, _flags, address = reader.u32(), reader.u32(), reader.u64()
    size, asked, thread = reader.u64(), reader.u64(), reader.u32()
    if not descriptors:
        raise DataError("stand-in NPU: a memory without its descriptor")
    return MemoryObject(handle, descriptors.pop(0), address, size, asked, thread)


def _submit(reader: PayloadReader) -> Submit:
    handle, flags, mask, _timeout = reader.u32(), reader.u32(), reader.u32(), reader.u32()
    start, number, _base = reader.u32(), reader.u32(), reader.u64()
    cores = tuple((reader.u32(), reader.u32()) for _ in range(5))
    return Submit(handle, flags, mask, start, number, cores)


def conversations(board: NpuBoard, driver_version: int) -> Callable[[socket.socket], None]:
    """What a server does on each connection."""
    sessions = GuestPrograms(board)
    return lambda connection: DriverConversation(connection, sessions, board, driver_version).run()
