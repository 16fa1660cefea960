"""The error and warning lines of librknnrt's log, and the dumps it says it wrote.

The library answers several failures with success and one line. What a line means is said by the host, which reads the
same log whoever ran; here lines are only passed on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINES_TOLD = 40
_MAX_LINE_NBYTES = 4000
_LINE = re.compile(r"^([EWID]) RKNN: (?:\[[0-9:.]+\] )?(.*)$")
_DUMPED = re.compile(r"dump npy tensor to: (.*)$")


@dataclass(frozen=True)
class RuntimeLog:
    """The lines of a runtime's log that matter: `dumped` are base names of the dump files it says it wrote."""

    messages: tuple[tuple[str, str], ...]
    dumped: tuple[str, ...]
    tail: tuple[str, ...]

    @classmethod
    def read(cls, *paths: Path) -> RuntimeLog:
        """Reads captured output; lines that are not the library's only count for `tail`."""
        messages: list[tuple[str, str]] = []
        dumped: dict[str, None] = {}
        tail: list[str] = []
        for path in paths:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                for raw in iter(lambda: file.readline(_MAX_LINE_NBYTES), b""):
                    line = raw.decode("utf-8", "replace").rstrip("\r\n")
                    found = _DUMPED.search(line)
                    if found:
                        dumped[found.group(1).rsplit("/", 1)[-1]] = None
                    parts = _LINE.match(line)
                    if parts and parts.group(1) in "EW":
                        messages.append((parts.group(1), parts.group(2)))
                    if line:
                        tail = [*tail[-9:], line]
        return cls(tuple(messages), tuple(dumped), tuple(tail))

    def to_json(self) -> list[dict[str, Any]]:
        """Error and warning lines, the same text once with its count, errors first; at most MAX_LINES_TOLD of them."""
        counts: dict[tuple[str, str], int] = {}
        for entry in self.messages:
            counts[entry] = counts.get(entry, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: item[0][0] != "E")[:MAX_LINES_TOLD]
        return [
            {"level": "error" if level == "E" else "warning", "message": message, "count": count}
            for (level, message), count in ordered
        ]
