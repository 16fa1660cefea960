"""The seven aspects in which a played experiment is held against the recorded one."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from fidelity import contents
from fidelity.line_classes import compared
from fidelity.player import Played, dump_paths
from fidelity.stand_ins import Kept, stand_in
from fidelity.transcript import Step


class Outcome(enum.Enum):
    """The result in one aspect."""

    MATCH = "match"
    DEVIATION = "deviation"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as recorded: at `where` (a call or a file) `expected` was recorded, `got` is what came."""

    where: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected!r}, got {self.got!r}"


@dataclass(frozen=True)
class Result:
    """One experiment in one aspect. `reason` says why it is not applicable."""

    experiment: str
    aspect: str
    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    reason: str = ""


class NotApplicable(Exception):
    """Nothing to compare; the text says why."""


def paired_steps(played: Played) -> Iterator[tuple[Step, Step | None]]:
    """Recorded and played steps; None where the player never came to the call."""
    steps = played.transcript.steps
    for index, recorded in enumerate(played.experiment.transcript.steps):
        yield recorded, steps[index] if index < len(steps) else None


def _lists(where: str, expected: list[str], got: list[str]) -> list[Difference]:
    return [
        Difference(where, left or "nothing", right or "nothing")
        for left, right in zip_longest(expected, got)
        if left != right
    ]


def codes(played: Played) -> list[Difference]:
    """Return codes of every call, which symbols are missing, where it crashes."""
    recorded = played.experiment.transcript
    found = _lists("symbols", sorted(recorded.missing_symbols), sorted(played.transcript.missing_symbols))
    for expected, got in paired_steps(played):
        answers = [] if got is None else [" ".join(item) for item in got.codes]
        found += _lists(expected.call, [" ".join(item) for item in expected.codes], answers)
    if recorded.crashed != played.transcript.crashed:
        end = {True: "crash", False: "no crash"}
        found.append(Difference(recorded.steps[-1].call, end[recorded.crashed], end[played.transcript.crashed]))
    return found


_VOID_ATTRIBUTES = (
    # The recording's driver was a replacement; behind the version comes a build's name.
    (re.compile(r"(SDK_VERSION .*api_version='[\d.]+) \([^']*\)' drv_version='[^']*'"), r"\1'"),
    # The compiler's memory plan, which the emulator does not read.
    (re.compile(r"(MEM_SIZE rc=-?\d+) .*"), r"\1"),
    # The first bytes of the answer: a pointer, a duration.
    (re.compile(r"(rknn_query\(cmd=[34],len=\d+),index=\d+"), r"\1"),
)
_ATTRIBUTE_LINES = (
    *("attr for set_io_mem", "mem size=", "IN_OUT_NUM", "SDK_VERSION", "MEM_SIZE", "CUSTOM_STRING", "rknn_query("),
    *("MEM size=", "PERF data="),
)
_QUANTISATION = re.compile(r"zp=\S+ scale=\S+")


def attributes(played: Played) -> list[Difference]:
    """What rknn_query and the zero-copy attributes answer."""
    found: list[Difference] = []
    any_line = False
    for expected, got in paired_steps(played):
        left = [_attribute(line, played) for line in expected.answers if _is_attribute(line)]
        right = [] if got is None else [_attribute(line, played) for line in got.answers if _is_attribute(line)]
        any_line |= bool(left)
        found += _lists(expected.call, left, right)
    if not any_line:
        raise NotApplicable("the experiment asks for no attributes")
    return found


def _is_attribute(line: str) -> bool:
    return "ATTR" in line or line.lstrip().startswith(_ATTRIBUTE_LINES)


def _attribute(line: str, played: Played) -> str:
    for pattern, replacement in _VOID_ATTRIBUTES:
        line = pattern.sub(replacement, line)
    name = re.search(r"name=(\S*)", line)
    if name and played.stand_in.kept is not Kept.SAME and played.model is not None:
        # Other weights give another output range; inputs were calibrated alike.
        outputs = {tensor.name for tensor in played.model.output_tensors}
        if name[1] in outputs:
            line = _QUANTISATION.sub("zp=OWN scale=OWN", line)
    return line.rstrip()


