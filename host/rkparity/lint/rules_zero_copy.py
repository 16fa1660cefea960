"""Rules about the zero-copy API: memories, their attributes, and cache maintenance."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import TYPE_NBYTES, ContextView, Subject, described, nbytes_of
from rkparity.trace import InputsSet, Query, Run, SetIoMemory, TensorAttributes, TraceCall


def _needed(view: ContextView, attr: TensorAttributes) -> int | None:
    """Bytes a memory needs to hold the tensor as `attr` says (evidence 160_zc_in_f32_nhwc, 160_zc_f32_small)."""
    native, plain = view.native(attr.name), view.named(attr.name)
    if plain is None:
        return None
    if native is not None and (attr.fmt == "NC1HWC2" or attr.pass_through == 1):
        return native.size_with_stride or native.size
    width = TYPE_NBYTES.get(attr.type)
    if width is None:
        return None
    if view.is_input(attr.name) and native is not None and native.fmt == "NHWC" and native.type in TYPE_NBYTES:
        # Rows are padded to w_stride; the native size counts them in the native type.
        return (native.size_with_stride or native.size) // TYPE_NBYTES[native.type] * width
    return nbytes_of(plain, attr.type)


def _size(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_reshaped:
            continue
        for call, binding in view.bindings():
            if binding.memory is None or binding.attr is None:
                continue
            attr, memory = binding.attr, binding.memory
            need = _needed(view, attr)
            room = memory.size - memory.offset if memory.id == 0 or memory.offset > 0 else memory.size
            if need is None or room >= need:
                continue
            native = view.native(attr.name)
            plain_size = native is not None and memory.size == native.size < need
            yield Observation(
                view.number,
                (call.seq,),
                f"the memory for {'input' if view.is_input(attr.name) else 'output'} {attr.name!r} has {memory.size} "
                "bytes, it "
                f"needs {need} as {attr.fmt} {attr.type}"
                + ("; that is its size, not its size_with_stride" if plain_size else "")
                + f" (rknn_set_io_mem returned {call.ret_name})",
                attr.name,
                {"size": memory.size, "expected": need, "fmt": attr.fmt, "type": attr.type},
            )


def _attributes(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, binding in view.bindings():
            attr = binding.attr
            if attr is None or view.info is None:
                continue
            wrong = _wrong_attribute(view, attr)
            if wrong:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"{attr.name!r} was set with fmt {attr.fmt}, type {attr.type}, pass_through {attr.pass_through}: "
                    f"{wrong}",
                    attr.name,
                    {"fmt": attr.fmt, "type": attr.type, "pass_through": attr.pass_through},
                )


def _wrong_attribute(view: ContextView, attr: TensorAttributes) -> str:
    plain, native = view.named(attr.name), view.native(attr.name)
    if plain is None:
        return "the model has no input or output of this name"
    if view.is_input(attr.name):
        if plain.n_dims == 4 and attr.fmt in ("NCHW", "UNDEFINED"):
            return "a 4-D input's memory is NHWC, or NC1HWC2 with pass_through 1; the run fails or crashes"
        if attr.fmt == "NC1HWC2" and attr.pass_through == 0:
            return "NC1HWC2 needs pass_through 1"
        if attr.pass_through == 1 and native is not None:
            # Pixels may stay pixels where the native attribute is of the same width (evidence 160_zc_in_u8_pt1).
            same_width = TYPE_NBYTES.get(attr.type) == TYPE_NBYTES.get(native.type)
            if attr.fmt != native.fmt or not same_width:
                return f"with pass_through 1 it has to be what the native attribute says, {native.fmt} {native.type}"
        return ""
    if attr.fmt == "NC1HWC2" and native is not None and native.fmt == "NC1HWC2" and attr.type != native.type:
        return f"the native layout exists in the native type only, {native.type}; the run fails"
    if attr.fmt == "NC1HWC2" and native is not None and native.fmt != "NC1HWC2":
        return f"the native layout of this output is {native.fmt}"
    return ""


def _queried(view: ContextView, direction: str) -> tuple[bool, bool]:
    """Whether the program asked for (plain, native) attributes of inputs or outputs."""
    side = "INPUT" if direction == "input" else "OUTPUT"
    commands = {call.details.command for call in view.calls if isinstance(call.details, Query) and not call.failed}
    plain = bool(commands & {f"{side}_ATTR", f"CURRENT_{side}_ATTR"})
    native = any("NATIVE" in command and command.endswith(f"{side}_ATTR") for command in commands)
    return plain, native


def _same_memory(view: ContextView, name: str) -> bool:
    """Whether plain and native attributes describe the same memory, as for pictures."""
    plain, native = view.named(name), view.native(name)
    return (
        plain is not None
        and native is not None
        and (plain.dims, plain.fmt, plain.type) == (native.dims, native.fmt, native.type)
        and (plain.w_stride, plain.size_with_stride) == (native.w_stride, native.size_with_stride)
    )


def _plain_query(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.info is None:
            continue
        asked = {direction: _queried(view, direction) for direction in ("input", "output")}
        for call, binding in view.bindings():
            attr = binding.attr
            if attr is None or view.named(attr.name) is None:
                continue
            direction = "input" if view.is_input(attr.name) else "output"
            plain, native = asked[direction]
            if not plain or native or _same_memory(view, attr.name):
                continue
            if direction == "output" and not view.is_mini:
                continue  # memory in NCHW or NHWC, which librknnrt converts to
            yield Observation(
                view.number,
                (call.seq,),
                f"{direction} {attr.name!r} got its memory from plain attributes (fmt {attr.fmt}, size_with_stride "
                f"{attr.size_with_stride}); the program never asked for the native ones",
                attr.name,
                {"fmt": attr.fmt, "size_with_stride": attr.size_with_stride},
                Severity.ERROR if view.is_mini else None,
            )


def _missing(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if not view.outputs or any(True for _ in view.gets()):
            continue
        have: set[str] = set()
        for call in view.calls:
            if isinstance(call.details, SetIoMemory) and not call.failed and call.details.attr is not None:
                have.add(call.details.attr.name)
            elif isinstance(call.details, Run) and have:
                missing = [attr.name for attr in view.outputs if attr.name not in have]
                if missing:
                    names = ", ".join(repr(name) for name in missing)
                    yield Observation(
                        view.number,
                        (call.seq,),
                        f"the model ran without a memory for output {names}, and outputs are never fetched otherwise",
                        missing[0],
                        {"missing": names},
                    )


def _mixed(subject: Subject) -> Iterator[Observation]:
    """rknn_inputs_set sends outputs to rknn_outputs_get again, not to memories bound before (160_zc_mix_inputs_set)."""
    for view in subject.contexts:
        bound: dict[str, TraceCall] = {}
        lost: dict[str, TraceCall] = {}
        for call in view.calls:
            details = call.details
            if isinstance(details, SetIoMemory) and not call.failed and details.attr is not None:
                if not view.is_input(details.attr.name):
                    bound[details.attr.name] = call
                    lost.pop(details.attr.name, None)
            elif isinstance(details, InputsSet) and not call.failed and details.n_inputs:
                lost.update(bound)
                bound.clear()
            elif isinstance(details, Run) and not call.failed:
                for name, binding in lost.items():
                    yield Observation(
                        view.number,
                        (binding.seq, call.seq),
                        f"output {name!r} was bound to a memory, then rknn_inputs_set was called: this run did not "
                        "write to "
                        "that memory",
                        name,
                    )


def _stride(subject: Subject) -> Iterator[Observation]:
    """A padded input whose program never looked at w_stride cannot be told from one that did; its size can."""
    for view in subject.contexts:
        if view.is_reshaped:
            continue  # the attributes known are those of other shapes
        for call, binding in view.bindings():
            attr, memory = binding.attr, binding.memory
            native = view.native(attr.name) if attr is not None else None
            if attr is None or memory is None or native is None or call.failed or not view.is_input(attr.name):
                continue
            if (
                attr.w_stride
                and native.w_stride
                and attr.w_stride != native.w_stride
                and attr.fmt == native.fmt == "NHWC"
            ):
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(attr)} was set with w_stride {attr.w_stride}; this chip reads rows of "
                    f"{native.w_stride} "
                    "elements",
                    attr.name,
                    {"w_stride": attr.w_stride, "expected": native.w_stride},
                )


def _mini_general(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_mini:
            for call in view.calls:
                if call.name in ("rknn_inputs_set", "rknn_outputs_get"):
                    yield Observation(
                        view.number,
                        (call.seq,),
                        f"{call.name} on the mini runtime of RV1103/RV1106 returned {call.ret_name}",
                        "",
                        {"call": call.name, "code": call.ret},
                    )


RULES = (
    Rule(
        "io-mem-size",
        Severity.ERROR,
        "a zero-copy memory is too small",
        "RKNN manual 7.2.2 (U3); evidence 160_zc_small, 160_zc_out_small, 160_zc_out_noStride, 160_zc_f32_small",
        "Allocate size_with_stride of the native attributes; for a wider type than the native one, as many times more.",
        "rknn_tensor_mem *mem = rknn_create_mem(ctx, native_attr.size_with_stride);",
        _size,
    ),
    Rule(
        "io-mem-attributes",
        Severity.ERROR,
        "the attributes do not describe the memory the tensor can have",
        "evidence 160_zc_in_u8_nchw, 160_zc_in_u8_undefined, 160_zc_in_u8_nc1hwc2, 160_zc_out_native_f32",
        "Take the native attributes and change only type (UINT8 for pixels), with fmt NHWC and pass_through 0.",
        "attr.type = RKNN_TENSOR_UINT8;\nattr.fmt = RKNN_TENSOR_NHWC;\nattr.pass_through = 0;\nrknn_set_io_mem(ctx, "
        "mem, &attr);",
        _attributes,
    ),
    Rule(
        "io-mem-plain-query",
        Severity.WARNING,
        "plain instead of native attributes for zero-copy",
        "RKNN manual, zero-copy API; airockchip/rknn_model_zoo#448",
        "Query RKNN_QUERY_NATIVE_INPUT_ATTR and RKNN_QUERY_NATIVE_OUTPUT_ATTR (RV1103/RV1106: "
        "RKNN_QUERY_NATIVE_NHWC_OUTPUT_ATTR).",
        "rknn_query(ctx, RKNN_QUERY_NATIVE_INPUT_ATTR, &attr, sizeof attr);",
        _plain_query,
    ),
    Rule(
        "io-mem-mixed",
        Severity.ERROR,
        "rknn_inputs_set after rknn_set_io_mem of an output",
        "evidence 160_zc_mix_inputs_set",
        "Give inputs with rknn_set_io_mem as well, or fetch outputs with rknn_outputs_get.",
        "rknn_set_io_mem(ctx, input_mem, &native_input_attr); /* instead of rknn_inputs_set */",
        _mixed,
    ),
    Rule(
        "io-mem-missing",
        Severity.ERROR,
        "rknn_set_io_mem is missing for an output",
        "evidence 160_zc_only_in, 160_zc_only_one_in",
        "Set a memory for every input and every output, or fetch outputs with rknn_outputs_get.",
        "for (uint32_t i = 0; i < io_num.n_output; i++) rknn_set_io_mem(ctx, output_mems[i], &output_attrs[i]);",
        _missing,
    ),
    Rule(
        "io-mem-stride",
        Severity.ERROR,
        "w_stride is not what the NPU reads",
        "evidence 160_b25_zc_c3w30_u8_int8; airockchip/rknn-toolkit2#5",
        "Leave the native attribute's w_stride, and copy pictures row by row.",
        "for (uint32_t y = 0; y < h; y++) memcpy(dst + y * attr.w_stride * c, src + y * w * c, w * c);",
        _stride,
    ),
    Rule(
        "mini-general-api",
        Severity.ERROR,
        "the general API on RV1103/RV1106",
        "airockchip/rknn-toolkit2#335; evidence mrt232_run_noio",
        "These chips have the zero-copy API only: rknn_create_mem and rknn_set_io_mem.",
        "rknn_set_io_mem(ctx, input_mem, &native_input_attr);",
        _mini_general,
    ),
)
