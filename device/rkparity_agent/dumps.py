"""What a run left in its dump folder: every file, what is odd about it, and what the log promised in vain."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rkparity_agent import native
from rkparity_agent.events import AgentFailure
from rkparity_agent.folders import MARKER, free_nbytes

_LITTLE_SPACE_NBYTES = 1 << 20


def listing(folder: Path, promised: Iterable[str]) -> dict[str, Any]:
    """The protocol's "dumps", "missing_dumps" and "dump_problems" of a folder.

    `promised` are the names the runtime's log says it wrote. A file is a problem when it is no whole `.npy`; the text
    tensors of RKNN_DUMP_TXT_TENSOR are listed as they are.
    """
    dumps: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    with os.scandir(str(folder)) as entries:
        found = sorted((entry for entry in entries if entry.name != MARKER), key=lambda entry: entry.name)
        for entry in found:
            if not entry.is_file(follow_symlinks=False):
                problems.append({"file": entry.name, "problem": "is not a regular file"})
                continue
            dumps.append({"file": entry.name, "nbytes": entry.stat(follow_symlinks=False).st_size})
            problem = _problem(entry.path, entry.name)
            if problem:
                problems.append({"file": entry.name, "problem": problem})
    names = {dump["file"] for dump in dumps}
    missing = sorted(set(promised) - names)
    if (problems or missing) and free_nbytes(folder) < _LITTLE_SPACE_NBYTES:
        problems.append({"file": ".", "problem": f"the file system is full ({free_nbytes(folder)} bytes free)"})
    return {"dumps": dumps, "missing_dumps": missing, "dump_problems": problems}


def _problem(path: str, name: str) -> str:
    if name.endswith(".tensor"):
        return ""
    if not name.endswith(".npy"):
        return "is not a dump (.npy)"
    try:
        native.NpyFile(path)
    except AgentFailure as failure:
        return failure.message.replace(f"{path}: ", "", 1)
    return ""
