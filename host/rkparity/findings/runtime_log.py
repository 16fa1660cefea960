"""The one table of librknnrt's log lines: which line has which id. What an id means is in the catalogue, `log.NAME`.

The library answers several failures with success and one line. Texts are of the recorded runs 1.5.2, 1.6.0, mini 2.3.2
(evidence of docs/lint.md) and of public issues. A line of level E that no row knows is `log.error`, one of level W
`log.warning`: nothing an error line says is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import DataError

MAX_LOG_NBYTES = 256 << 20
_MAX_LINE_NBYTES = 4096
_EMULATED = "rkparity emulated runtime"
_LINE = re.compile(r"^(?:.*?\s)?([EWID])[ /]+(RKNN\w*|[Rr]ga\w*|inference)\s*: (?:\[[0-9:.]+\] )?(.*)$")
_RGA = re.compile(r"^Rga\w+\(\d+\) .*fail")
_OPERATOR = re.compile(r"\b[Oo]p(?: type)?: ?(?P<type>\w+)?,? ?name: (?P<name>[^\s,]+)")
_OP_NAME = re.compile(r"\b(?:op name|Op): ?(?P<name>[^\s,]+)")
_OP_ID = re.compile(r"\bop id: (\d+)")

# What every recorded healthy run prints, or may: no finding.
USUAL = "log.usual"
UNKNOWN_ERROR = "log.error"
UNKNOWN_WARNING = "log.warning"


@dataclass(frozen=True)
class LogLine:
    """A line that librknnrt printed: `level` is E, W, I or D; `where` is FILE:NUMBER."""

    where: str
    level: str
    text: str


@dataclass(frozen=True)
class KnownLine:
    """One row. `refused`: the call answered with success and the run's values mean nothing.

    `same_as` are ids of causes seen elsewhere that say the same and more; then this line is no finding of its own.
    """

    id: str
    pattern: re.Pattern[str]
    refused: bool = False
    same_as: tuple[str, ...] = ()


def _row(name: str, pattern: str, *same_as: str, refused: bool = False) -> KnownLine:
    return KnownLine(f"log.{name}", re.compile(pattern), refused, same_as)


_REFUSED_INPUT = ("lint.input-fmt-4d", "lint.input-type-refused")

# The first row that fits is the line's.
TABLE: tuple[KnownLine, ...] = (
    _row(
        "input-layout",
        r"[Mm]eet unsupported (?:src )?layout|when input channel is \d+\D*, not support|[Uu]nsupport src layout",
        *_REFUSED_INPUT,
        refused=True,
    ),
    _row("input-type", r"Normalize does not support for this data type", "lint.input-type-refused", refused=True),
    _row(
        "input-type",
        r"InputOperator: not support input dtype|NC1HWC2 input format only support pass_through",
        "lint.input-type-refused",
        "lint.io-mem-attributes",
    ),
    _row(
        "input-not-taken",
        r"rknn_inputs_set, normalize error",
        *_REFUSED_INPUT,
        "log.input-layout",
        "log.input-type",
        refused=True,
    ),
    _row("input-size-big", r"current input size\(\d+\) > need input size\(\d+\)", "lint.input-size-big", refused=True),
    _row(
        "input-size-small",
        r"rknn_inputs_set, param input size\(-?\d+\) < model input size\(-?\d+\)",
        "lint.input-size-small",
        "lint.input-type-zero",
    ),
    _row(
        "input-count",
        r"rknn_inputs_set, param input num\(\d+\) != model input num\(\d+\)",
        "lint.input-count",
        refused=True,
    ),
    _row("output-size", r"output\[\d+\] buf size error", "lint.output-prealloc-small", refused=True),
    _row("output-size-differs", r"Get rknn_outputs\[\d+\] size = \d+, but expect", "lint.output-prealloc-small"),
    _row(
        "output-index",
        r"param output index\(\d+\) is out of range",
        "lint.output-index",
        "lint.output-count",
        "lint.struct-garbage",
    ),
    _row("output-count", r"param output num\(\d+\) != model output num\(\d+\)", "lint.output-count"),
    _row(
        "output-layout",
        r"[Uu]nsupport(?:ed)? output|meet unsupported output|not support output",
        "lint.io-mem-attributes",
    ),
    # Not "size_with_stride larger than model origin size": 1.5.2 warns so of every model with a padded output,
    # whatever the program does.
    _row(
        "memory-size",
        r"(?:input|output) memory size\(-?\d+\) < model|memory size must be: \d+",
        "lint.io-mem-size",
    ),
    _row("memory-invalid", r"rknn_mem_sync, invalid mem|rknn_create_mem, invalid size", "lint.pointer-bad"),
    _row("memory-sync", r"failed to sync partial buffer"),
    _row("allocate", r"failed to allocate (?:handle|fd)|failed to allocate memory|failed to malloc npu memory"),
    _row("dump-path", r"failed open dump path|Unable to create file"),
    _row("dump-type", r"Meet unsupported input dtype \d+ for dump"),
    _row(
        "model",
        r"Invalid RKNN model version|[Ii]nvalid RKNN_MAGIC|parseRKNN|Invalid RKNN format|rknn_init, load model failed",
    ),
    _row("platform", r"This rknn model is for \S+, but current platform is"),
    _row("driver-old", r"Current driver version: \S+, recommend to upgrade", "lint.version-driver", "versions.driver"),
    _row(
        "version",
        r"[Vv]ersion.*(?:mismatch|not match|too old|newer)|is newer than",
        "lint.version-runtime",
        "versions.runtime",
    ),
    _row("driver-missing", r"failed to open rknpu module"),
    _row("submit", r"failed to submit"),
    _row("register", r"The bit width of field value exceeds the limit"),
    _row(
        "operator-unsupported",
        r"fallback cpu failed|unsupport (?:cpu )?\w+ op\b|has no custom delegate|[Uu]nsupported op type",
    ),
    _row("cpu-fallback", r"fallback to cpu"),
    _row("index-range", r"Out of range value in index tensor"),
    _row("tensor-type", r"Meet unsupported (?:tensor|input|output) dtype"),
    _row("value-range", r"dataConvert: the value is out of range"),
    _row("float16-range", r"out of the float16"),
    _row("shapes", r"rknn_set_input_shapes? error|please call rknn_set_input_shape first"),
    _row("batch", r"only support input n_dims == 4 when batch_size > 1"),
    _row("general-api", r"context config invalid", "lint.mini-general-api"),
    _row("query", r"rknn_query, |query RKNN_QUERY_\w+ error", "lint.query-failed"),
    _row("core-mask", r"core mask"),
    _row("wait", r"rknn_wait fence fd"),
    _row("type-unknown", r"convert_type: unknown type", "lint.struct-garbage"),
    _row("target", r"Unkn?own op target"),
    _row("rga", r"RGA_BLIT fail|RockChipRga|width stride should be 16 aligned|Rga\w+\(\d+\)"),
    _row(
        "usual",
        r"Failed to get (?:NPU|DDR) freq|failed to get DDR freq|Unknow dtype to get bytes|Meet origin tensor size|"
        r"size_with_stride larger than model origin size|is recommended to be equal to|Detect CPU op with input",
    ),
)


def parse(text: str, where: str) -> LogLine | None:
    """The library's (or RGA's) line in a line of a program's output; None for a line that is the program's own."""
    match = _LINE.match(text)
    if match is not None:
        return LogLine(where, match[1], match[3])
    return LogLine(where, "E", text) if _RGA.match(text) else None


def read_log(path: Path) -> Iterator[LogLine]:
    """The lines of a captured output that librknnrt printed; DataError when it cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_LOG_NBYTES:
            raise DataError(f"{path}: has {path.stat().st_size} bytes, at most {MAX_LOG_NBYTES} are read")
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE_NBYTES), b""), start=1):
                line = parse(raw.decode("utf-8", "replace").rstrip("\r\n"), f"{path.name}:{number}")
                if line is not None:
                    yield line
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def read_logs(paths: Iterable[Path]) -> tuple[LogLine, ...]:
    """The library's E and W lines in several files.

    The emulated runtime plays 1.6.0 for models of any toolkit: what it warns about versions is left out.
    """
    lines: list[LogLine] = []
    emulated = False
    for path in paths:
        for line in read_log(path):
            emulated = emulated or _EMULATED in line.text
            if line.level in "EW":
                lines.append(line)
    return tuple(line for line in lines if not (emulated and line.level == "W" and "version" in line.text))


def row_of(line: LogLine) -> KnownLine | None:
    """The first row that knows the line; lines of level D and I say nothing."""
    if line.level not in "EW":
        return None
    return next((row for row in TABLE if row.pattern.search(line.text)), None)


def id_of(line: LogLine) -> str:
    """The line's id, whoever asks: run, run-app, lint or diagnose."""
    row = row_of(line)
    if row is not None:
        return row.id
    return {"E": UNKNOWN_ERROR, "W": UNKNOWN_WARNING}.get(line.level, USUAL)


def operator_of(line: LogLine) -> tuple[str, str, str]:
    """Type, name and number of the operator the line speaks of; empty where it does not say."""
    number = _OP_ID.search(line.text)
    found = _OPERATOR.search(line.text) or _OP_NAME.search(line.text)
    name = found["name"] if found is not None else ""
    kind = found.groupdict().get("type") or "" if found is not None else ""
    before, _, rest = name.partition(":")
    # As "ScatterND:ScatterND_1".
    return kind or (before if rest else ""), rest or name, number[1] if number is not None else ""
