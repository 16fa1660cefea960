"""Saying why a reference tensor has no dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rkparity.compare.alignment import (
    DumpEntry,
    LayerPair,
    MissingDump,
    PairRole,
    Reason,
    Suggestion,
    UnmatchedDump,
    UnmatchedTensor,
)
from rkparity.compare.reference_names import DATA_CONVERT, ReferenceNames
from rkparity.model.records import Model
from rkparity.runs.dump_names import sanitize
from rkparity.runs.manifest import Role, TensorRecord


def explain_tensors(
    tensors: Sequence[TensorRecord],
    pairs: Sequence[LayerPair],
    names: ReferenceNames,
    collided: Mapping[int, str],
    missing: Sequence[MissingDump],
    model: Model | None,
) -> list[UnmatchedTensor]:
    """Every tensor that is in no pair, with its reason; `collided` maps `id` of refused tensors to the text."""
    paired = {id(pair.tensor) for pair in pairs}
    ordered = sorted(tensors, key=lambda tensor: tensor.order)
    absorbed = _absorbed(ordered, pairs, paired)
    lacking = {sanitize(item.tensor) for item in missing}
    result = []
    for tensor in ordered:
        if id(tensor) in paired:
            continue
        reason, text = _explain(tensor, names, collided, pairs)
        if reason is None:
            group = absorbed.get(id(tensor))
            if group is not None:
                reason, text = (
                    Reason.FUSED_AWAY,
                    (
                        f"part of {group.dump.name.op_type} on the NPU, which is compared "
                        f"at its last tensor {group.tensor.name!r}"
                    ),
                )
            elif lacking & _names_on_the_board(tensor):
                reason, text = Reason.MISSING_DUMP, "the compiled model computes it, but there is no dump of it"
            elif model is not None and model.nodes:
                reason, text = Reason.FUSED_AWAY, "no operator of the compiled model writes it"
            else:
                reason, text = (
                    Reason.SIMULATOR_ONLY,
                    (
                        "the board has no dump of it: fused into another operator or "
                        "removed by the compiler; give --model to know"
                    ),
                )
        result.append(UnmatchedTensor(tensor, reason, text))
    return result


def _names_on_the_board(tensor: TensorRecord) -> set[str]:
    """The sanitised names its dump may have: its own, and for a quantised output's own tensor that of the output."""
    names = {sanitize(tensor.name)}
    if tensor.op_type != DATA_CONVERT and tensor.name.endswith(("_int8", "_int16")):
        names.add(sanitize(tensor.name.rpartition("_")[0]))
    return names


def _explain(
    tensor: TensorRecord, names: ReferenceNames, collided: Mapping[int, str], pairs: Sequence[LayerPair]
) -> tuple[Reason | None, str]:
    owner = names.overwritten_by(tensor)
    if owner is not None:
        return Reason.NAME_COLLISION, f"its file was overwritten by {owner.name!r}, whose name sanitises alike"
    if id(tensor) in collided:
        return Reason.NAME_COLLISION, collided[id(tensor)]
    if tensor.not_comparable:
        return Reason.MEANINGLESS, tensor.not_comparable
    inputs = [pair for pair in pairs if pair.role in (PairRole.INPUT, PairRole.DUPLICATE_INPUT)]
    for pair in inputs:
        if tensor.op_type == DATA_CONVERT and tensor.name.startswith(f"{pair.tensor.name}_"):
            return Reason.CONVERSION, (
                f"the input {pair.tensor.name!r} after quantisation; the board quantises the "
                "pixels inside the first operator and dumps them before it"
            )
        if (tensor.role is Role.INPUT or tensor.op_type == "Input") and pair.tensor.name.startswith(f"{tensor.name}_"):
            return Reason.CONVERSION, (
                f"the input before quantisation; the board's dump holds it after, compared with {pair.tensor.name!r}"
            )
    if tensor.op_type == DATA_CONVERT:
        return Reason.CONVERSION, "a change of type only; the board does not dump it"
    return None, ""


def _absorbed(ordered: Sequence[TensorRecord], pairs: Sequence[LayerPair], paired: set[int]) -> dict[int, LayerPair]:
    """Which fused operator took in which unpaired tensors: the nearest before its last one, by operator type."""
    positions = {id(tensor): position for position, tensor in enumerate(ordered)}
    absorbed: dict[int, LayerPair] = {}
    for pair in sorted(pairs, key=lambda pair: positions[id(pair.tensor)]):
        dump_type, last = pair.dump.name.op_type.lower(), pair.tensor.op_type.lower()
        if pair.role is not PairRole.LAYER or not last or not dump_type.endswith(last):
            continue
        remaining = dump_type[: -len(last)]
        for tensor in reversed(ordered[: positions[id(pair.tensor)]]):
            if not remaining:
                break
            op_type = tensor.op_type.lower()
            if op_type and remaining.endswith(op_type) and id(tensor) not in paired and id(tensor) not in absorbed:
                absorbed[id(tensor)] = pair
                remaining = remaining[: -len(op_type)]
    return absorbed


def suggest(
    unmatched_dumps: Sequence[UnmatchedDump], unmatched_tensors: Sequence[UnmatchedTensor], pairs: Sequence[LayerPair]
) -> list[Suggestion]:
    """Board-only dumps and simulator-only tensors that lie between the same neighbours and have one shape.

    Only when exactly one tensor and one dump fit each other. For people to look at; never a pair.
    """
    proposals: list[tuple[DumpEntry, TensorRecord]] = []
    for item in unmatched_dumps:
        if item.reason is not Reason.BOARD_ONLY:
            continue
        name = item.dump.name
        before = [pair.tensor.order for pair in pairs if pair.dump.name.index < name.index]
        after = [pair.tensor.order for pair in pairs if pair.dump.name.index > name.index]
        low, high = max(before, default=-1), min(after, default=None)
        fitting = [
            other.tensor
            for other in unmatched_tensors
            if other.reason is Reason.SIMULATOR_ONLY
            and other.tensor.shape == name.shape
            and low < other.tensor.order
            and (high is None or other.tensor.order < high)
        ]
        if len(fitting) == 1:
            proposals.append((item.dump, fitting[0]))
    tensors = [id(tensor) for _, tensor in proposals]
    return [
        Suggestion(
            dump,
            tensor,
            f"same shape and place as {tensor.name!r}; the names have nothing in common, so it is not compared",
        )
        for dump, tensor in proposals
        if tensors.count(id(tensor)) == 1
    ]
