"""Reads trace files (docs/trace.md). They come from boards: sizes are capped and every field is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rkparity.errors import DataError, UsageError
from rkparity.trace.calls import READERS, Details, Unfinished
from rkparity.trace.fields import Fields
from rkparity.trace.records import (
    ContextTrace,
    EnteredCall,
    LibraryUsed,
    Suspect,
    TraceCall,
    TraceExit,
)

SCHEMA = "rkparity.trace/1"
MAX_NBYTES = 1 << 30
MAX_LINE_NBYTES = 4 << 20
MAX_CALLS = 2_000_000
_FILE_NAME = re.compile(r"rkparity-(\d{1,10})(?:-(\d{1,6}))?\.jsonl")


@dataclass(frozen=True)
class TraceStart:
    """The first line: the process and what the layer was told. `environment`: the RKNN_* variables, None if unset."""

    layer_version: str
    pid: int
    parent_pid: int
    forked_from: int | None
    exe: str
    machine: str
    pointer_bits: int
    t_ns: int
    unix_ns: int
    hashed: bool
    buffers: int
    queried: bool
    environment: dict[str, str | None]


@dataclass(frozen=True)
class Trace:
    """One process. `calls` are in the order they began.

    `unfinished` are calls that were entered and never returned (the process died in them); `truncated` is the number
    of bytes of a last line without its end; `limit` the size at which the layer stopped, else None; `exit` is None when
    the process did not end by returning from main or `exit`.
    """

    path: Path
    start: TraceStart
    library: LibraryUsed | None
    contexts: tuple[ContextTrace, ...]
    calls: tuple[TraceCall, ...]
    entered: tuple[EnteredCall, ...]
    untraced: tuple[str, ...]
    limit: int | None
    exit: TraceExit | None
    truncated: int

    @property
    def unfinished(self) -> tuple[EnteredCall, ...]:
        """Calls that never returned."""
        done = {call.seq for call in self.calls}
        return tuple(entered for entered in self.entered if entered.seq not in done)

    def context(self, number: int) -> ContextTrace | None:
        """The context with that number; None for 0, and in a forked child for its parent's contexts."""
        return next((context for context in self.contexts if context.context == number), None)

    def calls_of(self, context: int) -> tuple[TraceCall, ...]:
        """The calls made with one context, in order."""
        return tuple(call for call in self.calls if call.context == context)


def find_traces(path: Path) -> tuple[Path, ...]:
    """The trace files of `path`: itself, or those in a folder (a run folder's `logs` or `trace` included), by name."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder", hint="name a trace file or the folder given to the layer")
    found = [
        file
        for folder in (path, path / "trace", path / "logs")
        if folder.is_dir()
        for file in folder.iterdir()
        if _FILE_NAME.fullmatch(file.name) and file.is_file()
    ]
    return tuple(sorted(found, key=_place))


def _place(path: Path) -> tuple[int, int]:
    match = _FILE_NAME.fullmatch(path.name)
    assert match is not None
    return int(match.group(1)), int(match.group(2) or 0)


def read_traces(folder: Path) -> tuple[Trace, ...]:
    """Every trace of a folder, one per process. UsageError when there is none; DataError as `read_trace`."""
    paths = find_traces(folder)
    if not paths:
        raise UsageError(
            f"{folder}: holds no trace (rkparity-PID.jsonl)",
            hint="did the program call the runtime with the layer loaded? see docs/trace.md",
        )
    return tuple(read_trace(path) for path in paths)


def read_trace(path: Path) -> Trace:
    """Reads one trace file.

    Raises DataError naming file, line and field for anything that is not in docs/trace.md; a last line that was cut off
    is left out and reported in `Trace.truncated`.
    """
    collected = _Collected(path)
    number = 0
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > MAX_NBYTES:
                raise DataError(f"{path}: has {size} bytes, at most {MAX_NBYTES} are read")
            for number, line in _lines(file, path):
                if not line.endswith(b"\n"):
                    # The layer reserves the file ahead; what a killed process left unused are zero bytes.
                    collected.truncated = len(line.rstrip(b"\0"))
                    break
                collected.add(_parse(line, f"{path}:{number}"), number)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return collected.finish()


def _lines(file: Any, path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    while True:
        line = file.readline(MAX_LINE_NBYTES + 1)
        if not line:
            return
        number += 1
        if len(line) > MAX_LINE_NBYTES:
            raise DataError(f"{path}:{number}: the line has more than {MAX_LINE_NBYTES} bytes")
        yield number, line


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _parse(line: bytes, where: str) -> Fields:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not a line of JSON: {error}") from error
    return Fields(value, where)


class _Collected:
    """The lines read so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truncated = 0
        self._start: TraceStart | None = None
        self._library: LibraryUsed | None = None
        self._contexts: list[ContextTrace] = []
        self._calls: list[TraceCall] = []
        self._entered: list[EnteredCall] = []
        self._untraced: list[str] = []
        self._limit: int | None = None
        self._exit: TraceExit | None = None

    def add(self, fields: Fields, number: int) -> None:
        event = fields.text("event")
        if self._start is None:
            if event != "start":
                raise DataError(f"{fields.where}: the first line is {event!r}, 'start' is expected")
            self._start = _start(fields)
        elif event == "call":
            if len(self._calls) >= MAX_CALLS:
                raise DataError(f"{fields.where}: more than {MAX_CALLS} calls", hint="trace a shorter run")
            self._calls.append(_call(fields, number))
        elif event == "enter":
            self._entered.append(_entered(fields, number))
        elif event == "context":
            self._contexts.append(ContextTrace.read(fields))
        elif event == "library":
            self._library = _library(fields)
        elif event == "untraced":
            self._untraced.append(fields.text("path"))
        elif event == "limit":
            self._limit = fields.integer("max_bytes")
        elif event == "exit":
            self._exit = TraceExit(
                fields.integer("t_ns"),
                fields.integer("calls"),
                fields.integers("open_contexts"),
                fields.integers("open_memories"),
            )
        else:
            raise fields.refuse("event", "start, library, enter, call, context, untraced, limit or exit")

    def finish(self) -> Trace:
        if self._start is None:
            raise DataError(
                f"{self.path}: holds no whole line" if self.truncated else f"{self.path}: is empty",
                hint="the process died before its first call returned, or the disk was full",
            )
        calls = sorted(self._calls, key=lambda call: call.seq)
        for before, after in zip(calls, calls[1:]):
            if before.seq == after.seq:
                raise DataError(f"{self.path}:{after.line}: call number {after.seq} is there twice")
        return Trace(
            self.path,
            self._start,
            self._library,
            tuple(self._contexts),
            tuple(calls),
            tuple(sorted(self._entered, key=lambda entered: entered.seq)),
            tuple(self._untraced),
            self._limit,
            self._exit,
            self.truncated,
        )


