"""Cause, fix and code for each way an output can be misread, in the terms of the C API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rkparity.diagnose.outputs.records import ExpectedOutput

_MANUAL_WANT_FLOAT = "RKNN manual 7.2.2 (outputs); airockchip/rknn-toolkit2#445"


@dataclass(frozen=True)
class Advice:
    """What a finding about an output says besides its numbers."""

    id: str
    title: str
    cause: str
    fix: str
    code: str
    reference: str = ""


def advice_for(value_id: str, order_id: str, expected: ExpectedOutput, other: int | None, detail: str) -> list[Advice]:
    """One Advice per mistake of a reading: the source first, then the order, then the values."""
    found = []
    if other is not None:
        found.append(_other_output(expected, other))
    if order_id:
        found.append(_order(order_id, expected))
    if value_id:
        found.append(_value(value_id, expected, detail))
    return found


def _other_output(expected: ExpectedOutput, other: int) -> Advice:
    return Advice(
        "output.order",
        f"output {expected.index} holds output {other}",
        f"The values the application takes for output {expected.index} ({expected.name}) are those of output {other}.",
        "Take the outputs in the order of RKNN_QUERY_OUTPUT_ATTR, not in the order of the dump files or of the "
        "original model; rknn_outputs_get fills outputs[] by position.",
        "for (uint32_t i = 0; i < io_num.n_output; i++) {\n"
        "    attr[i].index = i;\n"
        "    rknn_query(ctx, RKNN_QUERY_OUTPUT_ATTR, &attr[i], sizeof(attr[i]));\n"
        '    printf("%u %s\\n", i, attr[i].name);\n'
        "}",
        "RKNN manual, rknn_outputs_get",
    )


def _order(order_id: str, expected: ExpectedOutput) -> Advice:
    shape = "x".join(map(str, expected.values.shape))
    if order_id == "nhwc":
        return Advice(
            "output.layout.nhwc",
            "the buffer is NHWC and is read as NCHW",
            f"The output's elements lie in NHWC order; the application reads {shape} NCHW.",
            "Read element (c, y, x) at (y * W + x) * C + c, or ask for NCHW.",
            "attr.fmt = RKNN_TENSOR_NCHW;\nrknn_set_io_mem(ctx, mem, &attr);",
            "RKNN manual, zero-copy API",
        )
    if order_id == "nchw-as-nhwc":
        return Advice(
            "output.layout.nchw_as_nhwc",
            "an NCHW output is converted as if it were NHWC",
            "rknn_outputs_get gives NCHW; the application transposes it once more.",
            "Leave the transposition out.",
            "float* values = (float*)outputs[i].buf;   /* NCHW: values[(c * H + y) * W + x] */",
            "RKNN manual, rknn_outputs_get",
        )
    if order_id.startswith("nc1hwc2"):
        block = order_id.split("-")[1]
        padded = order_id.endswith("padded")
        surface = "H * W rounded up to 4 pixels" if padded else "H * W"
        return Advice(
            "output.layout.nc1hwc2",
            "the native layout NC1HWC2 is read as NCHW",
            f"The output memory has the NPU's own layout NC1HWC2 (C2 = {block}, a surface has {surface}); the "
            "application reads it as NCHW.",
            "Convert it, or ask for NCHW in the attributes given to rknn_set_io_mem.",
            f"/* C2 = {block} */\nfor (c, y, x)\n"
            f"    nchw[(c * H + y) * W + x] = native[((c / {block}) * SURFACE + y * W + x) * {block} + c % {block}];"
            f"   /* SURFACE: {surface} */",
            "RKNN manual, NC1HWC2; airockchip/rknn_model_zoo#156",
        )
    if order_id.startswith("nchw-as-nc1hwc2"):
        return Advice(
            "output.layout.nchw_as_nc1hwc2",
            "an NCHW output is converted as if it were NC1HWC2",
            "The buffer is NCHW already; the application converts it from the native layout.",
            "Convert only what was queried with RKNN_QUERY_NATIVE_OUTPUT_ATTR and bound with those attributes.",
            "if (attr.fmt == RKNN_TENSOR_NC1HWC2) convert(...);",
            "RKNN manual, zero-copy API; airockchip/rknn_model_zoo#448",
        )
    if order_id.startswith("stride"):
        row = order_id.split("-")[1]
        return Advice(
            "output.layout.stride",
            "rows have a stride that is not honoured",
            f"Each row of the output takes {row} elements, of which {expected.values.shape[-1]} are values; the "
            "application reads the rows without the padding.",
            "Step by attr.w_stride from row to row (and read size_with_stride bytes).",
            "const T* row = base + (c * H + y) * (attr.w_stride ? attr.w_stride : W);",
            "RKNN manual, w_stride; airockchip/rknn-toolkit2#5",
        )
    return Advice(
        "output.layout.hw_swapped",
        "height and width are exchanged",
        f"The application reads {shape} with height and width exchanged.",
        "dims of an NCHW output are {N, C, H, W}: index as (c * H + y) * W + x.",
        "int H = attr.dims[2], W = attr.dims[3];",
        "RKNN manual, rknn_tensor_attr",
    )


def _value(value_id: str, expected: ExpectedOutput, detail: str) -> Advice:
    if "-as-" in value_id:
        return _reinterpreted(value_id, expected)
    if value_id.startswith(("parameters-of-", "scale-of-", "zero-point-of-")):
        what = {"p": "scale and zero point", "s": "scale", "z": "zero point"}[value_id[0]]
        return Advice(
            "output.quantization.other_output",
            f"dequantised with the {what} of another output",
            f"Output {expected.index} ({expected.name}) is dequantised with the {what} of {detail!r}; its own are "
            f"scale {expected.scale:.8g}, zero point {expected.zero_point}.",
            "Keep one scale and one zero point per output, from its own attributes.",
            _dequantize(expected),
            "airockchip/rknn-toolkit2#444",
        )
    make: Callable[[ExpectedOutput], Advice] = _VALUES[value_id]
    return make(expected)


def _dequantize(expected: ExpectedOutput) -> str:
    kind = "uint8_t" if expected.dtype == "uint8" else "int8_t"
    return (
        f"const {kind}* q = (const {kind}*)outputs[{expected.index}].buf;\n"
        f"float value = ((int)q[k] - attr[{expected.index}].zp) * attr[{expected.index}].scale;"
        f"   /* zp {expected.zero_point}, scale {expected.scale:.8g} */"
    )


def _reinterpreted(value_id: str, expected: ExpectedOutput) -> Advice:
    written, read = value_id.split("-as-")
    read = read.replace("-dequantized", "")
    floats = written == "float32"
    fix = (
        "want_float is 1, so the buffer holds float32: read it as float*, and do not dequantise."
        if floats
        else f"want_float is 0, so the buffer holds {written}: read that type and convert, or set want_float = 1."
    )
    code = (
        "const float* values = (const float*)outputs[i].buf;"
        if floats
        else "outputs[i].want_float = 1;   /* before rknn_outputs_get: buf then holds float32 */"
    )
    return Advice(
        f"output.want_float.{'float_as_raw' if floats else 'raw_as_float'}",
        f"the buffer holds {written} and is read as {read}",
        f"rknn_outputs_get wrote {written} values; the application reads them as {read}.",
        fix,
        code,
        _MANUAL_WANT_FLOAT,
    )


def _fixed(
    identity: str, title: str, cause: str, fix: str, reference: str = "RKNN manual, affine quantisation"
) -> Callable[[ExpectedOutput], Advice]:
    def make(expected: ExpectedOutput) -> Advice:
        return Advice(identity, title, cause, fix, _dequantize(expected), reference)

    return make


_VALUES: dict[str, Callable[[ExpectedOutput], Advice]] = {
    "not-dequantized": _fixed(
        "output.quantization.missing",
        "the integers are used without dequantising",
        "want_float is 0, so the buffer holds the NPU's integers; the application uses them as numbers.",
        "Dequantise, or set want_float = 1.",
        _MANUAL_WANT_FLOAT,
    ),
    "zero-point-missing": _fixed(
        "output.quantization.zero_point_missing",
        "the zero point is not subtracted",
        "The application multiplies by the scale only.",
        "Subtract the zero point before multiplying.",
    ),
    "scale-missing": _fixed(
        "output.quantization.scale_missing",
        "the scale is not applied",
        "The application subtracts the zero point only.",
        "Multiply by the scale after subtracting the zero point.",
    ),
    "zero-point-added": _fixed(
        "output.quantization.zero_point_sign",
        "the zero point is added instead of subtracted",
        "The application computes (q + zp) * scale.",
        "Compute (q - zp) * scale.",
    ),
    "dequantized-twice": _fixed(
        "output.quantization.twice",
        "dequantised twice",
        "want_float is 1, so the values are floats already; the application dequantises them again.",
        "Use the floats as they are, or set want_float = 0.",
        _MANUAL_WANT_FLOAT,
    ),
    "sign": _fixed(
        "output.quantization.signedness",
        "integers are read with the wrong sign",
        "The buffer's bytes are read as the other of int8 and uint8.",
        "Read the type that attr.type says.",
        "rockchip-linux/rknn-toolkit#219",
    ),
    "sign-dequantized": _fixed(
        "output.quantization.signedness",
        "integers are read with the wrong sign and dequantised",
        "The buffer's bytes are read as the other of int8 and uint8 before (q - zp) * scale.",
        "Read the type that attr.type says.",
        "rockchip-linux/rknn-toolkit#219",
    ),
    "offset-128": _fixed(
        "output.quantization.offset_128",
        "the values are q + 128",
        "An INT8 output asked for as UINT8 is q + 128.",
        "Ask for INT8, or use zp + 128 with UINT8.",
    ),
    "offset-128-dequantized": _fixed(
        "output.quantization.offset_128",
        "UINT8 values are dequantised with the INT8 zero point",
        "An INT8 output asked for as UINT8 is q + 128, and its zero point moves by 128 as well.",
        "Use zp + 128 with UINT8, or ask for INT8.",
    ),
}


def identities(advice: Sequence[Advice]) -> str:
    """The finding's id for one or several mistakes at once."""
    return "+".join(item.id for item in advice)
