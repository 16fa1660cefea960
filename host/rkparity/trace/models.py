"""Which models the traces of a program name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rkparity.errors import RkparityError
from rkparity.runs import ModelRecord
from rkparity.trace.reader import read_trace


def traced_models(traces: Sequence[Path]) -> tuple[ModelRecord, ...]:
    """The models whose digest is known, each once, in the order they were loaded; a damaged trace names none."""
    found: dict[str, ModelRecord] = {}
    for path in traces:
        try:
            contexts = read_trace(path).contexts
        except RkparityError:
            continue
        for context in contexts:
            given = context.model
            if given is not None and given.sha256:
                name = Path(given.path or "").name or "unknown"
                found.setdefault(given.sha256, ModelRecord(name, given.sha256))
    return tuple(found.values())
