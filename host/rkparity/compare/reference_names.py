"""Finding a reference tensor by a dump's name, and by nothing but names that cannot mean two tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rkparity.compare.alignment import MatchRule, PairRole
from rkparity.compare.subjects import DumpSubject
from rkparity.runs.dump_names import DumpSuffix, sanitize
from rkparity.runs.manifest import Role, TensorRecord

DATA_CONVERT = "exDataConvert"
# The compiler's copy of an input into the NPU's layout: a 1x1 convolution with the input's own scale and zero point
# (evidence toolkit/odd_names, tensor New_input_in:0).
_NEW_INPUT = "New_input_"
# Suffixes the toolkit adds to a tensor that holds the same values in the same order, in another shape.
_RESHAPED = ("-rs", "_rs")
# A matrix product as convolution. With more than one real dimension its order differs from the product's
# (evidence 160_b25_ids_i64_fp16: y_mm is (1,8,1,16), y is (1,16,8)).
_MATMUL = "_mm"
_SHORTEST_PATH_SUFFIX = 2


@dataclass(frozen=True)
class Found:
    """A partner, the rule that found it, and what to say about it."""

    tensor: TensorRecord
    match_rule: MatchRule
    note: str = ""


class Ambiguous(Exception):
    """More than one reference tensor has the name, or the tensor's file belongs to another one of that name."""

    def __init__(self, tensors: Sequence[TensorRecord], text: str) -> None:
        super().__init__(text)
        self.tensors = tuple(tensors)
        self.text = text


