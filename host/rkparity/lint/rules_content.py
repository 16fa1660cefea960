"""Rules about what input buffers hold: range, normalisation, constant and stale contents, the reference's input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.rules_inputs import left_float32
from rkparity.lint.subject import BYTE_TYPES, FLOAT_TYPES, ContextView, Subject, described, is_picture
from rkparity.model import InputNormalization
from rkparity.trace import Content, InputsSet, Run, TensorAttributes

# Data that quantise to no more than this many different values have lost what they said (airockchip/rknn-toolkit2#529).
_FEW_STEPS = 4.0
# Tensors this small may well be a constant parameter.
_SMALL = 64
_FLOAT_LIKE = 0.98


@dataclass(frozen=True)
class _Held:
    """One input buffer's content as the library took it, from inputs_set or from a bound memory before a run."""

    call: int
    attr: TensorAttributes
    type: str
    content: Content


def _held(view: ContextView) -> Iterator[_Held]:
    for call, given, attr in view.given():
        if given.pass_through == 0 and given.content is not None:
            yield _Held(call.seq, attr, given.type, given.content)
    types = {b.attr.name: b.attr for _, b in view.bindings() if b.attr is not None}
    for call, bound in view.bound("input"):
        plain, declared = view.named(bound.name), types.get(bound.name)
        if plain is not None and bound.before is not None and declared is not None and declared.pass_through == 0:
            yield _Held(call.seq, plain, declared.type, bound.before)


