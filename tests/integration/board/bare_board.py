"""A board without Python: the tools that busybox has, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path


def path_without_python(tmp_path: Path) -> str:
    """A PATH of links in a new folder of `tmp_path`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "sh",
        "cat",
        "ls",
        "find",
        "stat",
        "tar",
        "mkdir",
        "mv",
        "rm",
        "cp",
        "tr",
        "grep",
        "sed",
        "head",
        "tail",
        "df",
        "awk",
        "uname",
        "date",
        "dirname",
        "sha256sum",
        "env",
        "test",
        "printf",
        "sleep",
        "chmod",
    ):
        (folder / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or f"/usr/bin/{name}")
    return str(folder)
