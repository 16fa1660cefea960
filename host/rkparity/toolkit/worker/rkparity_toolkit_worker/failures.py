"""One form for the toolkit's four ways of failing: it raises, returns -1, returns None, or (seen by the parent) dies."""

from __future__ import annotations

import traceback
from typing import Any, Callable, Dict, Optional, Type

from types import TracebackType


class JobFailed(Exception):
    """A job that failed: which toolkit call, how ("raised", "code", "none", "argument"), and its message."""

    def __init__(self, kind: str, call: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.call = call
        self.message = message

    def to_json(self) -> Dict[str, Any]:
        """The failure as plain JSON values."""
        return {"kind": self.kind, "call": self.call, "message": self.message}


class ToolkitCall:
    """Turns whatever the toolkit raises inside the block into JobFailed naming `call`."""

    def __init__(self, call: str) -> None:
        self.call = call

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> bool:
        if not isinstance(error, (Exception, SystemExit)) or isinstance(error, JobFailed):
            return False
        traceback.print_exception(type(error), error, trace)
        raise JobFailed("raised", self.call, last_line(str(error)) or type(error).__name__) from None


def call_toolkit(call: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls the toolkit; JobFailed when it raises or returns a code other than 0."""
    result: Any = None
    with ToolkitCall(call):
        result = function(*args, **kwargs)
    if isinstance(result, int) and not isinstance(result, bool) and result != 0:
        raise JobFailed("code", call, "returned {}".format(result))
    return result


def last_line(text: str) -> str:
    """The last line that says something: rknn-toolkit2 raises ValueError with a whole traceback as its text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
