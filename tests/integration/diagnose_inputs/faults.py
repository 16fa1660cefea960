"""The faults of the corpus: what the faulty application is asked to do, and the names the diagnosis must give."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Fault:
    """`resize`: how the picture is brought to size; `ops`: the application's words; `ids`: the answer.

    `expected`: how the simulator's picture was brought to size.
    """

    name: str
    stage: int
    ids: tuple[str, ...]
    ops: str = ""
    resize: str = "linear"
    expected: str = "linear"


RESIZE, PICTURE, COLOUR, VALUE, MEMORY, PARTIAL = range(6)

SHARED = (
    Fault("nearest", RESIZE, ("geometry.resampled",), resize="nearest"),
    Fault("area", RESIZE, ("geometry.resampled",), resize="area"),
    Fault("cubic", RESIZE, ("geometry.resampled",), resize="cubic"),
    Fault("pillow", RESIZE, ("geometry.resampled",), resize="pillow"),
    Fault("letterbox", RESIZE, ("geometry.letterboxed",), resize="letterbox"),
    Fault("letterbox-end", RESIZE, ("geometry.letterboxed",), resize="letterbox_end"),
    Fault("crop", RESIZE, ("geometry.cropped",), resize="crop"),
    Fault("off-by-one", RESIZE, ("geometry.cropped",), resize="off_by_one"),
    Fault("stretch", RESIZE, ("geometry.stretched",), resize="linear", expected="letterbox"),
    Fault("pad-value", RESIZE, ("geometry.pad_value",), resize="letterbox_black", expected="letterbox"),
    Fault("other-side", RESIZE, ("geometry.letterboxed",), resize="letterbox_end", expected="letterbox"),
    Fault("previous", RESIZE, ("stale.previous",), "again", resize="previous"),
    Fault("flip-h", PICTURE, ("geometry.flip_horizontal",), "fliph"),
    Fault("flip-v", PICTURE, ("geometry.flip_vertical",), "flipv"),
    Fault("rot180", PICTURE, ("geometry.rotated_180",), "rot180"),
    Fault("shift-3-5", PICTURE, ("geometry.shifted",), "shift:3:5"),
    Fault("shift-1-0", PICTURE, ("geometry.shifted",), "shift:1:0"),
    Fault("bgr", COLOUR, ("channels.swapped",), "bgr"),
    Fault("gbr", COLOUR, ("channels.order",), "order:120"),
    Fault("yuv-709-601", COLOUR, ("colour.yuv_standard",), "yuv:7f:6f"),
    Fault("yuv-601-709", COLOUR, ("colour.yuv_standard",), "yuv:6l:7l"),
    Fault("yuv-limited-full", COLOUR, ("colour.yuv_range",), "yuv:6l:6f"),
    Fault("yuv-full-limited", COLOUR, ("colour.yuv_range",), "yuv:6f:6l"),
    Fault("nv12-shift", COLOUR, ("colour.chroma_shift",), "nv12:4:0"),
    Fault("nv12", COLOUR, ("colour.chroma_halved",), "nv12:0:0"),
    Fault("grey", COLOUR, ("colour.grey",), "grey"),
    Fault("uv-swapped", COLOUR, ("colour.uv_swapped",), "uvswap"),
    Fault("yuv-as-rgb", COLOUR, ("colour.yuv_as_rgb",), "yuvraw"),
    Fault("nchw", MEMORY, ("layout.nchw_as_nhwc",), "nchw"),
    Fault("read-as-planes", MEMORY, ("layout.nhwc_as_nchw",), "planes"),
    Fault("rgbx", MEMORY, ("layout.channel_padding",), "pad4"),
    Fault("nc1hwc2", MEMORY, ("layout.nc1hwc2_as_nhwc",), "block:16"),
    Fault("stride-16", MEMORY, ("layout.row_stride",), "stride:16"),
    Fault("stride-5", MEMORY, ("layout.row_stride",), "stride:5"),
    Fault("late-start", MEMORY, ("layout.offset",), "late:54"),
    Fault("columns", MEMORY, ("layout.hw_transposed",), "columns"),
    Fault("partial-73", PARTIAL, ("stale.partly_filled",), "first:73"),
)
PIXELS = (
    Fault("plus-128", VALUE, ("dtype.offset_128",), "plus128"),
    Fault("saturated-127", VALUE, ("dtype.saturated",), "sat127"),
    Fault("wrapped", VALUE, ("dtype.wrapped",), "wrap"),
    Fault("doubled", VALUE, ("values.doubled",), "double"),
    Fault("inverted", VALUE, ("values.inverted",), "invert"),
    Fault("limited-range", VALUE, ("colour.limited_range",), "limited"),
    Fault("contrast", VALUE, ("values.linear",), "contrast:70:20"),
    Fault("f32-bytes", VALUE, ("dtype.float32_as_uint8",), "float f32bytes"),
    Fault("f32-bytes-normalized", VALUE, ("dtype.float32_as_uint8", "values.normalized_twice"), "norm f32bytes"),
    Fault("f16-bytes", VALUE, ("dtype.float16_as_uint8",), "float f16bytes"),
    Fault("normalized-twice", VALUE, ("values.normalized_twice",), "norm"),
    Fault("normalized-cast", VALUE, ("values.normalized_twice", "dtype.truncated"), "imagenet_mean castsat"),
    Fault("zero", PARTIAL, ("stale.zero",), "zero"),
    Fault("constant", PARTIAL, ("stale.constant",), "constant:77"),
)
IMAGENET = (
    Fault("div255", VALUE, ("values.div255",), "div255"),
    Fault("mean-only", VALUE, ("values.mean_only",), "mean"),
    Fault("std-only", VALUE, ("values.std_only",), "std"),
    Fault("reversed", VALUE, ("values.mean_std_order",), "reversed"),
    Fault("norm-255", VALUE, ("values.div255_missing_in_mean",), "norm255"),
    Fault("as-int8", VALUE, ("dtype.int8_for_uint8",), "asint8"),
    Fault("minus-128-int8", VALUE, ("dtype.offset_128",), "minus128"),
    Fault("sat127-int8", VALUE, ("dtype.saturated",), "sat127 asint8"),
    Fault("half-int8", VALUE, ("dtype.halved_int8",), "half asint8"),
    Fault("mean-cast", VALUE, ("values.mean_only", "dtype.truncated"), "mean castsat"),
    Fault("mean-wrap", VALUE, ("values.mean_only", "dtype.truncated"), "mean cast"),
    Fault("packed-rows", MEMORY, ("layout.packed_rows",), "zerocopy_packed"),
    Fault("zero-point-missing", VALUE, ("values.zero_point_missing",), "norm quantize:100:zero"),
    Fault("zero-point-wrong", VALUE, ("values.zero_point_wrong",), "norm quantize:100:20"),
    Fault("scale-wrong", VALUE, ("values.scale_wrong",), "norm quantize:60:0"),
    Fault("codes-wrapped", VALUE, ("values.quantized_wrapped",), "norm quantize:100:wrap"),
)
UNIT = (Fault("div255-twice", VALUE, ("values.div255_twice",), "div255 div255"),)
SQUARE = (
    Fault("rot-left", PICTURE, ("geometry.rotated_90_left",), "rotleft"),
    Fault("rot-right", PICTURE, ("geometry.rotated_90_right",), "rotright"),
)
OBLONG = (
    Fault("hw-swapped", RESIZE, ("layout.hw_swapped",), resize="swapped"),
    Fault("turned-left", RESIZE, ("geometry.rotated_90_left",), resize="turned_left"),
    Fault("turned-right", RESIZE, ("geometry.rotated_90_right",), resize="turned_right"),
)
PLAIN = (
    Fault("not-normalized", VALUE, ("values.not_normalized",), "float"),
    Fault("plain-div255", VALUE, ("values.div255",), "div255"),
    Fault("plain-twice", VALUE, ("values.normalized_twice",), "imagenet imagenet"),
    Fault("plain-mean-only", VALUE, ("values.mean_only",), "imagenet_mean"),
    Fault("plain-reversed", VALUE, ("values.mean_std_order",), "imagenet_reversed"),
    Fault("plain-other", VALUE, ("values.other_normalization",), "halfhalf"),
)
# Faults the corpus does not hold: what must be called unexplained. Made by the picture library.
OUTSIDE = (
    "blur", "noise", "jpeg", "rotate7", "perspective", "equalize", "posterize", "gamma", "mosaic", "swirl",
    "other_picture", "vignette", "sharpen", "salt", "stripes", "hue", "emboss", "median", "shuffle", "blocks",
)  # fmt: skip


def faults_of(model: str) -> tuple[Fault, ...]:
    """The faults that make sense for a model of the corpus."""
    if model == "plain_int8":
        used = [fault for fault in SHARED if not fault.name.startswith("nc1")]
        return (*used, *PLAIN, *OBLONG)
    if model == "imagenet_int8":
        pixels = [fault for fault in PIXELS if fault.name != "normalized-cast"]
        return (*SHARED, *pixels, *IMAGENET, *OBLONG)
    pixels = [fault for fault in PIXELS if fault.name != "normalized-cast"]
    shared = [fault for fault in SHARED if fault.name != "columns"]
    if model == "detector_int8":
        # The pictures are smaller than its input: area averaging only shrinks, and Pillow's bilinear is OpenCV's then.
        shared = [fault for fault in shared if fault.name not in ("area", "pillow")]
    # In int8 nothing is left of a pixel that was divided by 255 twice.
    return (*shared, *pixels, *(UNIT if model == "unit_fp16" else ()), *SQUARE)


def operations(model: str, faults: tuple[Fault, ...]) -> str:
    """The application's words for these faults, in the order data go through it."""
    ordered = sorted(faults, key=lambda fault: fault.stage)
    words = [fault.ops for fault in ordered if fault.stage <= COLOUR]
    values = [fault.ops for fault in ordered if fault.stage == VALUE]
    if model == "plain_int8" and not values:
        values = ["imagenet"]
    after = [fault.ops for fault in ordered if fault.stage > VALUE]
    as_bytes = [word for value in values for word in value.split() if word in ("f32bytes", "f16bytes")]
    if as_bytes:
        # A buffer of floats has its strides and its start in floats, whatever its bytes are taken for.
        values = [value.rsplit(" ", 1)[0] for value in values]
        after += as_bytes
    return " ".join(word for word in [*words, *values, *after] if word)