class ReferenceNames:
    """The reference's tensors by name. Names that sanitise alike are kept apart, never merged."""

    def __init__(self, tensors: Sequence[TensorRecord]) -> None:
        self._real: dict[str, list[TensorRecord]] = defaultdict(list)
        self._sanitized: dict[str, list[TensorRecord]] = defaultdict(list)
        self._path_suffixes: dict[str, list[TensorRecord]] = defaultdict(list)
        self._owner: dict[str, TensorRecord] = {}
        for tensor in sorted(tensors, key=lambda tensor: tensor.order):
            if not tensor.name_is_sanitized:
                self._real[tensor.name].append(tensor)
                for suffix in _path_suffixes(tensor.name):
                    self._path_suffixes[suffix].append(tensor)
            self._sanitized[sanitize(tensor.name)].append(tensor)
            # A snapshot's file belongs to the last tensor written into it (evidence toolkit/odd_names: a/b, a_b, a:b).
            self._owner[tensor.file] = tensor

    def overwritten_by(self, tensor: TensorRecord) -> TensorRecord | None:
        """The tensor whose values are in `tensor`'s file; None when they are its own."""
        owner = self._owner[tensor.file]
        return None if owner is tensor else owner

    def find(self, subject: DumpSubject) -> Found | None:
        """The subject's partner; None when no tensor has such a name. Raises Ambiguous."""
        if subject.role in (PairRole.INPUT, PairRole.DUPLICATE_INPUT):
            found = self._find_input(subject)
        else:
            found = self._find_layer(subject)
        if found is not None:
            owner = self.overwritten_by(found.tensor)
            if owner is not None:
                raise Ambiguous(
                    [found.tensor],
                    f"the reference's file of {found.tensor.name!r} was overwritten by "
                    f"{owner.name!r}, whose name sanitises alike",
                )
            if found.tensor.name_is_sanitized and subject.has_namesake:
                raise Ambiguous(
                    [found.tensor],
                    f"the reference knows no full names, and several tensors of the model "
                    f"look like {found.tensor.name!r} in a file name",
                )
        return found

    def _by_name(self, name: str, is_real: bool, role: PairRole) -> TensorRecord | None:
        """The one tensor of that name. Raises Ambiguous when there are several."""
        group = self._real.get(name, []) if is_real else []
        if not group:
            group = self._sanitized.get(sanitize(name), [])
            if is_real:
                # A tensor known by its real name is not another one that merely looks alike in a file name.
                group = [tensor for tensor in group if tensor.name_is_sanitized]
        if len(group) > 1:
            wanted = {PairRole.INPUT: Role.INPUT, PairRole.DUPLICATE_INPUT: Role.INPUT, PairRole.OUTPUT: Role.OUTPUT}
            by_role = [tensor for tensor in group if tensor.role is wanted.get(role)]
            if len(by_role) == 1:
                return by_role[0]
            names = ", ".join(repr(tensor.name) for tensor in group)
            raise Ambiguous(
                group,
                f"the reference has {len(group)} tensors that look alike in a file name: {names}"
                + ("" if is_real else "; give --model to tell them apart"),
            )
        return group[0] if group else None

    def _find_input(self, subject: DumpSubject) -> Found | None:
        plain = self._by_name(subject.tensor, subject.tensor_is_real, subject.role)
        surest = MatchRule.MODEL_NODE if subject.tensor_is_real else MatchRule.EXACT_NAME
        note = (
            "the input again, under the index of the operator that reads it"
            if subject.role is PairRole.DUPLICATE_INPUT
            else ""
        )
        if subject.entry.name.suffix is DumpSuffix.UINT8:
            # An int8 model's image input is dumped as given, before mean/std (evidence 160_c25_cnn_int8,
            # 160_gen_u8_nhwc_pt0).
            return None if plain is None else Found(plain, surest, note or "raw pixels, before mean and std")
        twin = self._quantized_twin(subject)
        if twin is not None:
            match_rule = surest if subject.tensor_is_real else MatchRule.SYNTHETIC
            return Found(twin, match_rule, note or f"the quantised form of {subject.tensor!r}")
        return None if plain is None else Found(plain, surest, note)

    def _quantized_twin(self, subject: DumpSubject) -> TensorRecord | None:
        """The simulator keeps the float input as NAME and what the NPU holds as NAME_int8 (evidence toolkit/*/int8)."""
        if subject.model_tensor is not None:
            if not subject.model_tensor.is_quantized:
                return None
            return self._by_name(f"{subject.tensor}_{subject.model_tensor.dtype}", True, PairRole.LAYER)
        for dtype in ("int8", "int16"):
            twin = self._by_name(f"{subject.tensor}_{dtype}", False, PairRole.LAYER)
            if twin is not None and twin.op_type in (DATA_CONVERT, ""):
                return twin
        return None

    def _find_layer(self, subject: DumpSubject) -> Found | None:
        exact = self._find_exact(subject)
        if exact is not None:
            return exact
        for op_type, tensor in subject.readings[1:]:
            other = self._by_name(tensor, False, subject.role)
            if other is not None:
                return Found(other, MatchRule.EXACT_NAME, f"read as operator {op_type!r} writing {other.name!r}")
        return self._find_synthetic(subject)

    def _find_exact(self, subject: DumpSubject) -> Found | None:
        plain = self._by_name(subject.tensor, subject.tensor_is_real, subject.role)
        surest = MatchRule.MODEL_NODE if subject.tensor_is_real else MatchRule.EXACT_NAME
        if (
            subject.role is PairRole.LAYER
            and subject.op_type != DATA_CONVERT
            and (plain is None or plain.op_type == DATA_CONVERT)
        ):
            # A quantised output: the simulator has the operator's own tensor as NAME_int8, then NAME converted from it.
            twin = self._output_twin(subject)
            if twin is not None and (plain is not None or same_values(subject, twin)):
                match_rule = surest if subject.tensor_is_real else MatchRule.SYNTHETIC
                return Found(twin, match_rule, f"the operator's own tensor; {subject.tensor!r} is converted from it")
        if plain is None:
            return None
        if is_fused(subject.op_type, plain.op_type):
            note = f"{subject.op_type} is one operator on the NPU; compared at its last tensor"
            return Found(plain, surest if subject.tensor_is_real else MatchRule.FUSED_LAST, note)
        return Found(plain, surest)

    def _output_twin(self, subject: DumpSubject) -> TensorRecord | None:
        dtypes = ("int8", "int16", "_float16")
        if subject.model_tensor is not None:
            dtype = subject.model_tensor.dtype
            dtypes = (dtype, f"_{dtype}", "")
        for dtype in dtypes:
            if not dtype:
                continue
            twin = self._by_name(f"{subject.tensor}_{dtype}", subject.tensor_is_real, subject.role)
            if twin is not None and twin.op_type != DATA_CONVERT and ends_with(subject.op_type, twin.op_type):
                return twin
        return None

    def _find_synthetic(self, subject: DumpSubject) -> Found | None:
        if subject.tensor.startswith(_NEW_INPUT):
            return self._find_new_input(subject)
        for name in _same_values_names(subject.tensor):
            tensor = self._by_name(name, subject.tensor_is_real, subject.role)
            if tensor is not None and same_values(subject, tensor):
                return Found(tensor, MatchRule.SYNTHETIC, f"{subject.tensor!r} holds the values of {tensor.name!r}")
        for name in (f"{subject.tensor}{suffix}" for suffix in (*_RESHAPED, _MATMUL)):
            tensor = self._by_name(name, subject.tensor_is_real, subject.role)
            if tensor is not None and same_values(subject, tensor):
                return Found(tensor, MatchRule.SYNTHETIC, f"{tensor.name!r} holds the values of {subject.tensor!r}")
        longer = self._path_suffixes.get(sanitize(subject.tensor), [])
        if (
            len(longer) == 1
            and longer[0].shape == subject.entry.name.shape
            and ends_with(subject.op_type, longer[0].op_type)
        ):
            return Found(longer[0], MatchRule.SYNTHETIC, f"the only tensor whose path ends in {subject.tensor!r}")
        return None

    def _find_new_input(self, subject: DumpSubject) -> Found | None:
        base = subject.tensor[len(_NEW_INPUT) :]
        plain = self._by_name(base, subject.tensor_is_real, PairRole.INPUT)
        if plain is None or plain.op_type not in ("Input", "") or plain.shape != subject.entry.name.shape:
            return None
        copied = DumpSubject(
            subject.entry, PairRole.INPUT, subject.op_type, base, subject.tensor_is_real, subject.model_tensor
        )
        twin = self._quantized_twin(copied)
        return Found(
            twin or plain, MatchRule.SYNTHETIC, f"the compiler's copy of the input {base!r} in the NPU's layout"
        )


