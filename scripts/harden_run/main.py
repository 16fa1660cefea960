"""Runs rkparity many times on what users and attackers may give it, and counts how the invocations end.

Areas: `commands` (arguments: wrong files, values, names, devices), `values` (one JSON value, text or byte of a good
specimen changed). An unexpected error, a traceback, a hang, an exit code that means something else, a raw control
character or a file changed that was not to be is a fault; any fault makes the exit code 1.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cases
import judge
import workspace


@dataclass(frozen=True)
class Area:
    """What was done in one area."""

    name: str
    n_invocations: int
    codes: collections.Counter[str]
    faults: list[tuple[str, str, list[str]]]


def play(name: str, invocations: Iterator[cases.Invocation], folder: Path) -> Area:
    """Runs the invocations and judges each."""
    codes: collections.Counter[str] = collections.Counter()
    faults: list[tuple[str, str, list[str]]] = []
    number = 0
    for invocation in invocations:
        number += 1
        ending = judge.run(invocation.arguments, folder)
        codes[str(ending.exit_code)] += 1
        kinds = [*ending.faults, *invocation.check()]
        for kind in kinds:
            faults.append((kind, invocation.what, invocation.arguments))
        invocation.undo()
        for left in folder.glob("rkparity-crash-*.txt"):
            left.unlink()
    return Area(name, number, codes, faults)


def report(area: Area, seconds: float, every: bool) -> None:
    """Prints what came of an area: how often each exit code, then each kind of fault with its first case."""
    ends = ", ".join(f"{count} x exit {code}" for code, count in sorted(area.codes.items()))
    print(f"{area.name}: {area.n_invocations} invocations in {seconds:.0f} s: {ends}; {len(area.faults)} faults")
    kinds: dict[str, list[tuple[str, list[str]]]] = {}
    for kind, what, arguments in area.faults:
        kinds.setdefault(kind, []).append((what, arguments))
    for kind, seen in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"  {len(seen)} x {kind!r}")
        for what, arguments in seen if every else seen[:2]:
            print(f"      {what!r}: rkparity {' '.join(map(repr, arguments))[:300]}")


def main() -> int:
    """Parses the options, plays the areas, prints and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/harden", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(cases.AREAS)} (default: all)")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="only each Nth invocation of `commands`")
    parser.add_argument("--values", type=int, default=20_000, metavar="N", help="mutations of values (20000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the faults as JSON")
    parser.add_argument("--every", action="store_true", help="print every fault, not two of a kind")
    arguments = parser.parse_args()
    unknown = set(arguments.areas) - set(cases.AREAS)
    if unknown:
        parser.error(f"unknown area {', '.join(sorted(unknown))}")
    found: list[Area] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "work"
        workspace.make(folder)
        for name in arguments.areas or cases.AREAS:
            started = time.monotonic()
            make: Callable[[Path, int, int], Iterator[cases.Invocation]] = cases.AREAS[name]
            chosen = itertools.islice(
                make(folder, arguments.seed, arguments.values), 0, None, arguments.step if name == "commands" else 1
            )
            found.append(play(name, chosen, folder))
            report(found[-1], time.monotonic() - started, arguments.every)
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        document = {area.name: {"invocations": area.n_invocations, "faults": area.faults} for area in found}
        arguments.json.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 1 if any(area.faults for area in found) else 0


if __name__ == "__main__":
    sys.exit(main())
