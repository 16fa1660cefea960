"""Values that mean nothing: what the virtual board answers for a model that the toolkit cannot build again."""

from __future__ import annotations

VOID_MARK = "VOID VALUES"
"""In the emulated runtime's log and in its version (csrc/emulator/model.h)."""

VOID_WARNING = (
    "VOID VALUES: the virtual board had no build record of the model: its outputs were zeros and no layer was dumped; "
    "only the calls mean something (`rkparity lint`)"
)
