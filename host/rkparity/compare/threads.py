"""One function over many items in a few threads, this one among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def in_threads(function: Callable[[Item], Value], items: Sequence[Item], threads: int) -> list[Value]:
    """`function` of every item, in the order of `items`. They are taken up in that order: the longest belong first.

    An exception ends it: what is being worked on is finished, nothing more is taken up, and the exception is raised.
    """
    waiting = deque(enumerate(items))
    values: dict[int, Value] = {}

    def work() -> None:
        try:
            while waiting:
                try:
                    number, item = waiting.popleft()
                except IndexError:  # another thread was quicker
                    return
                values[number] = function(item)
        finally:
            waiting.clear()

    helpers = min(threads, len(items)) - 1
    if helpers < 1:
        work()
    else:
        with ThreadPoolExecutor(helpers) as pool:
            futures = [pool.submit(work) for _ in range(helpers)]
            work()
            for future in futures:
                future.result()
    return [values[number] for number in range(len(items))]
