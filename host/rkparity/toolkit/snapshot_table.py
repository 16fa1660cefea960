"""The two text tables of a toolkit snapshot: `error_analysis.txt` and `map_name_to_file.txt`, of every version.

What the versions print (evidence toolkit/*/snapshot of 2.5.0 and public reports of the others): rows
`[OpType] name` and one `cos | euc` cell per column; 2.5.0 with five decimals each, so that a wide value runs into the
next cell; up to 2.3.2 the euclidean distance is cut to six characters and loses its exponent; 1.4 has no `[OpType]`
and only cosines. A blank cell means the toolkit compared nothing there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import DataError
from rkparity.runs.dump_names import sanitize

_MAX_NBYTES = 64 * 1024 * 1024
_SPECIAL = r"(?:q|f|rt|s)_(?:inf|nan|zero)"
# A cosine has one digit before the point and five after, which tells it from a wide distance it runs together with.
_COSINE = rf"(?:-?\d\.\d{{5}}|nan|{_SPECIAL})"
_DISTANCE = rf"(?:\d+\.\d{{5}}|\d+(?:\.\d*)?|nan|inf|{_SPECIAL})"
_CELL = re.compile(rf"({_COSINE})\s*\|\s*({_DISTANCE}?)(?=\s|$|{_COSINE}\s*\|)")
_CELLS_AT_END = re.compile(rf"\s(?={_COSINE}\s*\|)")
_OPERATOR = re.compile(r"\[([^\[\]]+)\] (.+)", re.DOTALL)
_COSINES_ONLY = re.compile(r"(.*?\S)((?:\s{2,}(?:-?\d\.\d{3,}|nan))+)\s*")
_RULE = re.compile(r"-{10,}\s*")


@dataclass(frozen=True)
class PrintedCell:
    """One printed pair; a special value (`q_nan`, `f_zero`) stands in `special` and the number is None."""

    cosine: float | None
    euclidean: float | None
    special: str = ""


@dataclass(frozen=True)
class PrintedRow:
    """One row: the cells of the columns entire and single of the simulator and entire and single_sim of the runtime."""

    op_type: str
    name: str
    entire: PrintedCell | None = None
    single: PrintedCell | None = None
    runtime_entire: PrintedCell | None = None
    runtime_single: PrintedCell | None = None

    @property
    def is_blank(self) -> bool:
        """Whether the toolkit compared nothing here: fused into the next operator before quantisation."""
        return self.entire is None and self.single is None


@dataclass(frozen=True)
class MappedName:
    """A tensor's name and its file's name without suffix."""

    name: str
    stem: str


def read_table(path: Path) -> tuple[PrintedRow, ...]:
    """The rows of an `error_analysis.txt` in its order; DataError when a line of its body is no row."""
    rows: list[PrintedRow] = []
    runtime_column: int | None = None
    in_body = False
    for number, line in enumerate(_lines_of(path), start=1):
        if "runtime_error" in line and "layer_name" in line:
            runtime_column = line.index("runtime_error")
        if _RULE.fullmatch(line):
            in_body = True
        elif in_body and line.strip():
            row = parse_row(line, runtime_column)
            if row is None:
                raise DataError(f"{path}:{number}: is no row of an accuracy table: {line.strip()[:120]!r}")
            rows.append(row)
    if not rows:
        raise DataError(f"{path}: has no rows", hint="give the error_analysis.txt as the toolkit wrote it")
    return tuple(rows)


def parse_row(line: str, runtime_column: int | None = None) -> PrintedRow | None:
    """Reads one row; None when it is none. `runtime_column` is where the header says the runtime's cells begin."""
    start = _CELLS_AT_END.search(line)
    head = line[: start.start()] if start else line
    operator = _OPERATOR.fullmatch(head.strip())
    if operator is None:
        return _cosine_row(line) if start is None else None
    simulator: list[PrintedCell] = []
    runtime: list[PrintedCell] = []
    matches = list(_CELL.finditer(line, start.start())) if start else []
    for match in matches:
        # The runtime's heading is printed a little right of where its cells begin; half a block tells them apart.
        is_runtime = runtime_column is not None and (match.start() > runtime_column - 16 or len(simulator) == 2)
        (runtime if is_runtime else simulator).append(_cell(match.group(1), match.group(2)))
    if len(simulator) > 2 or len(runtime) > 2:
        simulator, runtime = (simulator + runtime)[:2], (simulator + runtime)[2:4]
    return PrintedRow(operator.group(1), operator.group(2).strip(), *_padded(simulator), *_padded(runtime))


def read_name_map(path: Path) -> tuple[MappedName, ...]:
    """The pairs of a `map_name_to_file.txt` in its order; DataError for a line that is no pair.

    Columns are padded and names may hold spaces, so the line is cut where the rule that makes the file's name out of
    the tensor's holds.
    """
    pairs = []
    in_body = False
    for number, line in enumerate(_lines_of(path), start=1):
        if _RULE.fullmatch(line):
            in_body = True
        elif in_body and line.strip():
            pair = _split_pair(line.rstrip("\n"))
            if pair is None:
                raise DataError(f"{path}:{number}: is no pair of a tensor and its file: {line.strip()[:120]!r}")
            pairs.append(pair)
    return tuple(pairs)


def _split_pair(line: str) -> MappedName | None:
    text = line.strip()
    for gap in re.finditer(r"\s+", text):
        name, file = text[: gap.start()], text[gap.end() :]
        stem = file[: -len(".txt")] if file.endswith(".txt") else file
        if stem == sanitize(name):
            return MappedName(name, stem)
    return None


def _cosine_row(line: str) -> PrintedRow | None:
    match = _COSINES_ONLY.fullmatch(line)
    if match is None:
        # A row of a later version whose cells are all blank would have its operator; this is prose.
        return None
    cells = [PrintedCell(float(value), None) for value in match.group(2).split()][:4]
    return PrintedRow("", match.group(1).strip(), *_padded(cells[:2]), *_padded(cells[2:]))


def _cell(cosine: str, euclidean: str) -> PrintedCell:
    special = next((text for text in (cosine, euclidean) if "_" in text), "")
    return PrintedCell(_number(cosine), _number(euclidean), special)


def _number(text: str) -> float | None:
    return None if not text or "_" in text else float(text)


def _padded(cells: list[PrintedCell]) -> tuple[PrintedCell | None, PrintedCell | None]:
    return (cells[0] if cells else None, cells[1] if len(cells) > 1 else None)


def _lines_of(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_NBYTES:
            raise DataError(f"{path}: is larger than {_MAX_NBYTES} bytes, so it is no accuracy table")
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
