"""in_threads: every item once, in order, and an exception ends it."""

from __future__ import annotations

import threading
import time

import pytest

from rkparity.compare.threads import in_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_values_are_in_the_order_of_the_items(threads: int, n: int) -> None:
    assert in_threads(lambda item: item * item, list(range(n)), threads) == [item * item for item in range(n)]


def test_two_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    assert in_threads(lambda item: both.wait() >= 0, [1, 2], 2) == [True, True]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_is_raised_and_no_more_items_are_taken(threads: int) -> None:
    taken = []

    def fail_at_three(item: int) -> int:
        taken.append(item)
        if item == 3:
            raise ValueError("three")
        time.sleep(0.001)
        return item

    with pytest.raises(ValueError, match="three"):
        in_threads(fail_at_three, list(range(1000)), threads)
    assert len(taken) < 1000
