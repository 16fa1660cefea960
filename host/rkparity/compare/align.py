"""Aligning a board's dumps with a reference run: by name, the surest rule first, and never by guess."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rkparity.compare.alignment import Alignment, DumpEntry, LayerPair, MatchRule, PairRole, Reason, UnmatchedDump
from rkparity.compare.reference_names import Ambiguous, Found, ReferenceNames, ends_with
from rkparity.compare.subjects import DumpSubject, read_subjects
from rkparity.compare.unmatched import explain_tensors, suggest
from rkparity.errors import UsageError
from rkparity.model.records import Model
from rkparity.runs.dump_names import DumpSuffix, sanitize
from rkparity.runs.manifest import FUSED_BEFORE_QUANTIZATION, Engine, InputForm, Manifest, TensorRecord


def align(dumps: Sequence[DumpEntry], reference: Manifest, model: Model | None = None) -> Alignment:
    """Pairs every dump with the reference tensor it must equal, or says why it has none; see docs/alignment.md.

    `model` is the compiled model the board ran; without it alignment goes by names alone. Names that cannot be told
    apart are refused. Several dumps may have one partner (a layer's dump and the OutputOperator's; a reshaped copy).
    Raises UsageError when nothing can be paired, or when no dump is of `model`.
    """
    sorted_out = read_subjects(dumps, model)
    names = ReferenceNames(reference.tensors)
    pairs: list[LayerPair] = []
    unmatched = list(sorted_out.unmatched)
    warnings = list(sorted_out.warnings)
    collided: dict[int, str] = {}
    for subject in sorted_out.subjects:
        try:
            found = names.find(subject)
        except Ambiguous as error:
            unmatched.append(UnmatchedDump(subject.entry, Reason.NAME_COLLISION, error.text))
            collided.update({id(tensor): error.text for tensor in error.tensors})
            continue
        if found is None:
            unmatched.append(UnmatchedDump(subject.entry, Reason.BOARD_ONLY, _board_only(subject)))
        elif found.tensor.not_comparable and not _holds_the_same(subject, found.tensor, reference):
            unmatched.append(
                UnmatchedDump(
                    subject.entry, Reason.MEANINGLESS, f"{found.tensor.name!r}: {found.tensor.not_comparable}"
                )
            )
        else:
            pairs.append(_pair(subject, found))
    collided.update(_collided_by_dumps(unmatched, reference))
    if not pairs:
        raise UsageError(
            _nothing_matches(dumps, reference),
            hint="compare dumps with the reference of the same model; `rkparity inspect M.rknn` lists the "
            "names the board's dumps have",
        )
    pairs.sort(key=lambda pair: (pair.dump.name.index, pair.dump.name.raw))
    unmatched.sort(key=lambda item: (item.dump.name.index, item.dump.name.raw))
    tensors = explain_tensors(reference.tensors, pairs, names, collided, sorted_out.missing, model)
    collisions = [item for item in unmatched if item.reason is Reason.NAME_COLLISION]
    if collisions:
        warnings.append(f"{len(collisions)} dumps are not compared because their names mean several tensors")
    return Alignment(
        tuple(pairs),
        tuple(unmatched),
        tuple(tensors),
        sorted_out.missing,
        tuple(suggest(unmatched, tensors, pairs)),
        tuple(warnings),
    )


def _pair(subject: DumpSubject, found: Found) -> LayerPair:
    form = None
    if subject.role in (PairRole.INPUT, PairRole.DUPLICATE_INPUT):
        is_raw = subject.entry.name.suffix is DumpSuffix.UINT8
        form = InputForm.RAW if is_raw else InputForm.NORMALIZED
    notes = [found.note] if found.note else []
    if found.tensor.not_comparable:
        notes.append("cut to the range of the operator behind it, in the simulator as on the board; golden is not")
    # Below the model's word, a different operator type is worth a look; inputs and outputs have types of their own.
    if (
        found.match_rule is MatchRule.EXACT_NAME
        and subject.role is PairRole.LAYER
        and not ends_with(subject.op_type, found.tensor.op_type)
    ):
        notes.append(f"the operator is {subject.op_type} on the board, {found.tensor.op_type} in the reference")
    known = subject.model_tensor
    if known is None:
        return LayerPair(
            subject.entry,
            found.tensor,
            found.match_rule,
            subject.role,
            form,
            "",
            found.tensor.scale,
            found.tensor.zero_point,
            "; ".join(notes),
        )
    quantized = known.is_quantized
    return LayerPair(
        subject.entry,
        found.tensor,
        found.match_rule,
        subject.role,
        form,
        "bool" if known.is_boolean else known.dtype,
        known.scale if quantized else (),
        known.zero_point if quantized else (),
        "; ".join(notes),
    )


def _holds_the_same(subject: DumpSubject, tensor: TensorRecord, reference: Manifest) -> bool:
    """Whether a tensor the toolkit's table leaves blank is nevertheless what the board computes.

    The toolkit gives a tensor in front of a clamping operator that operator's range, and then does not compare it with
    golden. The simulator's values lie exactly on the grid the compiled model has for the tensor (PP-OCRv4 detector,
    int8: `p2o.Add.281`, golden -42.5 .. -7.8, simulator and compiled model cut to -7 .. 0), so a dump of it, where the
    board computes it as an operator of its own, can be judged against the simulator. A tensor the simulator kept in
    float32 has no scale in a run by `rkparity simulate`; in a snapshot opened without the model no tensor has one.
    """
    if tensor.not_comparable != FUSED_BEFORE_QUANTIZATION or reference.engine is not Engine.SIMULATOR:
        return False
    known = subject.model_tensor
    if known is None:
        return bool(tensor.scale)
    if not known.is_quantized:
        return False
    if not tensor.scale:
        return not any(record.scale for record in reference.tensors)
    return (
        known.zero_point == tensor.zero_point
        and len(known.scale) == len(tensor.scale)
        and all(math.isclose(ours, theirs, rel_tol=1e-5) for ours, theirs in zip(known.scale, tensor.scale))
    )


def _board_only(subject: DumpSubject) -> str:
    if subject.role is PairRole.OUTPUT:
        return f"the reference has no tensor of the output's name {subject.tensor!r}"
    if subject.role is PairRole.LAYER:
        return f"the reference has no tensor {subject.tensor!r}: an operator the compiler added, or another build"
    return f"the reference has no input {subject.tensor!r}"


def _collided_by_dumps(unmatched: Sequence[UnmatchedDump], reference: Manifest) -> dict[int, str]:
    """The reference's tensors that dumps with colliding names may have been."""
    refused = {item.dump.name.tensor: item.text for item in unmatched if item.reason is Reason.NAME_COLLISION}
    return {
        id(tensor): refused[sanitize(tensor.name)] for tensor in reference.tensors if sanitize(tensor.name) in refused
    }


def _nothing_matches(dumps: Sequence[DumpEntry], reference: Manifest) -> str:
    dump_names = ", ".join(entry.name.raw for entry in dumps[:3]) or "none"
    tensors = ", ".join(repr(tensor.name) for tensor in reference.tensors[:3]) or "none"
    return (
        f"not one of {len(dumps)} dumps matches any of the {len(reference.tensors)} tensors of "
        f"{reference.model.name!r}: dumps are {dump_names}...; the reference has {tensors}..."
    )
