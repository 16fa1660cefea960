"""The one line of rknn-toolkit2's text that names the cause: it raises whole tracebacks and prints much around them."""

from __future__ import annotations

import re

_TRACEBACK = "Traceback (most recent call last)"
_RECORD = re.compile(r"([EWID]) (.*)")
_CALL = re.compile(r"\w+: ")
# The first comes with every successful build, the second with every failure.
_NOISE = ("Unkown op target", "rknn-toolkit2 version:")


def raised_line(text: str) -> str:
    """Of an exception's text: in a traceback the exception's own line, not the last of its message; else the last line.

    A line that ends in a colon is told with the one after it.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if any(_TRACEBACK in line for line in lines):
        frames = [index for index, line in enumerate(lines) if line.startswith('  File "') or _TRACEBACK in line]
        after = [index for index in range(frames[-1] + 1, len(lines)) if not lines[index].startswith(" ")]
        if after:
            return _with_next(lines, after[0]).removeprefix("ValueError: ")
    return lines[-1].strip().removeprefix("ValueError: ") if lines else ""


def logged_line(text: str) -> str:
    """Of what the toolkit printed, without colours: its last error, else a warning of a failure, else its end."""
    records: list[tuple[str, str]] = []
    for line in text.splitlines():
        found = _RECORD.fullmatch(line)
        if found:
            records.append((found.group(1), found.group(2)))
        elif records:
            records[-1] = (records[-1][0], f"{records[-1][1]}\n{line}")
    errors = [body for kind, body in records if kind == "E" and not any(noise in body for noise in _NOISE)]
    if errors:
        # A traceback comes as one record, or as one record a line, each with the call's name before it.
        joined = "\n".join(_CALL.sub("", body, count=1) if _TRACEBACK in text else body for body in errors)
        return raised_line(joined) if _TRACEBACK in joined else _with_next(errors[-1].splitlines(), 0)
    warnings = [body for kind, body in records if kind == "W" and re.search(r"fail|error", body, re.IGNORECASE)]
    if warnings:
        return _with_next(warnings[-1].splitlines(), 0)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _with_next(lines: list[str], index: int) -> str:
    line = lines[index].strip()
    following = [item.strip() for item in lines[index + 1 :] if item.strip()]
    return f"{line} {following[0]}" if line.endswith(":") and following else line
