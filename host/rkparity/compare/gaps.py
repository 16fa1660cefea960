"""Everything a comparison did not compare, and whether a whole one would have."""

from __future__ import annotations

from rkparity.compare.alignment import Alignment, PairRole, Reason
from rkparity.compare.comparison import NotCompared
from rkparity.compare.dumps import DumpSet
from rkparity.model.records import Model
from rkparity.runs.manifest import Manifest, Role

# A dump that has a partner but may not be judged against it leaves a hole; one without any counterpart does not.
_HOLES_OF_DUMPS = (Reason.NAME_COLLISION, Reason.MEANINGLESS, Reason.MISSING_DUMP)
_HOLES_OF_TENSORS = (Reason.NAME_COLLISION, Reason.MISSING_DUMP)


def list_gaps(dumps: DumpSet, alignment: Alignment, reference: Manifest, model: Model | None) -> list[NotCompared]:
    """What alignment left over, damaged and missing dumps, other files; holes first."""
    gaps = [NotCompared(item.entry.file, None, "damaged-dump", item.text, True) for item in dumps.damaged]
    stems = [item.stem for item in alignment.missing_dumps]
    gaps += [
        NotCompared(item.stem, None, Reason.MISSING_DUMP.value, item.text, True) for item in alignment.missing_dumps
    ]
    gaps += [
        NotCompared(name, None, Reason.MISSING_DUMP.value, "the run's manifest lists it, the folder lacks it", True)
        for name in dumps.absent
        if not any(name.startswith(f"{stem}_") for stem in stems)
    ]
    if model is None or not model.nodes:
        gaps += _without_model(dumps, alignment, reference)
    for unmatched in alignment.unmatched_dumps:
        output_lost = unmatched.reason is Reason.BOARD_ONLY and unmatched.dump.name.is_output
        gaps.append(
            NotCompared(
                unmatched.dump.file,
                None,
                unmatched.reason.value,
                unmatched.text,
                unmatched.reason in _HOLES_OF_DUMPS or output_lost,
            )
        )
    for tensor in alignment.unmatched_tensors:
        gaps.append(
            NotCompared(None, tensor.tensor.name, tensor.reason.value, tensor.text, tensor.reason in _HOLES_OF_TENSORS)
        )
    gaps += [NotCompared(name, None, "no-dump", "not the name of a librknnrt dump", False) for name in dumps.others]
    return sorted(gaps, key=lambda gap: not gap.expected)


def _without_model(dumps: DumpSet, alignment: Alignment, reference: Manifest) -> list[NotCompared]:
    """What can be missed without a node list: a hole in the operators' numbers, no input, an output without a pair."""
    missing = Reason.MISSING_DUMP.value
    gaps = []
    present = {entry.name.index for entry in dumps.entries} | {item.entry.name.index for item in dumps.damaged}
    holes = sorted(set(range(max(present, default=0))) - present)
    if holes:
        said = ", ".join(f"{index:03d}" for index in holes[:10]) + (", ..." if len(holes) > 10 else "")
        gaps.append(
            NotCompared(None, None, missing, f"no dump has the operator number {said}: {len(holes)} are missing", True)
        )
    if 0 in present and not any(pair.role is PairRole.INPUT for pair in alignment.pairs):
        gaps.append(
            NotCompared(
                None,
                None,
                missing,
                "no InputOperator dump was compared: it is not proven that the inputs were equal",
                True,
            )
        )
    if not any(entry.name.is_output for entry in (*dumps.entries, *(item.entry for item in dumps.damaged))):
        gaps.append(NotCompared(None, None, missing, "no OutputOperator dump: the run stopped before its end", True))
    explained = (Reason.CONVERSION, Reason.FUSED_AWAY, Reason.MISSING_DUMP, Reason.NAME_COLLISION)
    outputs = {record.name for record in reference.tensors if record.role is Role.OUTPUT}
    gaps += [
        NotCompared(None, item.tensor.name, missing, "a model output without a dump: the run stopped before it", True)
        for item in alignment.unmatched_tensors
        if item.tensor.name in outputs and item.reason not in explained
    ]
    return gaps
