"""Run against run: names, alignment, scores, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rkparity.compare.comparison import Comparison
    from rkparity.compare.pipeline import compare_runs

__all__ = ["Comparison", "compare_runs"]


def __getattr__(name: str) -> Any:
    # The kernels are loaded when something is compared, not when a threshold file is read.
    if name == "compare_runs":
        from rkparity.compare.pipeline import compare_runs

        return compare_runs
    if name == "Comparison":
        from rkparity.compare.comparison import Comparison

        return Comparison
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
