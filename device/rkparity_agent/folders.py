"""Folders the agent makes: fresh for each run, marked as its own, so that `clean` and re-runs touch nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rkparity_agent.events import AgentFailure, usage

MARKER = ".rkparity-run"
"""A folder that holds this file was made by rkparity and may be emptied or removed by it."""


def make_fresh(path: str, what: str) -> Path:
    """Makes an empty, marked, writable folder; raises AgentFailure when that is not possible.

    A folder that exists is used when it is empty, and emptied when rkparity made it; anything else is refused, because
    librknnrt overwrites files of the same name and leaves those of other models (evidence 160_repeat).
    """
    folder = Path(path)
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise usage(f"{what} {path} exists and is not a folder", "name a folder that does not exist yet")
        if folder.is_dir() and any(folder.iterdir()):
            if not (folder / MARKER).is_file():
                raise usage(
                    f"{what} {path} is not empty and was not made by rkparity",
                    "name a folder that does not exist yet, or empty it yourself",
                )
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text("made by rkparity; removed by rkparity clean\n", encoding="utf-8")
    except OSError as error:
        raise AgentFailure(
            "environment",
            f"{what} {path} cannot be written: {error.strerror}",
            hint="name a folder on a file system that is writable and has space, such as /tmp",
        ) from error
    return folder


def free_nbytes(folder: Path) -> int:
    """Bytes an ordinary user may still write on the folder's file system."""
    status = os.statvfs(str(folder))
    return status.f_bavail * status.f_frsize


def require_space(folder: Path, nbytes: int, what: str) -> None:
    """Raises AgentFailure when less than `nbytes` are free where `folder` is."""
    free = free_nbytes(folder)
    if free < nbytes:
        raise AgentFailure(
            "environment",
            f"{what} {folder} has {free} bytes free; this run needs at least {nbytes}",
            hint="free space on the board or name a dump folder on another file system",
        )


def is_ours(folder: Path) -> bool:
    """True for a folder that carries the marker itself or in a folder directly inside it."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if (folder / MARKER).is_file():
        return True
    return any((child / MARKER).is_file() for child in folder.iterdir() if child.is_dir() and not child.is_symlink())