def _start(fields: Fields) -> TraceStart:
    if fields.text("schema") != SCHEMA:
        raise fields.refuse("schema", SCHEMA)
    settings = fields.object("settings")
    environment = fields.object("environment")
    names = ("RKNN_LOG_LEVEL", "RKNN_DUMP_DIR", "RKNN_DUMP_QUANT", "RKNN_DUMP_TXT_TENSOR")
    return TraceStart(
        fields.text("layer_version"),
        fields.u32("pid"),
        fields.u32("ppid"),
        fields.optional_integer("forked_from"),
        fields.text("exe"),
        fields.text("machine"),
        fields.integer("pointer_bits", 32, 64),
        fields.integer("t_ns"),
        fields.integer("unix_ns"),
        settings.flag("hash"),
        settings.integer("buffers"),
        settings.flag("query"),
        {name: environment.optional_text(name) for name in names},
    )


def _library(fields: Fields) -> LibraryUsed:
    if fields.text("found") not in ("target", "dlopen", "next", "search", "none"):
        raise fields.refuse("found", "target, dlopen, next, search or none")
    return LibraryUsed(
        fields.optional_text("path"), fields.text("found"), fields.texts("missing"), fields.optional_text("reason")
    )


def _entered(fields: Fields, number: int) -> EnteredCall:
    return EnteredCall(
        fields.integer("seq"),
        fields.u32("tid"),
        fields.integer("t_ns"),
        fields.text("call"),
        fields.integer("context"),
        fields.address("handle"),
        fields.optional("suspect", Suspect.read),
        _given(fields, number),
    )


# What a `call` line has beyond the arguments, and the lists that only the answer fills.
_ANSWERED = {"t_ns": 0, "dur_ns": 0, "ret": 0, "ret_name": "RKNN_SUCC", "missing": False, "outputs": [], "bound": []}


def _given(fields: Fields, number: int) -> TraceCall | None:
    """The call from what was noted before it; None when nothing was."""
    if not fields.has("given") or fields.is_null("given"):
        return None
    whole = fields.opened("given", _ANSWERED)
    try:
        return _call(whole, number)
    except DataError:
        return _call_with(whole, number, Unfinished())


def _call(fields: Fields, number: int) -> TraceCall:
    name = fields.text("call")
    if name not in READERS:
        raise fields.refuse("call", "a function of the API")
    return _call_with(fields, number, READERS[name](fields))


def _call_with(fields: Fields, number: int, details: Details) -> TraceCall:
    return TraceCall(
        fields.integer("seq"),
        fields.u32("tid"),
        fields.integer("t_ns"),
        fields.integer("dur_ns"),
        fields.text("call"),
        fields.integer("context"),
        fields.address("handle"),
        fields.i32("ret"),
        fields.text("ret_name"),
        fields.flag("missing"),
        details,
        number,
    )
