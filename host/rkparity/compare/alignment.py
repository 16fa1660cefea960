"""What alignment says: which dump is which reference tensor by which rule, and what has no partner and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rkparity.runs.dump_names import DumpName
from rkparity.runs.manifest import InputForm, TensorRecord


class MatchRule(str, enum.Enum):
    """The rule that made a pair, the surest first."""

    MODEL_NODE = "model-node"
    """The compiled model's node list names the operator, its index and its tensor."""
    EXACT_NAME = "exact-name"
    """The sanitised names are equal and no other tensor has that name."""
    FUSED_LAST = "fused-last"
    """As EXACT_NAME; the dump's operator is a fused group and the tensor is the group's last one."""
    SYNTHETIC = "synthetic-name"
    """The names differ by what the toolkit adds (-rs, _rs, _mm, _int8, __float16, New_input_) or by a leading path."""
    """Only shape and order agree: a suggestion, never a pair."""


class PairRole(str, enum.Enum):
    """What the dump is to the model."""

    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"
    DUPLICATE_INPUT = "duplicate-input"
    """A model input written again under the index of the operator that reads it (2.x runtimes)."""


class Reason(str, enum.Enum):
    """Why something has no partner."""

    FUSED_AWAY = "fused-away"
    CONVERSION = "conversion"
    BOARD_ONLY = "board-only"
    SIMULATOR_ONLY = "simulator-only"
    MISSING_DUMP = "missing-dump"
    NAME_COLLISION = "name-collision"
    MEANINGLESS = "meaningless"
    TEXT_DUMP = "text-dump"
    SECOND_FORM = "second-form"
    NOT_IN_MODEL = "not-in-model"


@dataclass(frozen=True)
class DumpEntry:
    """One dump file: what its name says, and where it is (`file` as the caller wants to find it again)."""

    name: DumpName
    file: str


@dataclass(frozen=True)
class LayerPair:
    """A dump and the reference tensor it must equal.

    `form` is set for inputs only: RAW when the dump holds the application's pixels (suffix uint8, NCHW, before
    mean/std) and the reference's input is normalised; NORMALIZED when both are on the model's side of it.
    `native_dtype`, `scale`, `zero_point` are the tensor's on the NPU (from the compiled model, else from the
    reference; empty when not known): a layer's dump with the suffix int8 holds q, value = (q - zero_point) * scale.
    """

    dump: DumpEntry
    tensor: TensorRecord
    match_rule: MatchRule
    role: PairRole
    form: InputForm | None = None
    native_dtype: str = ""
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class UnmatchedDump:
    """A dump that is not compared, and why."""

    dump: DumpEntry
    reason: Reason
    text: str


@dataclass(frozen=True)
class UnmatchedTensor:
    """A reference tensor that nothing is compared with, and why."""

    tensor: TensorRecord
    reason: Reason
    text: str


@dataclass(frozen=True)
class MissingDump:
    """A dump the model promises and the folder lacks: `tensor` is its real name, `stem` its file name so far."""

    index: int
    op_type: str
    tensor: str
    stem: str
    text: str


@dataclass(frozen=True)
class Suggestion:
    """A dump and a tensor that only shape and order bring together; for people to look at, never judged."""

    dump: DumpEntry
    tensor: TensorRecord
    text: str


@dataclass(frozen=True)
class Alignment:
    """Every dump and every reference tensor, each either in a pair or listed with its reason.

    `pairs` and `unmatched_dumps` are in execution order (by index), `unmatched_tensors` in the reference's order.
    """

    pairs: tuple[LayerPair, ...]
    unmatched_dumps: tuple[UnmatchedDump, ...]
    unmatched_tensors: tuple[UnmatchedTensor, ...]
    missing_dumps: tuple[MissingDump, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    warnings: tuple[str, ...] = ()
