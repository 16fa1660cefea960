"""A Comparison for people: verdict first, then what diverges, then what was left out."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from rkparity.compare.comparison import Comparison, NotCompared, PairResult
from rkparity.compare.verdict import Origin, Verdict
from rkparity.console import printable, unescaped

if TYPE_CHECKING:
    from rich.console import Console

_MOST_ROWS = 15
_MOST_ROWS_BELOW_A_WRONG_INPUT = 3
_COLUMNS = ("#", "verdict", "operator", "tensor", "cosine", "rel. eucl.", "max error", "why")
_STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.NOT_COMPARED: "magenta"}
_TITLES = {
    Verdict.PASS: "PASS",
    Verdict.WARN: "PASS, with warnings",
    Verdict.FAIL: "FAIL",
    Verdict.NOT_COMPARED: "INCOMPLETE",
}
_ORIGINS = {Origin.NONE: "", Origin.OWN: "own", Origin.INHERITED: "inherited", Origin.INHERITED_BY_ORDER: "after it"}


def print_comparison(comparison: Comparison, *, every_layer: bool = False, file: TextIO | None = None) -> None:
    """Prints a comparison to `file` (standard output): a table in colour on a terminal, fixed columns otherwise.

    Without `every_layer` only layers that fail or warn are listed, and of what was not compared only what should have
    been; the numbers of the others are always given.
    """
    stream = file if file is not None else sys.stdout
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        _print_rich(comparison, every_layer, stream)
    else:
        # A terminal's or pipe's encoding may lack a character of some tensor's name.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        for line in _plain_lines(comparison, every_layer):
            print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _plain_lines(comparison: Comparison, every_layer: bool) -> Iterable[str]:
    yield f"{_TITLES[comparison.verdict]}: {printable(comparison.headline)}"
    yield ""
    yield from _facts(comparison)
    rows, hidden = _chosen(comparison, every_layer)
    if rows:
        yield ""
        yield from _aligned([_COLUMNS, *(_row(pair, every_layer) for pair in rows)])
    if hidden:
        yield f"... and {hidden} more; --all lists every layer"
    yield from _left_out(comparison, every_layer)
    yield ""
    yield _summary(comparison)


def _print_rich(comparison: Comparison, every_layer: bool, stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=unescaped(stream), highlight=False)
    title = Text(f"{_TITLES[comparison.verdict]}: ", style=_STYLES[comparison.verdict])
    console.print(title + Text(printable(comparison.headline), style="default"))
    console.print()
    _print_all(console, _facts(comparison))
    rows, hidden = _chosen(comparison, every_layer)
    if rows:
        table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 2, 0, 0))
        for column in _COLUMNS:
            numeric = column in ("#", "cosine", "rel. eucl.", "max error")
            wide = column in ("tensor", "why")
            table.add_column(column, justify="right" if numeric else "left", no_wrap=not wide, overflow="fold")
        for pair in rows:
            cells = [Text(cell) for cell in _row(pair, every_layer)]
            cells[1].stylize(_STYLES[pair.verdict])
            table.add_row(*cells)
        console.print()
        console.print(table)
    if hidden:
        console.print(Text(f"... and {hidden} more; --all lists every layer", style="dim"))
    _print_all(console, _left_out(comparison, every_layer))
    console.print()
    console.print(Text(_summary(comparison)))


def _print_all(console: Console, lines: Iterable[str]) -> None:
    from rich.text import Text

    for line in lines:
        console.print(Text(line))


def _facts(comparison: Comparison) -> Iterable[str]:
    for proof in comparison.inputs:
        said = f"input   {proof.tensor} ({proof.dump}): {proof.verdict.value}, {proof.text}"
        in_headline = proof is comparison.blamed_input
        yield printable(f"{said}: {proof.explanation}" if proof.explanation and not in_headline else said)
    if comparison.blamed_input is not None:
        yield "note    until the input is the simulator's, nothing below can be blamed on the runtime"
    culprits = [pair for pair in comparison.pairs if pair.origin is Origin.OWN and pair.proof is None]
    if culprits and comparison.blamed_input is None:
        names = ", ".join(pair.dump for pair in culprits[:5]) + (", ..." if len(culprits) > 5 else "")
        yield printable(f"own     {len(culprits)} failing layers have good inputs: {names}")
    if comparison.emulated:
        yield "note    the dumps are of the EMULATED runtime of a virtual board, not of an NPU"
    if comparison.local_path is not None:
        yield printable(f"note    each layer was judged on the board's own inputs: {comparison.local_path}")
    elif comparison.end_to_end_only:
        yield printable(f"note    {comparison.end_to_end_only}")
    if comparison.model_path is None:
        yield (
            "note    without --model: names alone align the layers, and own errors are told from inherited ones "
            "by order only"
        )
    for warning in comparison.warnings:
        yield printable(f"warning {warning}")


def _chosen(comparison: Comparison, every_layer: bool) -> tuple[Sequence[PairResult], int]:
    if every_layer:
        return comparison.pairs, 0
    # Inputs have their own lines.
    remarkable = [pair for pair in comparison.pairs if pair.verdict is not Verdict.PASS and pair.proof is None]
    remarkable.sort(key=lambda pair: pair.verdict is not Verdict.FAIL)
    most = _MOST_ROWS if comparison.blamed_input is None else _MOST_ROWS_BELOW_A_WRONG_INPUT
    return remarkable[:most], max(len(remarkable) - most, 0)


def _row(pair: PairResult, with_note: bool) -> tuple[str, ...]:
    stats = pair.stats
    verdict = f"{pair.verdict.value.upper()} {_ORIGINS[pair.origin]}".rstrip()
    why = pair.reasons[0] if pair.reasons else ""
    if pair.note and with_note:
        why = f"{why} [{pair.note}]".lstrip()
    if stats is None:
        numbers = ("", "", "")
    elif stats.lsb is not None:
        numbers = (f"{stats.cosine:.5f}", f"{stats.relative_euclidean:.2e}", f"{stats.lsb.max_lsb:.3g} LSB")
    else:
        numbers = (f"{stats.cosine:.5f}", f"{stats.relative_euclidean:.2e}", f"{stats.max_abs_error:.3g}")
    return (f"{pair.order:03d}", verdict, printable(pair.op_type), printable(pair.tensor), *numbers, printable(why))


def _left_out(comparison: Comparison, every_layer: bool) -> Iterable[str]:
    shown = comparison.not_compared if every_layer else comparison.incomplete
    if shown:
        yield ""
        yield "not compared:" if every_layer else "not compared, although expected:"
    for item in shown if every_layer else shown[:_MOST_ROWS]:
        yield printable(f"  {item.reason}: {_subject(item)}{item.detail}")
    if not every_layer and len(shown) > _MOST_ROWS:
        yield f"  ... and {len(shown) - _MOST_ROWS} more; --all lists them"
    if every_layer:
        for suggestion in comparison.suggestions:
            yield printable(f"  suggestion: {suggestion.dump.file} and {suggestion.tensor.name}: {suggestion.text}")


def _subject(item: NotCompared) -> str:
    named = item.dump or item.tensor
    return f"{named}: " if named else ""


def _summary(comparison: Comparison) -> str:
    count = comparison.count
    text = (
        f"{len(comparison.pairs)} dumps compared: {count(Verdict.PASS)} pass, {count(Verdict.WARN)} warn, "
        f"{count(Verdict.FAIL)} fail"
    )
    if count(Verdict.NOT_COMPARED):
        text += f", {count(Verdict.NOT_COMPARED)} undecided"
    left = len(comparison.not_compared)
    if left:
        owed = len(comparison.incomplete)
        said = f"{owed} of them should have been" if owed else "none of which should be"
        text += f"; {left} more not compared, {said} (--all gives each reason)"
    return text


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    # The last column runs free, and a very long name does not push every row aside.
    widths = [min(max(_width(row[column]) for row in rows), 60) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell + " " * max(width - _width(cell), 0) for cell, width in zip(row, widths)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
