"""One form for the toolkit's ways of failing: it raises, returns -1 or returns None (the parent sees it die)."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any, Callable


class JobFailed(Exception):
    """A job that failed: which toolkit call, how ("raised", "code", "none", "argument"), and its message."""

    def __init__(self, kind: str, call: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.call = call
        self.message = message

    def to_json(self) -> dict[str, Any]:
        """The failure as plain JSON values."""
        return {"kind": self.kind, "call": self.call, "message": self.message}


class ToolkitCall:
    """Turns whatever the toolkit raises inside the block into JobFailed naming `call`."""

    def __init__(self, call: str) -> None:
        self.call = call

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, (Exception, SystemExit)) or isinstance(error, JobFailed):
            return
        traceback.print_exception(type(error), error, trace)
        raise JobFailed("raised", self.call, last_line(str(error)) or type(error).__name__) from None


def call_toolkit(call: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls the toolkit; JobFailed when it raises or returns a code other than 0."""
    result: Any = None
    with ToolkitCall(call):
        result = function(*args, **kwargs)
    if isinstance(result, int) and not isinstance(result, bool) and result != 0:
        raise JobFailed("code", call, f"returned {result}")
    return result


def last_line(text: str) -> str:
    """The last line that says something: rknn-toolkit2 raises ValueError with a whole traceback as its text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return last[len("ValueError: ") :] if last.startswith("ValueError: ") else last
