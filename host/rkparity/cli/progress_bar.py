"""The progress bar of the commands that move files: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rkparity.board.files.progress import PlainReporter, Reporter
from rkparity.console import printable, unescaped

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class BarReporter(Reporter):
    """A bar of rich on standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=unescaped(sys.stderr))
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, what: str, total_nbytes: int, *, done_nbytes: int = 0) -> None:
        """Shows the bar."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self.end()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total_nbytes, completed=done_nbytes)

    def advance(self, nbytes: int) -> None:
        """Moves the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, nbytes)

    def end(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, text: str) -> None:
        """One line above the bar."""
        self._console.print(printable(text), markup=False, highlight=False)


def reporter() -> Reporter:
    """The bar on a terminal, plain lines elsewhere."""
    return BarReporter() if sys.stderr.isatty() else PlainReporter()
