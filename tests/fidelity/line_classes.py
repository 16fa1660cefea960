"""Which log lines are not compared, and why; and what is taken out of the others before they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fidelity.stand_ins import Kept
from fidelity.transcript import LibraryLine


@dataclass(frozen=True)
class LineClass:
    """Log lines that are left out of the comparison. `rebuilt_only`: only where another model file is played."""

    name: str
    pattern: re.Pattern[str]
    reason: str
    rebuilt_only: bool = False


LINE_CLASSES = (
    LineClass(
        "emulator",
        re.compile(r"rkparity emulated runtime: "),
        "the emulated runtime says what it is and where its values come from; the real one has nothing to say there",
    ),
    LineClass(
        "driver",
        re.compile(r"RKNN Driver Information|Current driver version: "),
        "the recordings ran on a replaced driver that called itself 0.8.3",
    ),
    LineClass(
        "frequency",
        re.compile(r"[Ff]ailed to get (NPU|DDR) freq|Get (NPU|DDR) frequency"),
        "the recording machine had no NPU whose clock could be read",
    ),
    LineClass(
        "driver memory",
        re.compile(r"(allocated?|free) memory(:|, name:)|failed to sync partial buffer|Total Allocate Memory"),
        "what the replaced driver answered to requests for memory",
    ),
    LineClass(
        "memory plan",
        re.compile(
            r"\s*(Feature|Const) Tensor Information Table|ID +User +Tensor|(\d+ +\S+ .*\| )?0x[0-9a-f]+[ *]0x"
            r"|\d+ .*\| 0x|subgraph ?\d+ regcmdbuffer|Total (Internal|Weight) Memory( Size)? ?:|Total Memory: "
            r"|Predict (Weight|Internal) Memory RW|-{20,}"
        ),
        "addresses and sizes of NPU buffers: the compiler's memory plan, which the emulator does not read",
    ),
    LineClass(
        "layer table",
        re.compile(
            r"\s*(Network Layer Information Table|ID +OpType |\d+ +\S+ +(U?INT\d+|FLOAT\d*|BOOL) +(CPU|NPU|GPU) "
            r"|Operator Time Consuming|OpType +CallNumber|\S+( +\d+){5} +\d+(\.\d+)?%|Total Operator Elapsed"
            r"|Total (Internal |Weight )?Memory (Read/Write|RW))"
        ),
        "times, cycles and traffic of NPU operators: the emulator has none",
    ),
    LineClass(
        "old compiler",
        re.compile(r"Unknow dtype to get bytes: "),
        "a constant type that only files of toolkit 1.4 have; the rebuilt model is of 2.5.0",
        rebuilt_only=True,
    ),
    LineClass(
        "new compiler",
        re.compile(r"RKNN Model version: \S+ not match with rknn runtime version: "),
        "the rebuilt model is of toolkit 2.5.0, the recorded one was not",
        rebuilt_only=True,
    ),
)

_FIXES = (
    # What follows the version is a build's name; the emulated runtime says there what it is.
    (re.compile(r"(librknn(?:m?)rt version: [\d.]+) \(.*\)"), r"\1"),
    (re.compile(r"target: \S+ ?\(compiler version: [^()]*\([^()]*\)\)"), "target: COMPILER"),
    (re.compile(r"toolkit version: [^( ]+ ?\(compiler version: [^()]*\([^()]*\)\)"), "toolkit version: COMPILER"),
    # On 32-bit Arm, where the recordings were made, the labels stand one field too early.
    (
        re.compile(
            r"toolkit version: \(null\), target: COMPILER, target platform: (.*), framework name: (.*), "
            r"framework layout: (.*), model inference type: NCHW"
        ),
        r"toolkit version: COMPILER, target: \1, target platform: \2, framework name: \3, "
        r"framework layout: NCHW, model inference type: static_shape",
    ),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"fd: \d+"), "fd: N"),
    (re.compile(r"(Model Information[:,] version: )\d+"), r"\1N"),
    (re.compile(r"exportDataSize large then model size: .*"), "exportDataSize large then model size: N vs N!"),
)


def line_class(line: LibraryLine, kept: Kept) -> LineClass | None:
    """The class that keeps this line out of the comparison; None: it is compared."""
    for item in LINE_CLASSES:
        if item.pattern.match(line.text) and not (item.rebuilt_only and kept is Kept.SAME):
            return item
    return None


def compared(lines: tuple[LibraryLine, ...], kept: Kept) -> list[str]:
    """The lines to compare: level and text, without what differs from run to run. Sizes and counts stay."""
    texts = []
    for line in lines:
        if not line.text or line_class(line, kept) is not None:
            continue
        text = str(line)
        for pattern, replacement in _FIXES:
            text = pattern.sub(replacement, text)
        texts.append(text)
    return texts
