"""How far a transfer or a run is: who wants to know passes a Reporter."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from rkparity.console import printable

_PLAIN_EVERY_S = 5.0


class Reporter:
    """Says nothing; what library callers get by default."""

    def begin(self, what: str, total_nbytes: int, *, done_nbytes: int = 0) -> None:
        """A transfer of `total_nbytes` begins, of which `done_nbytes` are here already."""

    def advance(self, nbytes: int) -> None:
        """So many bytes more have been moved."""

    def end(self) -> None:
        """The transfer has ended."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class PlainReporter(Reporter):
    """Lines on standard error; at most one every five seconds during a transfer."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._what = ""
        self._total = self._done = self._moved = 0
        self._start = self._last = 0.0

    def begin(self, what: str, total_nbytes: int, *, done_nbytes: int = 0) -> None:
        """Starts counting."""
        self._what, self._total, self._done, self._moved = what, total_nbytes, done_nbytes, 0
        self._start = self._last = time.monotonic()

    def advance(self, nbytes: int) -> None:
        """Counts, and says so when it is time to."""
        self._done += nbytes
        self._moved += nbytes
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            rate = self._moved / (now - self._start)
            left = (self._total - self._done) / rate if rate > 0 else 0.0
            self.note(
                f"{self._what}: {size_text(self._done)} of {size_text(self._total)}, {size_text(rate)}/s, "
                f"{left:.0f} s left"
            )

    def note(self, text: str) -> None:
        """One line."""
        print(printable(text), file=self._stream, flush=True)


def size_text(nbytes: float) -> str:
    """A byte count for people: `1.5 MB`, powers of 1000."""
    value = float(nbytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
