"""Questions on a terminal that are asked again until the answer can be used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rkparity.errors import RkparityError, UsageError

T = TypeVar("T")


def ask(question: str, read: Callable[[str], T]) -> T:
    """Asks until `read` takes the answer; what it raises is shown. UsageError at the end of the input."""
    while True:
        try:
            answer = input(f"{question}: ")
        except EOFError:
            raise UsageError("the answers ended before all was asked", hint="give the rest by options") from None
        try:
            return read(answer.strip())
        except RkparityError as error:
            print(f"  {error.message}", file=sys.stderr)


def existing_files(text: str) -> list[Path]:
    """Paths separated by commas or blanks, with ~ and quotes as a shell has them; each must be a file."""
    import shlex

    try:
        names = shlex.split(text.replace(",", " "))
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from None
    paths = [Path(name).expanduser() for name in names]
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: is not a file")
    return paths


def some_files(text: str) -> list[Path]:
    """The same, at least one."""
    paths = existing_files(text)
    if not paths:
        raise UsageError("a file is needed")
    return paths


def one_file(text: str) -> Path:
    """Exactly one."""
    paths = existing_files(text)
    if len(paths) != 1:
        raise UsageError("one file is needed")
    return paths[0]


def numbers(text: str) -> tuple[float, ...]:
    """Numbers separated by commas or blanks; none is fine."""
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise UsageError(f"{text!r}: must be numbers separated by commas, such as 127.5,127.5,127.5") from None
