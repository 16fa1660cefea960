"""Dumps of one model at several input shapes in one folder: those of the reference's shapes are the ones to compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from rkparity.compare.alignment import DumpEntry
from rkparity.compare.dumps import DamagedDump, DumpSet
from rkparity.errors import UsageError
from rkparity.model.records import Model, shape_text
from rkparity.runs.dump_names import sanitize
from rkparity.runs.manifest import Manifest

SEVERAL = "the folder holds dumps of several input shapes"
_OVERWRITTEN = "was written again at every shape, so it is of the last one: run each shape by itself to compare it"


def at_reference_shapes(
    found: DumpSet, reference: Manifest, model: Model | None = None
) -> tuple[DumpSet, tuple[str, ...]]:
    """The dumps of the shapes that the reference has, and a sentence about the others; all of them where no input was
    dumped at several shapes, or none of these is the reference's.

    A program that runs a dynamic model at three shapes leaves three dumps of each tensor whose shape follows the
    input's, and one, of the last run, of every other; of these it is not known which run they are of, so they count as
    damaged.
    """
    groups: dict[tuple[int, str], list[DumpEntry]] = defaultdict(list)
    for entry in found.entries:
        if not entry.name.is_text:
            groups[entry.name.index, entry.name.body].append(entry)
    several = {key for key, entries in groups.items() if len({entry.name.shape for entry in entries}) > 1}
    inputs = [groups[key] for key in groups if groups[key][0].name.is_input]
    if not any(key in several and groups[key][0].name.is_input for key in groups):
        return found, ()
    known = _reference_shapes(reference)
    chosen = [next((entry for entry in entries if _fits(entry, known)), None) for entries in inputs]
    shapes = [entry.name.shape for entry in chosen if entry is not None]
    if len(shapes) != len(inputs):
        return found, ()
    stems = _stems(model, shapes)
    kept, overwritten = [], []
    for key, entries in groups.items():
        for entry in entries:
            stem = entry.name.raw.rpartition("_")[0]
            if stems is not None and stem not in stems:
                continue
            if key not in several:
                overwritten.append(DamagedDump(entry, _OVERWRITTEN))
            elif stems is not None or _fits(entry, known):
                kept.append(entry)
    others = sorted(
        {shape_text(entry.name.shape) for entries in inputs for entry in entries} - set(map(shape_text, shapes))
    )
    note = (
        f"{SEVERAL}; compared are those of the reference, {', '.join(map(shape_text, shapes))}; "
        f"for {', '.join(others)} give the simulation at that shape"
    )
    texts = [entry for entry in found.entries if entry.name.is_text]
    names = {entry.file for entry in kept}
    return replace(
        found,
        entries=(*kept, *texts),
        headers={file: header for file, header in found.headers.items() if file in names},
        damaged=(*found.damaged, *overwritten),
        mismatched={file: text for file, text in found.mismatched.items() if file in names},
    ), (note,)


def _reference_shapes(reference: Manifest) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the reference's tensors, without dimensions of one, by sanitised name."""
    known: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for record in reference.tensors:
        known[sanitize(record.name)].append(_squeezed(record.shape))
    return known


def _fits(entry: DumpEntry, known: dict[str, list[tuple[int, ...]]]) -> bool:
    return _squeezed(entry.name.shape) in known.get(entry.name.tensor, ())


def _stems(model: Model | None, shapes: Sequence[Sequence[int]]) -> set[str] | None:
    """The names of the dumps of a dynamic model at these shapes; None where they are not known."""
    if model is None or not model.nodes or not model.is_dynamic:
        return None
    try:
        return {dump.stem for dump in model.for_input_shapes(shapes).expected_dumps()}
    except UsageError:
        return None


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
