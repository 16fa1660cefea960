"""One line of the benchmark's table, and how times are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class NotMeasured(Exception):
    """Something a row needs is not on this machine."""


@dataclass(frozen=True)
class Row:
    """`met` is None for a line without a budget, which only explains the others."""

    name: str
    figure: str
    budget: str = ""
    met: bool | None = None


def fastest(*functions: Callable[[], object], rounds: int) -> list[float]:
    """Each function's shortest time in seconds, the functions taking turns so that a busy machine slows all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, times):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]
