"""Reading a set of dumps as a whole: what each is to the model, which are second forms, which cannot be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rkparity.compare.alignment import DumpEntry, MissingDump, PairRole, Reason, UnmatchedDump
from rkparity.errors import UsageError
from rkparity.model.records import ExpectedDump, Model, ModelTensor
from rkparity.runs.dump_names import DumpSuffix, compose_dump_stem, sanitize

# Which file to compare when one tensor was dumped in several forms (RKNN_DUMP_QUANT=2; evidence 160_dumpquant_2).
_PREFERENCE = (
    DumpSuffix.FLOAT,
    DumpSuffix.FLOAT16,
    DumpSuffix.INT64,
    DumpSuffix.INT32,
    DumpSuffix.INT8,
    DumpSuffix.UINT8,
)


@dataclass(frozen=True)
class DumpSubject:
    """A dump to find a partner for.

    `tensor` is the real name when `tensor_is_real` (the compiled model told), the sanitised one otherwise. `readings`
    are other tensor names the file name may mean, for custom operators without a model. `has_namesake` says that the
    compiled model has another tensor whose name sanitises alike.
    """

    entry: DumpEntry
    role: PairRole
    op_type: str
    tensor: str
    tensor_is_real: bool
    model_tensor: ModelTensor | None = None
    readings: tuple[tuple[str, str], ...] = ()
    has_namesake: bool = False


@dataclass(frozen=True)
class Subjects:
    """All dumps sorted out: those to pair, those already known to have no partner, and what is missing."""

    subjects: tuple[DumpSubject, ...]
    unmatched: tuple[UnmatchedDump, ...]
    missing: tuple[MissingDump, ...]
    warnings: tuple[str, ...]


def read_subjects(dumps: Sequence[DumpEntry], model: Model | None) -> Subjects:
    """Sorts the dumps out by themselves and by the compiled model; the reference is not needed.

    Raises UsageError when a model is given and none of the dumps is of it.
    """
    unmatched: list[UnmatchedDump] = []
    warnings: list[str] = []
    numeric = []
    for entry in dumps:
        if entry.name.is_text:
            unmatched.append(
                UnmatchedDump(
                    entry, Reason.TEXT_DUMP, "a tensor as text (RKNN_DUMP_TXT_TENSOR); only .npy files are compared"
                )
            )
        else:
            numeric.append(entry)
    chosen = _choose_forms(numeric, unmatched, warnings)
    missing: list[MissingDump] = []
    if model is not None and model.nodes:
        subjects = _by_model(chosen, model, unmatched, warnings)
        missing = _missing(dumps, model, warnings)
    else:
        subjects = _by_name(chosen, unmatched)
        warnings += _gaps(chosen)
    return Subjects(tuple(subjects), tuple(unmatched), tuple(missing), tuple(warnings))


def _choose_forms(entries: Sequence[DumpEntry], unmatched: list[UnmatchedDump], warnings: list[str]) -> list[DumpEntry]:
    forms: dict[tuple[int, str], list[DumpEntry]] = defaultdict(list)
    for entry in entries:
        forms[entry.name.index, entry.name.body].append(entry)
    chosen = []
    for same in forms.values():
        same.sort(key=lambda entry: (_PREFERENCE.index(entry.name.suffix), entry.name.raw))
        chosen.append(same[0])
        for other in same[1:]:
            unmatched.append(
                UnmatchedDump(other, Reason.SECOND_FORM, f"another form of {same[0].name.raw}, which is compared")
            )
        suffixes = {entry.name.suffix for entry in same}
        if {entry.name.shape for entry in same} != {same[0].name.shape} or (
            same[0].name.is_input and {DumpSuffix.FLOAT, DumpSuffix.UINT8} <= suffixes
        ):
            warnings.append(
                f"{same[0].name.raw} and {same[1].name.raw} are of one tensor but not of one run; "
                "the folder holds dumps of several runs"
            )
    return sorted(chosen, key=lambda entry: (entry.name.index, entry.name.raw))


def _role(entry: DumpEntry) -> PairRole:
    if entry.name.is_input:
        return PairRole.INPUT
    return PairRole.OUTPUT if entry.name.is_output else PairRole.LAYER


def _by_model(
    entries: Sequence[DumpEntry], model: Model, unmatched: list[UnmatchedDump], warnings: list[str]
) -> list[DumpSubject]:
    expected: dict[tuple[int, str], list[ExpectedDump]] = defaultdict(list)
    namesakes: dict[str, set[str]] = defaultdict(set)
    for item in model.expected_dumps():
        expected[item.index, f"{item.op_type}_{sanitize(item.tensor.name)}"].append(item)
        namesakes[sanitize(item.tensor.name)].add(item.tensor.name)
    subjects = []
    strangers = []
    for entry in entries:
        found = expected.get((entry.name.index, entry.name.body), [])
        if len(found) > 1:
            names = " and ".join(repr(item.tensor.name) for item in found)
            unmatched.append(
                UnmatchedDump(
                    entry, Reason.NAME_COLLISION, f"operator {entry.name.index} writes {names} into this one file"
                )
            )
        elif found:
            item = found[0]
            # A custom operator's type may hold underscores; the model says where it ends.
            name = entry.name.resolved(item.op_type, item.tensor.name) or entry.name
            subjects.append(
                DumpSubject(
                    DumpEntry(name, entry.file),
                    _role(entry),
                    item.op_type,
                    item.tensor.name,
                    True,
                    item.tensor,
                    has_namesake=len(namesakes[sanitize(item.tensor.name)]) > 1,
                )
            )
        else:
            duplicate = _duplicated_input(entry, model)
            if duplicate is not None:
                subjects.append(duplicate)
            else:
                strangers.append(entry)
    if entries and not subjects and strangers:
        raise UsageError(
            f"{model.path}: none of the {len(entries)} dumps is of this model; the first is "
            f"{entries[0].name.raw}, the model's is {_first_stem(model)}",
            hint="give the .rknn file that ran on the board",
        )
    for entry in strangers:
        unmatched.append(
            UnmatchedDump(
                entry, Reason.NOT_IN_MODEL, f"the compiled model has no such operator at index {entry.name.index}"
            )
        )
    if strangers:
        warnings.append(
            f"{len(strangers)} of {len(entries)} dumps are not of {model.path.name}: left over from "
            "another model, or the board ran another build of it"
        )
    return subjects


def _first_stem(model: Model) -> str:
    expected = model.expected_dumps()
    return expected[0].stem if expected else "without any"


def _duplicated_input(entry: DumpEntry, model: Model) -> DumpSubject | None:
    """2.x runtimes also dump a model input under the index of the operator that reads it."""
    if entry.name.index >= len(model.nodes) or entry.name.is_input or entry.name.is_output:
        return None
    node = model.nodes[entry.name.index]
    for index in node.inputs:
        tensor = model.tensors[index]
        if index in model.inputs and entry.name.resolved(node.op_type, tensor.name) is not None:
            return DumpSubject(entry, PairRole.DUPLICATE_INPUT, node.op_type, tensor.name, True, tensor)
    return None


def _missing(dumps: Sequence[DumpEntry], model: Model, warnings: list[str]) -> list[MissingDump]:
    present = {
        compose_dump_stem(entry.name.index, entry.name.op_type, entry.name.tensor, entry.name.shape) for entry in dumps
    }
    expected = model.expected_dumps()
    missing = [
        MissingDump(
            item.index,
            item.op_type,
            item.tensor.name,
            item.stem,
            f"operator {item.index} ({item.op_type}) has no dump of {item.tensor.name!r}",
        )
        for item in expected
        if item.stem not in present
    ]
    if missing:
        warnings.append(
            f"{len(missing)} of {len(expected)} dumps the model promises are not there, the first is "
            f"{missing[0].stem}: the run stopped, the disk was full, or the copy is incomplete"
        )
    return missing


def _by_name(entries: Sequence[DumpEntry], unmatched: list[UnmatchedDump]) -> list[DumpSubject]:
    inputs = {entry.name.tensor: entry for entry in entries if entry.name.is_input}
    subjects = []
    for entry in entries:
        role = _role(entry)
        given = inputs.get(entry.name.tensor)
        if (
            role is PairRole.LAYER
            and given is not None
            and given.name.shape == entry.name.shape
            and given.name.suffix == entry.name.suffix
        ):
            role = PairRole.DUPLICATE_INPUT
        subjects.append(
            DumpSubject(entry, role, entry.name.op_type, entry.name.tensor, False, readings=entry.name.candidates())
        )
    return _without_collisions(subjects, unmatched)


def _without_collisions(subjects: Sequence[DumpSubject], unmatched: list[UnmatchedDump]) -> list[DumpSubject]:
    """Refuses dumps whose tensors have different names that sanitise alike; names alone cannot tell them apart."""
    same: dict[tuple[PairRole, str], list[DumpSubject]] = defaultdict(list)
    for subject in subjects:
        if subject.role is not PairRole.DUPLICATE_INPUT:
            same[subject.role, subject.tensor].append(subject)
    refused = set()
    for group in same.values():
        if len(group) == 1:
            continue
        files = ", ".join(subject.entry.name.raw for subject in group)
        for subject in group:
            refused.add(subject.entry)
            unmatched.append(
                UnmatchedDump(
                    subject.entry,
                    Reason.NAME_COLLISION,
                    f"{len(group)} operators dump a tensor of this name ({files}): names that differ only in / : . ; _ "
                    "look alike; give --model to tell them apart",
                )
            )
    return [subject for subject in subjects if subject.entry not in refused]


def _gaps(entries: Sequence[DumpEntry]) -> list[str]:
    warnings = []
    indices = {entry.name.index for entry in entries}
    if indices:
        lacking = [index for index in range(max(indices) + 1) if index not in indices]
        if lacking:
            shown = ", ".join(str(index) for index in lacking[:10]) + (", ..." if len(lacking) > 10 else "")
            warnings.append(f"no dump of operator {shown}: dumps are missing")
        if not any(entry.name.is_output for entry in entries):
            warnings.append("no OutputOperator dump: the run stopped before the end, or the copy is incomplete")
    operators: dict[int, set[str]] = defaultdict(set)
    for entry in entries:
        operators[entry.name.index].add(entry.name.op_type)
    mixed = sorted(index for index, types in operators.items() if len(types) > 1)
    if mixed:
        warnings.append(
            f"operator {mixed[0]} has dumps of several types ({', '.join(sorted(operators[mixed[0]]))}): "
            "the folder seems to hold dumps of several models"
        )
    return warnings
