"""Sequences of calls: those every program makes, those with one mistake, and random ones from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

START, END = ("init,0", "query,0,0"), ("destroy",)
GENERAL = ("set,-1,-1,0,100", "run", "get,1,-1", "release")
ZERO_COPY = ("bindin,-1,-1,0", "bindout,-1,-1", "run", "read")
QUERIES = tuple(f"query,{command},0" for command in (1, 2, 8, 9, 10, 11))
MISTAKES = (
    "query,1,9",
    "query,99,0",
    "query,14,0",
    "query,16,0",
    "query,13,0",
    "set,3,1,0,50",
    "set,3,1,0,120",
    "set,0,1,0,25",
    "set,4,1,0,100",
    "set,6,1,0,100",
    "set,2,1,0,100",
    "set,1,1,0,100",
    "set,3,3,0,100",
    "set,-1,-1,1,100",
    "get,0,-1",
    "get,1,7",
    "get,1,0",
    "wait",
    "core,1",
    "core,3",
    "core,7",
    "core,99",
    "run",
    "bindin,0,1,0",
    "bindin,2,1,0",
    "bindin,1,1,0",
    "bindin,3,2,0",
    "bindin,3,1,1",
    "bindout,0,0",
    "bindout,0,1",
    "bindout,2,1",
    "bindout,1,0",
    "bindout,3,0",
    "bindout,2,2",
)
_STEPS = (*GENERAL, *ZERO_COPY, *QUERIES, "get,0,-1", "set,0,1,0,100", "set,0,3,0,100")


def hand_made() -> Iterator[tuple[str, ...]]:
    """The two usual ways, then every mistake before, between and after the calls of each."""
    yield (*START, *QUERIES, *GENERAL, *END)
    yield (*START, *QUERIES, *ZERO_COPY, *END)
    for mistake in MISTAKES:
        yield (*START, mistake, *GENERAL, *END)
        yield (*START, *GENERAL[:2], mistake, *GENERAL[2:], *END)
        yield (*START, *ZERO_COPY[:2], mistake, *ZERO_COPY[2:], *END)


def drawn(seed: int) -> Iterator[tuple[str, ...]]:
    """Random sequences without end; outputs are never released twice, which kills the real library."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, no secret
    while True:
        calls, held = [], False
        for _ in range(chance.randint(2, 9)):
            call = chance.choice(MISTAKES if chance.random() < 0.3 else _STEPS)
            if call == "release" and not held:
                continue
            held = call.startswith("get") or (held and call != "release")
            calls.append(call)
        yield (*START, *calls, *END)
