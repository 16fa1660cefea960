"""The entries of the catalogue, one file for each kind; `ALL` is every one."""

from __future__ import annotations

from rkparity.findings.cause import CatalogueEntry
from rkparity.findings.causes import (
    log_calls,
    log_layers,
    log_values,
)

ALL: tuple[CatalogueEntry, ...] = (
    *log_values.CAUSES,
    *log_calls.CAUSES,
    *log_layers.CAUSES,
)
