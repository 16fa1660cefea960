"""What a driver printed, call by call: its own lines and the library's log lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LIBRARY_LINE = re.compile(r"([EWID]) RKNN: (?:\[\d\d:\d\d:\d\d\.\d{3}\] ?)?(.*)")
_EXIT = re.compile(r"exit=(-?\d+)")
_CODE = re.compile(r"(.+?) ?(?:rc=(-?\d+)|=(ok|NULL)$)")
# The first bytes of an answer to rknn_query: a value, not part of what was called.
_INDEX = re.compile(r",index=\d+")
# Shells and qemu report a death by signal N as 128 + N.
_SIGNALS = 128


@dataclass(frozen=True)
class LibraryLine:
    """A line of the library's log: `letter` is its level (E, W, I, D)."""

    letter: str
    text: str

    def __str__(self) -> str:
        return f"{self.letter} {self.text}"


@dataclass(frozen=True)
class Step:
    """One call: what the driver printed and what the library logged, each in order."""

    call: str
    answers: tuple[str, ...]
    lines: tuple[LibraryLine, ...]

    @property
    def kind(self) -> str:
        """The call's name."""
        return self.call.partition(":")[0]

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Every return code printed, with what returned it."""
        found = (_CODE.match(answer) for answer in self.answers)
        return tuple((_INDEX.sub("", match[1].strip()), match[2] or match[3]) for match in found if match)


@dataclass(frozen=True)
class Transcript:
    """A whole run of a driver; `crashed`: killed by a signal inside the last step."""

    missing_symbols: tuple[str, ...]
    steps: tuple[Step, ...]
    exit_code: int

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it."""
        return self.exit_code < 0 or self.exit_code >= _SIGNALS


def parse_transcript(text: str, exit_code: int | None = None) -> Transcript:
    """Parses a driver's output. `exit_code`: the recorded logs end with it, a fresh run is given it."""
    missing: list[str] = []
    steps: list[Step] = []
    answers: list[str] = []
    lines: list[LibraryLine] = []
    call: str | None = None

    def close() -> None:
        if call is not None:
            steps.append(Step(call, tuple(answers), tuple(lines)))
        answers.clear()
        lines.clear()

    for line in text.splitlines():
        library, ended = _LIBRARY_LINE.match(line), _EXIT.fullmatch(line)
        if line.startswith(">>> "):
            close()
            call = line[4:].strip()
        elif library:
            lines.append(LibraryLine(library[1], library[2].rstrip()))
        elif ended:
            exit_code = int(ended[1])
        elif call is None and line.startswith("missing "):
            missing.append(line.partition(" ")[2])
        elif line.strip() and not line.startswith("qemu: ") and call is not None:
            answers.append(line.rstrip())
    close()
    if exit_code is None:
        raise ValueError("the transcript does not say how the driver ended")
    return Transcript(tuple(missing), tuple(steps), exit_code)