def ends_with(dump_op_type: str, op_type: str) -> bool:
    """Whether the compiled operator is `op_type` or a fused group that ends in it; an unknown type fits."""
    return not op_type or dump_op_type.lower().endswith(op_type.lower()) or dump_op_type == "OutputOperator"


def is_fused(dump_op_type: str, op_type: str) -> bool:
    """Whether the compiled operator is a group of several that ends in `op_type`."""
    return bool(op_type) and len(dump_op_type) > len(op_type) and dump_op_type.lower().endswith(op_type.lower())


def same_values(subject: DumpSubject, tensor: TensorRecord) -> bool:
    """Whether the two shapes leave the order of the values the same: equal but for dimensions of 1."""
    ours = [size for size in subject.entry.name.shape if size != 1]
    theirs = [size for size in tensor.shape if size != 1]
    if ours != theirs:
        return False
    is_product = subject.tensor.endswith(_MATMUL) != tensor.name.endswith(_MATMUL)
    return not is_product or len(ours) <= 1


def _same_values_names(tensor: str) -> list[str]:
    """`tensor` without the suffixes the toolkit adds to a tensor of the same values, one after the other."""
    names: list[str] = []
    while True:
        suffix = next((suffix for suffix in (*_RESHAPED, _MATMUL) if tensor.endswith(suffix)), None)
        if suffix is None or len(tensor) == len(suffix):
            return names
        tensor = tensor[: -len(suffix)]
        names.append(tensor)


def _path_suffixes(name: str) -> set[str]:
    """The sanitised ends of a path-like name that begin at a slash and keep at least two parts."""
    parts = name.split("/")
    suffixes = set()
    for start in range(1, len(parts) - _SHORTEST_PATH_SUFFIX + 1):
        end = "/".join(parts[start:])
        suffixes.add(sanitize(end))
        suffixes.add(sanitize("/" + end))
    return suffixes - {sanitize(name)}
