"""Runs of the same input that differ, and of different inputs that do not: where, from which layer on, in which run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import DumpEntry
from rkparity.compare.dumps import DumpSet, open_dumps
from rkparity.errors import UsageError
from rkparity.runs import RunReader, open_npy
from rkparity.runs.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINE_NBYTES = 64


@dataclass(frozen=True)
class RunFiles:
    """One run: its dumps, and SHA-256 of the inputs it was given (None when it does not say)."""

    path: Path
    dumps: DumpSet
    given: tuple[str, ...] | None


@dataclass(frozen=True)
class DumpDifference:
    """One dump that differs between the first run and another one.

    `count` of `n` elements differ; `first` and `last` are flat indices; `rows` and `channels` name how many of how many
    are hit (0 of 0 when the tensor has none); `in_lines`: whole 64-byte lines differ, not single elements.
    """

    file: str
    order: int
    count: int
    n: int
    first: int
    last: int
    largest: float
    rows: tuple[int, int]
    channels: tuple[int, int]
    in_lines: bool

    @property
    def text(self) -> str:
        """Where the difference is, in a sentence part."""
        parts = [f"{self.count} of {self.n} elements, from {self.first} to {self.last}"]
        if self.channels[1] > 1:
            parts.append(f"in {self.channels[0]} of {self.channels[1]} channels")
        if self.rows[1] > 1:
            parts.append(f"in {self.rows[0]} of {self.rows[1]} rows")
        if self.in_lines:
            parts.append(f"in whole {_LINE_NBYTES}-byte lines")
        return ", ".join(parts) + f", by up to {self.largest:.4g}"


@dataclass(frozen=True)
class Repetition:
    """Several runs of one model. `groups` are the runs with the same dumps, largest first, by their place.

    `differences` are those between the first run and the first run of another group, in execution order.
    `unequal_files`: dumps only one of two runs has. `same_given`: all runs were given the same input bytes; None when
    that is not known. `same_held`: all InputOperator dumps are equal.
    """

    runs: tuple[RunFiles, ...]
    groups: tuple[tuple[int, ...], ...]
    differences: tuple[DumpDifference, ...]
    unequal_files: tuple[str, ...]
    same_given: bool | None
    same_held: bool
    same_outputs: bool


def open_run(path: Path) -> RunFiles:
    """Opens a run or a folder of dumps."""
    dumps = open_dumps(path)
    given = None
    if (path / MANIFEST_NAME).is_file():
        hashes = tuple(record.sha256 for record in RunReader.open(path).manifest.inputs)
        given = tuple(item for item in hashes if item is not None)
        given = given if given and len(given) == len(hashes) else None
    return RunFiles(path, dumps, given)


def compare_repeats(paths: Sequence[Path]) -> Repetition:
    """Compares two or more runs of one model with the first; UsageError when they have no dump in common."""
    if len(paths) < 2:
        raise UsageError("--repeat needs two runs or more", hint="rkparity diagnose --repeat RUN1 RUN2 ...")
    runs = tuple(open_run(path) for path in paths)
    digests = [_digests(run.dumps) for run in runs]
    common = sorted(set.intersection(*(set(item) for item in digests)), key=_order)
    if not common:
        raise UsageError(
            f"{paths[0]} and {paths[1]} have no dump in common",
            hint="the runs must be of one model, with dumps",
        )
    unequal = sorted(set.union(*(set(item) for item in digests)) - set(common))
    keys = [tuple(item[name] for name in common) for item in digests]
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    ordered = sorted(groups.values(), key=lambda places: (-len(places), places[0]))
    differences: list[DumpDifference] = []
    if len(ordered) > 1:
        one, other = ordered[0][0], ordered[1][0]
        for name in common:
            if digests[one][name] != digests[other][name]:
                found = _difference(_entry(runs[one].dumps, name), runs[one].dumps, runs[other].dumps)
                if found is not None:
                    differences.append(found)
    # The name's index is what orders; inputs come first anyway.
    inputs = [name for name in common if _entry(runs[0].dumps, name).name.is_input]
    outputs = [name for name in common if _entry(runs[0].dumps, name).name.is_output]
    given = [run.given for run in runs]
    return Repetition(
        runs,
        tuple(tuple(places) for places in ordered),
        tuple(differences),
        tuple(unequal),
        None if None in given else len(set(given)) == 1,
        all(len({item[name] for item in digests}) == 1 for name in inputs),
        bool(outputs) and all(len({item[name] for item in digests}) == 1 for name in outputs),
    )


def _digests(dumps: DumpSet) -> dict[str, str]:
    found = {}
    for entry in dumps.entries:
        if not entry.name.is_text:
            array = open_npy(dumps.path(entry))
            found[entry.file] = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
    return found


def _order(name: str) -> tuple[int, str]:
    return int(name.split("_", 1)[0]), name


def _entry(dumps: DumpSet, name: str) -> DumpEntry:
    return next(entry for entry in dumps.entries if entry.file == name)


def _difference(entry: DumpEntry, one: DumpSet, other: DumpSet) -> DumpDifference | None:
    import numpy as np

    ours, theirs = open_npy(one.path(entry)), open_npy(other.folder / entry.file)
    if ours.shape != theirs.shape:
        return DumpDifference(
            entry.file, entry.name.index, ours.size, ours.size, 0, ours.size - 1, np.inf, (0, 0), (0, 0), False
        )
    both_nan = np.isnan(ours) & np.isnan(theirs) if ours.dtype.kind == "f" else np.zeros(ours.shape, bool)
    unequal = (ours != theirs) & ~both_nan
    places = np.flatnonzero(unequal)
    if not places.size:
        return None
    with np.errstate(invalid="ignore"):
        gaps = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))[unequal]
    return DumpDifference(
        entry.file,
        entry.name.index,
        int(places.size),
        int(ours.size),
        int(places[0]),
        int(places[-1]),
        float(np.nan_to_num(gaps, nan=np.inf).max()),
        _hit(unequal, -2) if unequal.ndim >= 3 else (0, 0),
        _hit(unequal, 1) if unequal.ndim >= 2 else (0, 0),
        _lines(unequal, ours.dtype.itemsize),
    )


def _hit(unequal: NDArray[Any], axis: int) -> tuple[int, int]:
    import numpy as np

    lines = np.moveaxis(unequal, axis, 0).reshape(unequal.shape[axis], -1).any(axis=1)
    return int(lines.sum()), int(lines.size)


def _lines(unequal: NDArray[Any], itemsize: int) -> bool:
    per_line = max(_LINE_NBYTES // itemsize, 1)
    flat = unequal.reshape(-1)
    lines = flat[: flat.size // per_line * per_line].reshape(-1, per_line)
    if lines.shape[0] < 8:
        return False
    hit = lines.any(axis=1)
    return bool(hit.any() and not hit.all() and lines[hit].mean() > 0.6)
