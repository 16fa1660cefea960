"""Reads requests, runs jobs, answers; keeps the toolkit away from both channels."""

from __future__ import annotations

import json
import os
import traceback
from types import TracebackType
from typing import Any, Callable

from rkparity_toolkit_worker.failures import JobFailed


class Outcome:
    """Runs a block to its end whatever the toolkit raises in it, and keeps the failure.

    This is the boundary of the process: rknn-toolkit2 raises what its libraries raise, SystemExit included, and every
    one of them must become an answer. KeyboardInterrupt passes.
    """

    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None

    def __enter__(self) -> Outcome:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if isinstance(error, JobFailed):
            self.error = error.to_json()
            return True
        if isinstance(error, (Exception, SystemExit)):
            traceback.print_exception(type(error), error, trace)
            self.error = {"kind": "worker", "call": "", "message": f"{type(error).__name__}: {error}"}
            return True
        return False


def serve(response_fd: int) -> int:
    """Answers requests until `quit` or the end of the requests; returns the exit code."""
    # The toolkit, and the adb server it may leave behind, must hold neither end of our channels: both are private
    # descriptors (not inheritable), and 0 is nothing.
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.set_inheritable(response_fd, False)
    responses = os.fdopen(response_fd, "w", encoding="utf-8")

    def answer(value: dict[str, Any]) -> None:
        responses.write(json.dumps(value) + "\n")
        responses.flush()

    jobs: dict[str, Callable[..., Any]] = {}
    with Outcome() as start:
        # Here and not at the top: importing the toolkit takes its time and can fail, and that too is an answer.
        from rkparity_toolkit_worker.jobs import Jobs

        jobs = Jobs().table()
    for line in requests:
        request = json.loads(line)
        name = request.pop("job")
        if name == "quit":
            answer({"ok": True, "result": None})
            return 0
        if start.error is not None:
            answer({"ok": False, "error": start.error})
            continue
        result: Any = None
        with Outcome() as outcome:
            result = jobs[name](**request)
        if outcome.error is not None:
            answer({"ok": False, "error": outcome.error})
        else:
            answer({"ok": True, "result": result})
    return 0
