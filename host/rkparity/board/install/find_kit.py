"""The kit for a board: where kits are looked for, and one of this machine where there is none."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from rkparity.board.install.build_kit import local_kit
from rkparity.board.install.kit import Kit, normal_arch, read_kit
from rkparity.errors import BoardError

KITS_ENVIRONMENT = "RKPARITY_KITS"


def find_kit(machine: str, *, scratch: Path) -> Kit:
    """The kit for a board's `uname -m`; for this machine's own architecture one is put together in `scratch`.

    Looked for in $RKPARITY_KITS, the installed package, and dist/kits of a checkout. Raises BoardError when there is
    none.
    """
    arch = normal_arch(machine)
    looked = []
    for folder in _kit_folders():
        looked.append(str(folder))
        for manifest in sorted(folder.glob("*/kit.json")):
            kit = read_kit(manifest.parent)
            if kit.arch == arch:
                return kit
    if arch == normal_arch(platform.machine()):
        return local_kit(scratch / "kit")
    raise BoardError(
        f"there is no board kit for {machine} (looked in {', '.join(looked)})",
        hint=f"build it with scripts/build-kit --arch {'armhf' if arch == 'armv7l' else arch}, or name its folder's "
        f"parent in {KITS_ENVIRONMENT}",
    )


def _kit_folders() -> Iterator[Path]:
    named = os.environ.get(KITS_ENVIRONMENT)
    if named:
        yield Path(named)
    board = Path(__file__).resolve().parents[1]
    yield board / "kits"
    # Run from the source tree, or installed into the checkout's own .venv as scripts/setup does.
    for checkout in (board.parents[2], Path(sys.prefix).parent):
        if (checkout / "pyproject.toml").is_file():
            yield checkout / "dist" / "kits"
