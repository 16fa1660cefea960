"""Where librknnrt is on a board, and which version a file of it is, without opening it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rkparity_agent.events import AgentFailure

LIBRARY_ENVIRONMENT = "RKPARITY_LIBRKNNRT"
NAMES = ("librknnrt.so", "librknnmrt.so")
USUAL_FOLDERS = (
    "/usr/lib",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/arm-linux-gnueabihf",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/oem/usr/lib",
    "/vendor/lib64",
    "/vendor/lib",
    "/system/lib64",
    "/system/lib",
)
_VERSION = re.compile(rb"librknnm?rt version: ?([0-9][^\0\n]{0,100})")
_CHUNK = 1 << 18
_OVERLAP = 256


def candidates() -> Iterator[Path]:
    """Library files that exist, each once: $RKPARITY_LIBRKNNRT, $LD_LIBRARY_PATH, then the usual folders."""
    seen: set[str] = set()
    named = os.environ.get(LIBRARY_ENVIRONMENT)
    folders = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    paths = [Path(named)] if named else []
    paths += [Path(folder) / name for folder in (*folders, *USUAL_FOLDERS) for name in NAMES]
    for path in paths:
        real = os.path.realpath(str(path))
        if real not in seen and Path(real).is_file():
            seen.add(real)
            yield path


def choose_library(explicit: str | None) -> str | None:
    """The library to open: the one named, else the first candidate, else None (the dynamic linker searches).

    Raises AgentFailure when the one named by argument or $RKPARITY_LIBRKNNRT does not exist.
    """
    named = explicit or os.environ.get(LIBRARY_ENVIRONMENT)
    if named:
        if not Path(named).is_file():
            origin = "" if explicit else f" (from {LIBRARY_ENVIRONMENT})"
            raise AgentFailure("library", f"{named}{origin}: no such file", hint="name the board's librknnrt.so")
        # dlopen would search for a bare name instead of opening the file.
        return os.path.abspath(named)  # noqa: PTH100
    return next((str(path) for path in candidates()), None)


def version_text(path: Path) -> str | None:
    """The version a library file carries ("2.3.2 (429f97ae6b@2025-04-09)"); None when it says none or is unreadable."""
    try:
        with path.open("rb") as file:
            kept = b""
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                found = _VERSION.search(kept + chunk)
                if found:
                    return found.group(1).decode("utf-8", "replace").strip()
                kept = chunk[-_OVERLAP:]
    except OSError:
        return None
    return None
