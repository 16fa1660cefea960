"""Snapshots of the real toolkit, unpacked for a test."""

from __future__ import annotations

import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data" / "toolkit"


def unpack_case(case: str, folder: Path) -> Path:
    """The folder of evidence case `case`, unpacked under `folder`."""
    with zipfile.ZipFile(DATA / f"{case}.zip") as archive:
        archive.extractall(folder)
    return folder / case
