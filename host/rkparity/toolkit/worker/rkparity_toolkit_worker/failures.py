"""One form for the toolkit's ways of failing: it raises, returns -1 or returns None (the parent sees it die)."""

from __future__ import annotations

import importlib
import sys
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
        raise JobFailed("raised", self.call, str(error).strip() or type(error).__name__) from None


def call_toolkit(call: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls the toolkit; JobFailed when it raises or returns a code other than 0."""
    result: Any = None
    with ToolkitCall(call):
        result = function(*args, **kwargs)
    if isinstance(result, int) and not isinstance(result, bool) and result != 0:
        raise JobFailed("code", call, f"returned {result}")
    return result


def need_package(module: str, title: str, option: str, model: str) -> None:
    """JobFailed with what to run when `module` is not installed in this environment.

    The worker knows its environment by its folder only; `setup-toolkit --dest` adds to what is in a folder.
    """
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise JobFailed("missing", "", f"{title} is installed and cannot be imported: {error}") from error
        raise JobFailed(
            "missing",
            "",
            f"{model} models need {title}, which this toolkit environment does not have: run "
            f"`rkparity setup-toolkit {option} --dest {sys.prefix}`",
        ) from error
    except ImportError as error:
        raise JobFailed("missing", "", f"{title} is installed and cannot be imported: {error}") from error


def need_torch() -> None:
    """The same for PyTorch, in whose place a stand-in may be."""
    need_package("torch", "PyTorch", "--with-torch", "PyTorch")
    if not hasattr(importlib.import_module("torch"), "jit"):
        raise JobFailed(
            "missing",
            "",
            "PyTorch models need PyTorch, and this toolkit environment has rkparity's small stand-in for it: run "
            f"`rkparity setup-toolkit --with-torch --dest {sys.prefix}`",
        )