def _drawn_words(name: str, generator: random.Random) -> str | None:
    """The application's words for a fault with numbers of its own, drawn anew."""
    way = generator.choice((-1, 1))
    words: dict[str, Callable[[], str]] = {
        "shift-3-5": lambda: f"shift:{way * generator.randint(1, 11)}:{generator.randint(-11, 11)}",
        "shift-1-0": lambda: f"shift:{way}:0",
        "stride-16": lambda: f"stride:{generator.choice((8, 16, 24, 32))}",
        "stride-5": lambda: f"stride:{generator.randint(1, 31)}",
        "late-start": lambda: f"late:{generator.choice((3, 14, 16, 54, 64, 128, 150))}",
        "partial-73": lambda: f"first:{generator.randint(20, 95)}",
        "contrast": lambda: f"contrast:{generator.choice((55, 65, 80, 120, 135))}:{generator.randint(-30, 30)}",
        "gbr": lambda: f"order:{generator.choice(('120', '201', '021', '102'))}",
        "nv12-shift": lambda: f"nv12:{way * generator.randint(1, 6)}:{generator.randint(-3, 3)}",
        "zero-point-wrong": lambda: f"norm quantize:100:{way * generator.randint(5, 40)}",
        "scale-wrong": lambda: f"norm quantize:{generator.choice((40, 75, 130, 200))}:0",
    }
    return words[name]() if name in words else None


