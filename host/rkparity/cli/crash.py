"""What is left of a failure that rkparity did not expect: one line for the user, a report file for its makers."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from rkparity import __version__
from rkparity.console import printable
from rkparity.errors import RkparityError
from rkparity.io import write_text

_ISSUE = "please send it with a bug report"
_PACKAGES = ("numpy", "onnxruntime", "onnx", "paramiko", "rich", "cffi")
# Enough for a deep recursion's two ends; a report is for reading.
_MAX_TRACEBACK_NCHARS = 60_000


class UnexpectedError(RkparityError):
    """A failure without a message of its own, turned into one; exit code 3, never 1, which means a divergence."""


def unexpected(command: str, arguments: Sequence[str], error: Exception) -> UnexpectedError:
    """The one line and hint for `error` in `rkparity command`, after keeping a report of it.

    The report holds versions, the command line and the traceback, nothing of the environment or of file contents. It
    goes to the current folder, or where temporary files go when that takes none.
    """
    text = "\n".join(_report(command, arguments, error)) + "\n"
    name = f"rkparity-crash-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.monotonic_ns() % 1_000_000:06d}.txt"
    message = f"{command} met something it does not expect: {_in_one_line(error)}"
    for folder in (Path(), Path(tempfile.gettempdir())):
        try:
            write_text(folder / name, text)
        except (RkparityError, OSError, ValueError):
            continue
        return UnexpectedError(message, hint=f"the report {folder / name} was kept; {_ISSUE}")
    return UnexpectedError(
        message, hint="no report could be written: neither here nor in the folder for temporary files"
    )


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _report(command: str, arguments: Sequence[str], error: Exception) -> Iterator[str]:
    yield f"rkparity {__version__}, command {command}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for package in _PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    yield "arguments " + printable(repr(list(arguments)))
    yield "encoding " + f"{sys.getfilesystemencoding()}, standard output {getattr(sys.stdout, 'encoding', None)}"
    yield ""
    try:
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except (RecursionError, MemoryError, ValueError):
        lines = f"the traceback could not be written: {type(error).__name__}"
    if len(lines) > _MAX_TRACEBACK_NCHARS:
        half = _MAX_TRACEBACK_NCHARS // 2
        lines = f"{lines[:half]}\n ... {len(lines) - 2 * half} characters left out ...\n{lines[-half:]}"
    yield printable(lines, keep="\n")