def _unit_range(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for held in _held(view):
            values = held.content.values
            if values is None or values.minimum is None or values.maximum is None or values.minimum == values.maximum:
                continue
            norm = view.normalization(held.attr.name)
            low, high = values.minimum, values.maximum
            if held.type in BYTE_TYPES and is_picture(held.attr) and low >= 0 and high <= 1:
                yield Observation(
                    view.number,
                    (held.call,),
                    f"picture input {described(held.attr)} is {held.type} and holds only 0 and 1: data in 0..1 were "
                    "converted to bytes",
                    held.attr.name,
                    {"type": held.type, "min": low, "max": high},
                )
            # A float16 input has scale 1 and is not quantised, whatever its qnt_type says (evidence 160_*: INPUT_ATTR).
            elif held.type in FLOAT_TYPES and norm is None and held.attr.type in BYTE_TYPES:
                scale = held.attr.scale or 0.0
                # With the model at hand its std says how far apart raw values are; without it the scale alone does.
                if scale > 0 and (high - low) / scale < _FEW_STEPS and high - low <= 1.0:
                    yield Observation(
                        view.number,
                        (held.call,),
                        f"input {described(held.attr)} holds {held.type} from {low:g} to {high:g}; with its scale "
                        f"{scale:g} "
                        f"that quantises to at most {int((high - low) / scale) + 2} different values",
                        held.attr.name,
                        {"min": low, "max": high, "scale": scale, "zero_point": held.attr.zp},
                    )


def _normalized_interval(norm: InputNormalization) -> tuple[float, float]:
    pairs = list(zip(norm.mean, norm.std))
    return min((0 - m) / s for m, s in pairs if s), max((255 - m) / s for m, s in pairs if s)


def _normalized_twice(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for held in _held(view):
            norm, values = view.normalization(held.attr.name), held.content.values
            if norm is None or held.type not in FLOAT_TYPES or values is None or not any(norm.std):
                continue
            # A model whose mean and std are of data in 0..1 takes such data as it is.
            if max(abs(mean) for mean in norm.mean) <= 1.5 and max(norm.std) <= 1.5:
                continue
            if values.minimum is None or values.maximum is None or values.minimum == values.maximum:
                continue
            low, high = _normalized_interval(norm)
            slack = 0.05 * (high - low)
            inside = low - slack <= values.minimum and values.maximum <= high + slack
            unit = values.minimum >= -1.0 and values.maximum <= 1.0
            if (inside or unit) and values.maximum - values.minimum < 32:
                yield Observation(
                    view.number,
                    (held.call,),
                    f"input {described(held.attr)} holds {held.type} from {values.minimum:g} to {values.maximum:g}, "
                    "which looks "
                    f"normalised; the model itself applies (x - {_list(norm.mean)}) / {_list(norm.std)}",
                    held.attr.name,
                    {"min": values.minimum, "max": values.maximum, "mean": _list(norm.mean), "std": _list(norm.std)},
                )


def _list(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _float_bytes(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for held in _held(view):
            content = held.content
            seen = content.bytes
            if held.type not in BYTE_TYPES or content.float_like is None or seen is None or not is_picture(held.attr):
                continue
            # Zeros and flat surfaces of some greys look like floats too; those have few different bytes or many zeros.
            spread = seen.minimum == 0 and seen.maximum == 255
            if content.float_like >= _FLOAT_LIKE and spread and seen.zeros * 4 < content.nbytes_read:
                yield Observation(
                    view.number,
                    (held.call,),
                    f"input {described(held.attr)} is declared {held.type}, but {content.float_like:.0%} of its "
                    "first 4096 words "
                    "are plausible float32 values",
                    held.attr.name,
                    {"type": held.type, "float_like": content.float_like},
                )


def _nan(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for held in _held(view):
            content, values = held.content, held.content.values
            # Bytes read as floats hold NaN by accident; input-type-zero says so.
            if left_float32(content.size, held.attr.n_elems, held.type, content.float_like):
                continue
            if values is not None and (values.nan or values.inf):
                yield Observation(
                    view.number,
                    (held.call,),
                    f"input {described(held.attr)} holds {values.nan} NaN and {values.inf} infinite values of "
                    f"{values.n}",
                    held.attr.name,
                    {"nan": values.nan, "inf": values.inf, "n": values.n},
                )


def _constant(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        by_name: dict[str, list[_Held]] = {}
        for held in _held(view):
            by_name.setdefault(held.attr.name, []).append(held)
        for name, all_held in by_name.items():
            flat = [held for held in all_held if held.content.is_constant and held.attr.n_elems > _SMALL]
            # A first run on a flat picture to warm up is usual.
            warm_up = len(flat) == 1 and flat[0] is all_held[0] and len(all_held) > 1
            for held in () if warm_up else flat:
                seen = held.content.values or held.content.bytes
                value = seen.minimum if seen is not None else None
                yield Observation(
                    view.number,
                    (held.call,),
                    f"input {described(held.attr)}: all {held.attr.n_elems} elements are {value:g}",
                    name,
                    {"value": value},
                )


def run_inputs(view: ContextView) -> Iterator[tuple[int, tuple[tuple[str, str], ...]]]:
    """Each run's call number and its inputs' (name, hash), from the last inputs_set and the bound memories."""
    given: dict[str, str] = {}
    for call in view.calls:
        if isinstance(call.details, InputsSet) and not call.failed:
            for item in call.details.inputs:
                attr = view.input_at(item.position)
                if attr is not None and item.content is not None:
                    given[attr.name] = item.content.xxh64
        elif isinstance(call.details, Run) and not call.failed:
            now = dict(given)
            now.update({b.name: b.before.xxh64 for b in call.details.bound if b.direction == "input" and b.before})
            yield call.seq, tuple(sorted(now.items()))


def _stale(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        before: tuple[int, tuple[tuple[str, str], ...]] | None = None
        for seq, signature in run_inputs(view):
            if before is not None and signature and before[1] == signature:
                yield Observation(
                    view.number,
                    (before[0], seq),
                    "two runs in a row had the same input contents; is the buffer filled before each run? "
                    "(Repeating one picture on purpose, as a benchmark does, looks the same)",
                    "",
                    {"xxh64": signature[0][1]},
                )
            before = (seq, signature)


def _reference(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        reference = subject.reference_of(view)
        if reference is None:
            continue
        matched: set[str] = set()
        different: dict[str, _Held] = {}
        for held in _held(view):
            found = reference.recognise(held.attr.name, held.content)
            if found is None:
                different.setdefault(held.attr.name, held)
            elif found == "":
                matched.add(held.attr.name)
            else:
                matched.add(held.attr.name)
                yield Observation(
                    view.number,
                    (held.call,),
                    f"input {described(held.attr)} is the reference's input {found}",
                    held.attr.name,
                    {"difference": found, "xxh64": held.content.xxh64},
                )
        for name, held in different.items():
            if name not in matched and reference.has(name):
                yield Observation(
                    view.number,
                    (held.call,),
                    f"no buffer given for input {described(held.attr)} is the reference's input, in any order of "
                    "channels or axes",
                    name,
                    {"xxh64": held.content.xxh64},
                    Severity.WARNING,
                )


RULES = (
    Rule(
        "input-unit-range",
        Severity.ERROR,
        "data in 0..1 where the model's scale is that of pixels",
        "RKNN manual 7.2.2 (U2); airockchip/rknn-toolkit2#529",
        "Give the pixels as they are, 0..255 in uint8. If the model was trained on data in 0..1, configure "
        "std_values 255 when "
        "converting instead of dividing in the application.",
        "inputs[0].type = RKNN_TENSOR_UINT8; /* no division by 255 */",
        _unit_range,
    ),
    Rule(
        "input-normalized-twice",
        Severity.ERROR,
        "the application normalises although the model does",
        "RKNN manual 7.2.2 (U2)",
        "mean_values and std_values were set at conversion: give raw pixels, usually uint8 0..255.",
        "inputs[0].type = RKNN_TENSOR_UINT8;\ninputs[0].buf = pixels; /* not (x - mean) / std */",
        _normalized_twice,
    ),
    Rule(
        "input-float-bytes",
        Severity.WARNING,
        "a buffer declared as bytes seems to hold float32 data",
        "RKNN manual 7.2.2 (U3)",
        "Declare RKNN_TENSOR_FLOAT32 with four bytes for each element, or give the uint8 picture.",
        "inputs[0].type = RKNN_TENSOR_FLOAT32;\ninputs[0].size = attr.n_elems * sizeof(float);",
        _float_bytes,
    ),
    Rule(
        "input-not-finite",
        Severity.ERROR,
        "an input holds NaN or infinite values",
        "RKNN manual 7.2.2 (U4)",
        "Find the division by zero or the uninitialised memory before rknn_inputs_set.",
        "assert(isfinite(data[i]));",
        _nan,
    ),
    Rule(
        "input-constant",
        Severity.WARNING,
        "every element of an input has the same value",
        "RKNN manual 7.2.2 (U4); airockchip/rknn-toolkit2#529",
        "Was the picture read and copied into this buffer? Check the return values of decoding, resizing and RGA.",
        "if (cv_image.empty()) return -1;",
        _constant,
    ),
    Rule(
        "input-stale",
        Severity.WARNING,
        "consecutive runs had the same input",
        "PaddlePaddle/FastDeploy#1989",
        "Fill the buffer and call rknn_inputs_set before every rknn_run; with RGA or DMA wait until the transfer is "
        "done.",
        "memcpy(input_mem->virt_addr, frame, size);\nrknn_mem_sync(ctx, input_mem, RKNN_MEMORY_SYNC_TO_DEVICE);\n"
        "rknn_run(ctx, NULL);",
        _stale,
    ),
    Rule(
        "input-differs-from-reference",
        Severity.ERROR,
        "the input is not the reference's",
        "RKNN manual 7.2.2 (U1, U2)",
        "Make the application's preprocessing equal to the simulator's: channel order, layout, normalisation, "
        "resizing.",
        "cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB); /* if red and blue are swapped */",
        _reference,
    ),
)