def names(played: Played) -> list[Difference]:
    """Names of the dump files, in the order they are written, and which could not be opened."""
    recorded, got = dump_paths(played.experiment.transcript), dump_paths(played.transcript)
    listed = {item.file for item in played.experiment.dumps}
    written = {
        str(path.relative_to(played.folder))
        for folder in {name.partition("/")[0] for name in listed}
        for path in (played.folder / folder).rglob("*")
        if path.is_file()
    }
    if not recorded and not listed and not got and not written:
        raise NotApplicable("nothing is dumped")
    left, right = [_opened(item) for item in recorded], [_opened(item) for item in got]
    found = _difference_of_lines("order", left, right) if left != right else []
    return found + _lists("files", sorted(listed - written), sorted(written - listed))


def _opened(item: tuple[str, bool]) -> str:
    return item[0] if item[1] else f"{item[0]} (cannot be opened)"


def headers(played: Played) -> list[Difference]:
    """Every npy header, byte for byte, and the file's size."""
    npy = [item for item in played.experiment.dumps if item.header]
    if not npy:
        raise NotApplicable("no npy file was recorded")
    found = []
    for item in npy:
        path = played.folder / item.file
        if not path.is_file():
            found.append(Difference(item.file, "a file", "none"))
            continue
        data = path.read_bytes()
        header = item.header.encode()
        expected = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        if data[: len(expected)] != expected:
            found.append(Difference(item.file, repr(expected), repr(data[: len(expected)])))
        elif len(data) != item.nbytes:
            found.append(Difference(item.file, f"{item.nbytes} bytes", f"{len(data)} bytes"))
    return found


def dump_contents(played: Played) -> list[Difference]:
    """InputOperator dumps as recorded; OutputOperator dumps as the outputs handed out in the same run."""
    return _checked(
        contents.dump_findings(played), "no InputOperator dump was kept and no output was fetched after a run"
    )


def buffers(played: Played) -> list[Difference]:
    """Sizes of the outputs, memories left untouched, values against the dump's by the rules of RKNN manual 7.2.2."""
    return _checked(contents.buffer_findings(played), "no output buffer is read")


def _checked(findings: list[tuple[str, str, str]], nothing: str) -> list[Difference]:
    if not findings:
        raise NotApplicable(nothing)
    return [Difference(*finding) for finding in findings if finding[1] != finding[2]]


def log_lines(played: Played) -> list[Difference]:
    """Log lines call by call: level, order and text, but for the classes of fidelity.line_classes."""
    kept = played.stand_in.kept
    found: list[Difference] = []
    for expected, got in paired_steps(played):
        right = [] if got is None else compared(got.lines, kept)
        left = compared(expected.lines, kept)
        left = [text for text in left if "dump npy tensor" not in text and "dump txt tensor" not in text]
        right = [text for text in right if "dump npy tensor" not in text and "dump txt tensor" not in text]
        if left != right:
            found += _difference_of_lines(expected.call, left, right)
    return found


def _difference_of_lines(where: str, left: list[str], right: list[str]) -> list[Difference]:
    """Lines missing and lines too many; their order when the same lines are there."""
    missing, extra = list(left), []
    for text in right:
        if text in missing:
            missing.remove(text)
        else:
            extra.append(text)
    if not missing and not extra:
        return [Difference(where, " | ".join(left), " | ".join(right))]
    return _lists(where, missing, extra)


ASPECTS: dict[str, Callable[[Played], list[Difference]]] = {
    "codes": codes,
    "attributes": attributes,
    "names": names,
    "headers": headers,
    "contents": dump_contents,
    "buffers": buffers,
    "log": log_lines,
}


def judge(played: Played) -> list[Result]:
    """The seven results of one played experiment."""
    results = []
    name = played.experiment.name
    for aspect, compare in ASPECTS.items():
        try:
            differences = tuple(compare(played))
        except NotApplicable as nothing:
            results.append(Result(name, aspect, Outcome.NOT_APPLICABLE, reason=str(nothing)))
        else:
            results.append(Result(name, aspect, Outcome.DEVIATION if differences else Outcome.MATCH, differences))
    return results


def unplayable(name: str, model: str) -> list[Result]:
    """The results of an experiment whose model cannot be had."""
    reason = stand_in(model).why
    return [Result(name, aspect, Outcome.NOT_APPLICABLE, reason=reason) for aspect in ASPECTS]
