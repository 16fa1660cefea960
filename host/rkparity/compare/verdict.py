"""The words a comparison uses: verdicts, and whether an error is a layer's own."""

from __future__ import annotations

import enum


class Verdict(str, enum.Enum):
    """What a threshold makes of scores."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    """Different from what an exact board would give, but by no more than rounding and quantisation explain."""
    FAIL = "fail"
    NOT_COMPARED = "not-compared"
    """Nothing could be said; the reason is given."""


class Origin(str, enum.Enum):
    """Where a failing layer's error comes from."""

    NONE = ""
    OWN = "own"
    """Everything the layer reads is good, its output is not."""
    INHERITED = "inherited"
    """Something the layer reads has failed already."""
    INHERITED_BY_ORDER = "inherited-by-order"
    """Without the compiled model's node list: something before it in execution order has failed already."""
