"""The list of known deviations: what of the recorded behaviour the emulated runtime does not show, and why."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fidelity.aspects import Difference, Outcome, Result

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIST = Path(__file__).with_name("deviations.toml")


@dataclass(frozen=True)
class Known:
    """One cause. It explains the differences in `aspects` of `experiments` (patterns) that hold one of the texts
    `holding`, in what was recorded or in what came; empty: all of them."""

    reason: str
    aspects: tuple[str, ...]
    experiments: tuple[str, ...]
    holding: tuple[str, ...]

    def covers(self, result: Result) -> bool:
        """Whether the entry speaks of this experiment in this aspect."""
        return result.aspect in self.aspects and any(
            fnmatch.fnmatchcase(result.experiment, pattern) for pattern in self.experiments
        )

    def explains(self, result: Result, difference: Difference) -> bool:
        """Whether the difference is of this cause."""
        return self.covers(result) and (not self.holding or any(text in str(difference) for text in self.holding))


def read_known(path: Path = LIST) -> tuple[Known, ...]:
    """The entries of deviations.toml; KeyError or TypeError when one is malformed."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["deviation"]
    return tuple(
        Known(entry["reason"], tuple(entry["aspects"]), tuple(entry["experiments"]), tuple(entry.get("holding", ())))
        for entry in entries
    )


def unexplained(results: Iterable[Result], known: Sequence[Known]) -> list[str]:
    """Every difference that no entry explains."""
    return [
        f"{result.experiment} [{result.aspect}] {difference}"
        for result in results
        for difference in result.differences
        if not any(entry.explains(result, difference) for entry in known)
    ]


def outdated(results: Sequence[Result], known: Sequence[Known]) -> list[str]:
    """Entries that explain nothing any more, wholly or for one experiment."""
    found = []
    for entry in known:
        covered = [
            result for result in results if entry.covers(result) and result.outcome is not Outcome.NOT_APPLICABLE
        ]
        names = sorted({result.experiment for result in covered})
        explained = {
            result.experiment
            for result in covered
            if any(entry.explains(result, difference) for difference in result.differences)
        }
        found += [f"{name} matches now: {entry.reason}" for name in names if name not in explained]
        if not names:
            found.append(f"no experiment is named {', '.join(entry.experiments)}: {entry.reason}")
    return found
