"""Rules about the fields of rknn_input: layout, type, size, position. What the buffer holds is in rules_content."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import (
    BYTE_TYPES,
    TYPE_NBYTES,
    ContextView,
    Subject,
    described,
    is_picture,
    nbytes_of,
)
from rkparity.trace import TensorAttributes

# Below this fraction of plausible 32-bit floats a buffer holds something else: random bytes have 0.19 (48 of 256
# exponents), pictures about as much.
_FLOAT_LIKE_MIN = 0.5
# By the type of the model's input (RKNN manual, general API; FLOAT16 into int8 and INT32, FLOAT32 into int64: evidence
# 160_net25_f16_nhwc, 160_b25_ids_i32_int8, 160_b25_ids_f32_int8).
_ACCEPTED = {
    "INT8": ("INT8", "UINT8", "FLOAT32", "FLOAT16"),
    "UINT8": ("INT8", "UINT8", "FLOAT32", "FLOAT16"),
    "FLOAT16": ("UINT8", "FLOAT16", "FLOAT32"),
    "BOOL": ("BOOL",),
    "INT64": ("INT64", "INT32", "FLOAT32"),
}


def _fmt_4d(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, given, attr in view.given():
            if attr.n_dims == 4 and given.pass_through == 0 and given.fmt != "NHWC" and not _strange(given.fmt):
                zero = " (what a zeroed structure says)" if given.fmt == "NCHW" else ""
                outcome = "it failed" if call.failed else "it returned 0 and took no data, or took it wrongly"
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} was given with fmt {given.fmt}{zero}; 4-D inputs are NHWC: {outcome}",
                    attr.name,
                    {"fmt": given.fmt, "expected": "NHWC"},
                )


def _fmt_other_rank(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, given, attr in view.given():
            if attr.n_dims != 4 and given.pass_through == 0 and given.fmt != "UNDEFINED" and not _strange(given.fmt):
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} has {attr.n_dims} dimensions and was given with fmt {given.fmt}; the "
                    "library "
                    "ignores it and takes the data in the original model's order",
                    attr.name,
                    {"fmt": given.fmt, "expected": "UNDEFINED", "n_dims": attr.n_dims},
                )


def left_float32(size: int, n_elems: int, declared: str, float_like: float | None) -> bool:
    """Whether a buffer declared FLOAT32 holds bytes, by its size or by its first words."""
    if declared != "FLOAT32":
        return False
    return size == n_elems or (size == 4 * n_elems and float_like is not None and float_like < _FLOAT_LIKE_MIN)


def _type_zero(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_reshaped:
            continue
        for call, given, attr in view.given():
            like = given.content.float_like if given.content is not None else None
            if given.pass_through == 0 and left_float32(given.size, attr.n_elems, given.type, like):
                seen = (
                    f"size is {given.size}, one byte for each element"
                    if given.size == attr.n_elems
                    else f"only {like:.0%} of its words could be float32 values"
                )
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} is declared FLOAT32, which is also what a zeroed type says, but {seen}",
                    attr.name,
                    {"type": given.type, "size": given.size, "n_elems": attr.n_elems, "float_like": like},
                )


def _size_small(subject: Subject) -> Iterator[Observation]:
    yield from _size(subject, small=True)


def _size_big(subject: Subject) -> Iterator[Observation]:
    yield from _size(subject, small=False)


def _refuses_longer(view: ContextView, attr: TensorAttributes, kind: str) -> bool:
    """Whether librknnrt takes nothing of a longer buffer: pixels that the NPU normalises, copied in one piece."""
    native = view.native(attr.name)
    padded = native is not None and native.n_dims == 4 and native.w_stride > native.dims[2]
    return kind == "UINT8" and attr.type == "INT8" and is_picture(attr) and not padded


def _size(subject: Subject, *, small: bool) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_reshaped:
            continue
        for call, given, attr in view.given():
            need = nbytes_of(attr, given.type)
            if given.pass_through != 0 or need is None or given.size == need or (given.size < need) != small:
                continue
            if left_float32(given.size, attr.n_elems, given.type, None):
                continue
            other = next((name for name, width in TYPE_NBYTES.items() if given.size == attr.n_elems * width), None)
            guess = f"; that is the size of {other} data" if other is not None else ""
            refused = not small and _refuses_longer(view, attr, given.type)
            taken = "" if small or refused else f"; the first {need} bytes are taken, and the rest is not"
            yield Observation(
                view.number,
                (call.seq,),
                f"input {described(attr)}: size is {given.size}, {attr.n_elems} elements of {given.type} are {need} "
                f"bytes{guess}{taken}",
                attr.name,
                {"size": given.size, "expected": need, "type": given.type, "n_elems": attr.n_elems},
                Severity.WARNING if taken and other is None else None,
            )


def _type_refused(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, given, attr in view.given():
            accepted = _ACCEPTED.get(attr.type)
            if (
                given.pass_through == 0
                and accepted is not None
                and given.type not in accepted
                and not _strange(given.type)
            ):
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} was given as {given.type}; it takes {', '.join(accepted)}",
                    attr.name,
                    {"type": given.type, "model_type": attr.type},
                )


def _int8_pixels(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, given, attr in view.given():
            if given.type == "INT8" and given.pass_through == 0 and is_picture(attr) and attr.type == "INT8":
                yield _int8(view.number, call.seq, described(attr), attr.name, attr.scale, attr.zp)
        for call, binding in view.bindings():
            attr_given = binding.attr
            plain = view.named(attr_given.name) if attr_given is not None else None
            if attr_given is None or plain is None or not view.is_input(attr_given.name) or call.failed:
                continue
            nhwc = attr_given.fmt == "NHWC" and attr_given.pass_through == 0
            if attr_given.type == "INT8" and nhwc and is_picture(plain) and plain.type == "INT8":
                yield _int8(view.number, call.seq, described(plain), plain.name, plain.scale, plain.zp)


def _int8(context: int, seq: int, what: str, name: str, scale: float | None, zp: int) -> Observation:
    return Observation(
        context,
        (seq,),
        f"picture input {what} is declared INT8: the library takes the bytes as already quantised, (q - {zp}) * "
        f"{scale}. "
        "Raw pixels above 127 become negative",
        name,
        {"type": "INT8", "scale": scale, "zero_point": zp},
    )


def _index(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, details in view.sets():
            indices = [given.index for given in details.inputs]
            if indices == list(range(len(indices))):
                continue
            swapped = sorted(indices) == list(range(len(indices)))
            yield Observation(
                view.number,
                (call.seq,),
                f"inputs[] has the indices {indices}; the library ignores them and goes by the place in the array"
                + (": each of these buffers went to another input" if swapped else ""),
                "",
                {"indices": str(indices)},
                Severity.ERROR if swapped else None,
            )


def _count(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if not view.inputs:
            continue
        for call, details in view.sets():
            if details.n_inputs != len(view.inputs):
                missing = ", ".join(repr(attr.name) for attr in view.inputs[details.n_inputs :])
                few = f"it returns success, and {missing} keep what they held before"
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"n_inputs is {details.n_inputs}, the model has {len(view.inputs)} inputs: "
                    + ("refused" if details.n_inputs > len(view.inputs) else few),
                    "",
                    {"n_inputs": details.n_inputs, "expected": len(view.inputs)},
                )


def _strange(text: str) -> bool:
    return text.startswith("UNKNOWN")


def _garbage(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, details in view.sets():
            for given in details.inputs:
                odd = {"pass_through": given.pass_through} if given.pass_through > 1 else {}
                fields = {**odd, **{k: v for k, v in (("type", given.type), ("fmt", given.fmt)) if _strange(v)}}
                if fields:
                    attr = view.input_at(given.position)
                    yield _not_set(
                        view.number, call.seq, f"inputs[{given.position}]", attr.name if attr else "", fields
                    )
        for call, got in view.gets():
            for output in got.outputs:
                fields = {
                    name: value
                    for name, value in (("want_float", output.want_float), ("is_prealloc", output.is_prealloc))
                    if value > 1
                }
                if fields:
                    attr = view.output_at(output.position)
                    yield _not_set(
                        view.number, call.seq, f"outputs[{output.position}]", attr.name if attr else "", fields
                    )


def _not_set(context: int, seq: int, what: str, name: str, fields: dict[str, object]) -> Observation:
    said = ", ".join(f"{key} = {value}" for key, value in fields.items())
    values = {key: str(value) for key, value in fields.items()}
    return Observation(context, (seq,), f"{what} holds {said}: the structure was not initialised", name, dict(values))


def _pass_through(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_reshaped:
            continue
        for call, given, attr in view.given():
            native = view.native(attr.name)
            if given.pass_through != 1 or native is None:
                continue
            need = native.size_with_stride or native.size
            wrong = []
            if given.size != need:
                wrong.append(f"size is {given.size}, the native tensor has {need} bytes (size_with_stride)")
            if given.fmt not in (native.fmt, "UNDEFINED"):
                wrong.append(f"fmt is {given.fmt}, the native layout is {native.fmt}")
            if given.type != native.type:
                pixels = ": pixels are neither normalised nor quantised" if given.type in BYTE_TYPES else ""
                wrong.append(f"type is {given.type}, the native type is {native.type}{pixels}")
            if wrong:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} was given with pass_through 1, so its bytes go to the NPU as they are; "
                    "but " + "; ".join(wrong),
                    attr.name,
                    {"size": given.size, "expected": need, "fmt": given.fmt, "type": given.type},
                )


RULES = (
    Rule(
        "input-fmt-4d",
        Severity.ERROR,
        "a 4-D input is not given as NHWC",
        "RKNN manual 7.2.2 (U2); evidence 152_gen_u8_nchw_pt0, 160_gen_u8_nchw_pt0, 160_gen_u8_undefined_pt0",
        "Set fmt to RKNN_TENSOR_NHWC and give the data in that order. Transpose an NCHW buffer first, also when it is "
        "another model's output.",
        "inputs[0].fmt = RKNN_TENSOR_NHWC; /* buf[((n*H + h)*W + w)*C + c] */",
        _fmt_4d,
    ),
    Rule(
        "input-fmt-other-rank",
        Severity.WARNING,
        "a layout is named for an input that is not 4-D",
        "RKNN manual 7.2.2 (U2); evidence 160_b25_d2_nchw_int8, 160_b25_d2_nhwc_int8",
        "Set fmt to RKNN_TENSOR_UNDEFINED and give the data in the original model's order.",
        "inputs[0].fmt = RKNN_TENSOR_UNDEFINED;",
        _fmt_other_rank,
    ),
    Rule(
        "input-type-zero",
        Severity.ERROR,
        "type is FLOAT32, which is 0, but the buffer holds bytes",
        "RKNN manual 7.2.2 (U3); evidence 160_err_f32_u8size",
        "Set type to what the buffer holds: RKNN_TENSOR_UINT8 for a picture.",
        "memset(inputs, 0, sizeof inputs);\ninputs[0].type = RKNN_TENSOR_UINT8;\ninputs[0].size = width * height * "
        "channels;",
        _type_zero,
    ),
    Rule(
        "input-size-small",
        Severity.ERROR,
        "the buffer is smaller than the input",
        "RKNN manual 7.2.2 (U3); evidence 160_err_size_small, 160_err_size_zero",
        "Set size to elements * bytes of the declared type, the batch included.",
        "inputs[0].size = attr.n_elems * sizeof(uint8_t); /* RKNN_TENSOR_UINT8 */",
        _size_small,
    ),
    Rule(
        "input-size-big",
        Severity.ERROR,
        "the buffer is larger than the input",
        "RKNN manual 7.2.2 (U3); evidence 160_err_size_big, seq_15_*, seq_17_*",
        "Set size to exactly elements * bytes of the declared type. If the data really are of a larger type, declare "
        "that. Of pixels for an int8 model whose rows are not padded the library takes nothing, and returns 0.",
        "inputs[0].size = attr.n_elems * sizeof(uint8_t); /* not size_with_stride, not a struct's size */",
        _size_big,
    ),
    Rule(
        "input-type-refused",
        Severity.ERROR,
        "the model's input does not take this type",
        "RKNN manual, rknn_inputs_set; evidence 160_gen_int64_nhwc_pt0, 160_gen_int16_nhwc_pt0, 160_gen_bool_nhwc_pt0",
        "Convert the data to a type the input takes. Some refused types return 0 and take no data.",
        "inputs[0].type = RKNN_TENSOR_UINT8; /* int8 input: INT8, UINT8, FLOAT32; float16 input: UINT8, FLOAT16, "
        "FLOAT32 */",
        _type_refused,
    ),
    Rule(
        "input-int8-pixels",
        Severity.WARNING,
        "a picture is declared INT8",
        "evidence 160_net25_i8_nhwc, 160_zc_in_i8_nhwc; RKNN manual 7.2.2 (U2)",
        "Declare raw pixels as UINT8, whatever the attribute's type says: the library normalises and quantises them. "
        "INT8 is right only for data your program has quantised itself.",
        "inputs[0].type = RKNN_TENSOR_UINT8; /* 0..255 */",
        _int8_pixels,
    ),
    Rule(
        "input-index",
        Severity.WARNING,
        "index does not agree with the place in the array",
        "evidence 160_err_index_swapped, 160_err_index_dup, 160_err_index_oob",
        "Fill inputs[i] for input i, and set index to i.",
        "for (uint32_t i = 0; i < n; i++) { inputs[i].index = i; inputs[i].buf = data[i]; }",
        _index,
    ),
    Rule(
        "input-count",
        Severity.ERROR,
        "n_inputs is not the model's number of inputs",
        "evidence 160_err_three, 160_err_one_of_two, 160_err_n0",
        "Give all inputs in one call.",
        "rknn_inputs_set(ctx, io_num.n_input, inputs);",
        _count,
    ),
    Rule(
        "struct-garbage",
        Severity.ERROR,
        "a structure was not initialised",
        "evidence 160_err_type_99, 160_err_fmt_99; airockchip/rknn-toolkit2#295",
        "Set the whole array to zero before filling it in.",
        "rknn_output outputs[N];\nmemset(outputs, 0, sizeof outputs);",
        _garbage,
    ),
    Rule(
        "input-pass-through",
        Severity.ERROR,
        "pass_through without the native layout, type or stride",
        "RKNN manual 7.2.2 (U3); evidence 160_gen_u8_nhwc_pt1, 160_err_pt1_small, 160_err_pt1_f32, "
        "160_b25_c3w30_pt1stride_int8",
        "Give ordinary data with pass_through 0. With 1, give exactly what the native attributes describe, row padding "
        "included.",
        "inputs[0].pass_through = 0;",
        _pass_through,
    ),
)