def redrawn(fault: Fault, generator: random.Random) -> Fault:
    """The same fault with other numbers."""
    words = _drawn_words(fault.name, generator)
    return fault if words is None else replace(fault, ops=words)


def can_combine(first: Fault, second: Fault) -> bool:
    """Whether two faults can happen in one application, and leave enough to be seen."""
    if first.stage == second.stage or {"zero", "constant"} & {first.name, second.name}:
        return False
    # Bytes of floats show only the first quarter of a picture; another cut leaves nothing certain.
    names = {first.name, second.name}
    if names & {"norm-255", "not-normalized", "plain-twice"}:
        return False  # three codes are left: what else was done cannot be seen
    narrow = {"f32-bytes", "f32-bytes-normalized", "f16-bytes"}
    if names & narrow and (
        names & {"nc1hwc2", "packed-rows", "rgbx", "partial-73", "columns", "read-as-planes", "nchw"}
    ):
        return False
    if names & {"turned-left", "turned-right"} and names & {"flip-h", "flip-v", "rot180"}:
        return False  # two turns are one
    if "hw-swapped" in names and names & {"columns", "stride-5", "stride-16", "packed-rows"}:
        return False
    if names & {"nc1hwc2", "rgbx"} and "partial-73" in names:
        return False
    # The packed copy is one of uint8 pixels.
    return not ("packed-rows" in names and any("int8" in n or n in NO_BYTES for n in names))


NO_BYTES = (
    "as-int8", "div255", "mean-only", "std-only", "reversed", "norm-255", "normalized-twice", "div255-twice",
    "zero-point-missing", "zero-point-wrong", "scale-wrong", "codes-wrapped",
)  # fmt: skip
