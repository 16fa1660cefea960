"""Finding the validation layer's library for a board's architecture on this machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from rkparity.board.install.find_kit import find_kit
from rkparity.board.install.kit import normal_arch
from rkparity.errors import BoardError, UsageError

LAYER_NAME = "librkparity_layer.so"
LAYER_VARIABLE = "RKPARITY_LAYER_LIBRARY"
_IN_KIT = f"lib/{LAYER_NAME}"


def find_layer(machine: str, *, scratch: Path) -> Path:
    """The layer for a board's `uname -m`: what $RKPARITY_LAYER_LIBRARY names, a board kit's, or the installed one.

    Raises UsageError when the variable names no file, BoardError when there is none for this architecture.
    """
    named = os.environ.get(LAYER_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise UsageError(f"{LAYER_VARIABLE}={named}: no such file")
        return Path(named)
    arch = normal_arch(machine)
    local = arch == normal_arch(platform.machine())
    installed = _installed() if local else None
    if installed is not None:
        return installed
    try:
        kit = find_kit(machine, scratch=scratch)
    except BoardError as error:
        raise _none(machine, error.hint) from error
    if _IN_KIT not in kit.files:
        raise _none(machine, "build the kit again with scripts/build-kit")
    return kit.path / _IN_KIT


def _installed() -> Path | None:
    here = Path(__file__).resolve().parents[2]
    folders = [here, *(Path(entry) / "rkparity" for entry in sys.path if entry)]
    return next((path for folder in folders if (path := folder / "layer" / LAYER_NAME).is_file()), None)


def _none(machine: str, hint: str) -> BoardError:
    return BoardError(
        f"there is no validation layer for {machine}", hint=f"{hint}; or run without a trace: --no-trace".lstrip("; ")
    )
