"""What a stage works with: the project, the store, one toolkit worker, a way to the board, earlier results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.flow.result import Stage, StageResult
from rkparity.flow.store import Store
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.worker_client import Worker

if TYPE_CHECKING:
    from rkparity.board.link.transport import Transport
    from rkparity.project import Project

Say = Callable[[str], None]


@dataclass(frozen=True)
class BoardAccess:
    """A way to a board: `connect` opens it, `name` is for people, `library` is librknnrt on it if not in its place."""

    name: str
    connect: Callable[[], AbstractContextManager[Transport]]
    library: str | None = None
    work_dir: str | None = None


class Context:
    """A context manager: the toolkit worker is started when first used and ended with the block.

    `say` gets one line per step that takes time. `results` are those of the stages before, as far as known. `board` is
    None when the project has none.
    """

    def __init__(
        self,
        project: Project,
        store: Store,
        *,
        say: Say | None = None,
        board: BoardAccess | None = None,
        toolkit_python: Path | None = None,
        timeout_s: float = 1800.0,
    ) -> None:
        self.project = project
        self.store = store
        self.say: Say = say or (lambda line: None)
        self.board = board
        self.results: dict[Stage, StageResult] = {}
        self._toolkit_python = toolkit_python
        self._timeout_s = timeout_s
        self._worker: Worker | None = None

    @property
    def worker(self) -> Worker:
        """The shared worker; started anew when the last one died. ToolkitError when there is no toolkit."""
        if self._worker is None:
            self._worker = Worker(self.toolkit_python, timeout_s=self._timeout_s)
        return self._worker

    @property
    def toolkit_python(self) -> Path:
        """The toolkit's interpreter, for further workers; ToolkitError when there is none."""
        return find_toolkit_python(self._toolkit_python)

    @property
    def toolkit_version(self) -> str:
        """The version of rknn-toolkit2 in use."""
        return self.worker.toolkit_version

    def with_project(self, project: Project) -> Context:
        """The same context (worker, store, results) for other settings; it must not outlive this one."""
        other = Context(
            project,
            self.store,
            say=self.say,
            board=self.board,
            toolkit_python=self._toolkit_python,
            timeout_s=self._timeout_s,
        )
        other._worker = self.worker
        other.results = self.results
        return other

    def restart_worker(self) -> None:
        """Ends the worker: the next use starts another. For after it died or hung."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def versions(self) -> dict[str, Any]:
        """What every result depends on beside the project: rkparity's and the toolkit's version."""
        from rkparity import __version__

        return {"rkparity": __version__, "toolkit": self.toolkit_version}

    def earlier_failures(self, stage: Stage) -> Sequence[StageResult]:
        """The results before `stage` that fail."""
        from rkparity.flow.result import StageVerdict

        order = list(Stage)
        return [
            self.results[item]
            for item in order[: order.index(stage)]
            if item in self.results and self.results[item].verdict is StageVerdict.FAIL
        ]

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restart_worker()
