"""Rules about element types that librknnrt takes without a word and does not convert."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import Subject, described, is_picture

_MINI_TYPES = ("INT8", "UINT8")
_CONVERTED = ("FLOAT16", "FLOAT32")


def _changed(subject: Subject) -> Iterator[Observation]:
    """Another type after pixels were given: the NPU goes on normalising, and takes the bytes for pixels."""
    for view in subject.contexts:
        pixels: dict[str, int] = {}
        for call, given, attr in view.given():
            if call.failed or given.pass_through or attr.type != "INT8" or not is_picture(attr):
                continue
            if given.type == "UINT8":
                pixels.setdefault(attr.name, call.seq)
            elif attr.name in pixels:
                yield Observation(
                    view.number,
                    (pixels[attr.name], call.seq),
                    f"input {described(attr)} is {given.type} now and was UINT8 before on this context: the first "
                    f"{attr.n_elems} bytes of the buffer are taken as pixels",
                    attr.name,
                    {"type": given.type, "before": "UINT8"},
                )


def _mini_input(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, binding in view.bindings() if view.is_mini else ():
            attr = binding.attr
            if attr is None or call.failed or attr.pass_through or not view.is_input(attr.name):
                continue
            plain = view.named(attr.name)
            if plain is not None and plain.type == "INT8" and attr.type not in _MINI_TYPES:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"input {described(plain)} got memory of {attr.type}: the mini runtime reads its bytes as INT8",
                    attr.name,
                    {"type": attr.type},
                )


def _output_memory(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, binding in view.bindings() if not view.is_mini else ():
            attr = binding.attr
            plain = view.named(attr.name) if attr is not None else None
            if attr is None or plain is None or call.failed or view.is_input(attr.name):
                continue
            if plain.type == "FLOAT16" and attr.type not in _CONVERTED and attr.fmt != "NC1HWC2":
                size = binding.memory.size if binding.memory is not None else 0
                beyond = ", past the end of its memory" if size < plain.n_elems * 4 else ""
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"output {described(plain)} is asked for as {attr.type}: librknnrt writes FLOAT32 all the same"
                    f"{beyond}",
                    attr.name,
                    {"type": attr.type, "written": "FLOAT32", "size": size},
                )


RULES = (
    Rule(
        "input-type-changed",
        Severity.ERROR,
        "the input's type changed on one context",
        "evidence seq_17_b25_split_int8_rk3588, seq_17_mi_rk3588_2x",
        "Give an input the same type in every rknn_inputs_set of a context: after UINT8 pixels librknnrt does not "
        "convert anything else, and returns 0. Use a context for each type.",
        "inputs[0].type = RKNN_TENSOR_UINT8; /* in every frame */",
        _changed,
    ),
    Rule(
        "mini-input-type",
        Severity.ERROR,
        "the mini runtime does not convert this type",
        "RKNN manual, zero-copy on RV1103/RV1106; tried on librknnmrt 2.3.2",
        "RV1103 and RV1106 take UINT8 pixels (pass_through 0) or INT8 that the program quantised itself. FLOAT32, "
        "FLOAT16 and INT16 return 0, and their bytes are read as INT8.",
        "input_attr.type = RKNN_TENSOR_UINT8;\ninput_attr.fmt = RKNN_TENSOR_NHWC;",
        _mini_input,
    ),
    Rule(
        "output-mem-type",
        Severity.ERROR,
        "a float16 output does not come as integers",
        "evidence seq_53_b25_c3w30_fp16_rk3588, seq_25_b25_c3w30_fp16_rk3588",
        "Ask for FLOAT32 or FLOAT16, with memory of that size.",
        "output_attr.type = RKNN_TENSOR_FLOAT32;\n"
        "output_mem = rknn_create_mem(ctx, output_attr.n_elems * sizeof(float));",
        _output_memory,
    ),
)
