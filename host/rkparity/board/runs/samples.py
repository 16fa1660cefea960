"""A sample as librknnrt takes it: 4-D inputs in NHWC, values in a type it converts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.board.runs.job import InputFile
from rkparity.errors import UsageError
from rkparity.model import Model, ModelTensor, nhwc_shape, shape_text
from rkparity.runs import read_npy_header, write_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Integers that rknn-toolkit2 takes as the values of a float input and librknnrt does not: int32 is refused in a log
# line only, int8 is taken for values quantised already (evidence 160_gen_*).
_AS_FLOAT = ("int8", "int16", "uint16", "int32", "uint32", "int64")
_FLOAT_INPUTS = ("float16", "float32")


def for_runtime(
    inputs: Sequence[InputFile], model: Model, folder: Path
) -> tuple[tuple[InputFile, ...], tuple[str, ...]]:
    """The inputs as the runtime takes them, and a sentence for each that had to be changed.

    `rknn_inputs_set` and rknn-toolkit-lite2 know only NHWC for a 4-D input (NCHW crashes librknnrt 1.6.0), so an NCHW
    sample is turned; integers that the simulator takes for values become float32. Changed inputs are new files in
    `folder`. What the caller says about an input (`type`, `fmt`, `pass_through`) is done as it is said. A dynamic model
    must be at its shapes. UsageError when number, shape or layout do not fit, or when a shape can be both layouts.
    """
    tensors = model.input_tensors
    if len(inputs) != len(tensors):
        names = ", ".join(f"{tensor.name} {shape_text(nhwc_shape(tensor.shape))}" for tensor in tensors)
        raise UsageError(
            f"{len(inputs)} input files for a model with {len(tensors)} inputs: {names}",
            hint="give --input once per model input, in this order",
        )
    prepared, notes = [], []
    for index, (given, tensor) in enumerate(zip(inputs, tensors)):
        changed, said = _prepared(given, tensor, folder / f"{given.path.stem or 'input'}-{index}.npy")
        prepared.append(changed)
        if said:
            notes.append(f"input {tensor.name}: {' and '.join(said)}")
    return tuple(prepared), tuple(notes)


def _prepared(given: InputFile, tensor: ModelTensor, file: Path) -> tuple[InputFile, list[str]]:
    if given.pass_through or given.fmt == "NC1HWC2":
        return given, []
    if given.fmt == "NCHW" and len(tensor.shape) == 4:
        raise UsageError(
            f"--fmt NCHW: the runtime takes a 4-D input such as {tensor.name!r} as NHWC only",
            hint="say with --layout nchw that the file is NCHW: it is turned to NHWC",
        )
    if not given.is_npy and given.data_layout is None:
        return given, []
    layout = _layout(given, tensor)
    said: list[str] = []
    array: NDArray[Any] | None = None
    if layout == "NCHW":
        array = given.load().reshape(tensor.shape).transpose(0, 2, 3, 1)
        said.append("turned from NCHW to NHWC")
    if given.is_npy and given.type is None and _needs_float(given.path, tensor):
        array = given.load() if array is None else array
        said.append(f"its {array.dtype.name} values given as float32")
        array = array.astype("float32")
    if given.is_npy and not _is_plain(given.path):
        array = given.load() if array is None else array
        array = array.astype(array.dtype.newbyteorder("="))
    if array is None:
        return given, []
    write_npy(file, array)
    fmt = "NHWC" if layout == "NCHW" else given.fmt
    return replace(given, path=file, fmt=fmt, data_layout=None if layout is None else "NHWC"), said


def _is_plain(path: Path) -> bool:
    """Whether the values lie in C order and in the byte order of boards."""
    header = read_npy_header(path)
    return not header.fortran_order and not header.descr.startswith(">")


def _needs_float(path: Path, tensor: ModelTensor) -> bool:
    """Whether the values of a file are integers for an input of real numbers."""
    descr = read_npy_header(path).descr
    kind = {"i": "int", "u": "uint"}.get(descr[1])
    is_real = tensor.dtype in _FLOAT_INPUTS or tensor.is_quantized
    return is_real and kind is not None and f"{kind}{int(descr[2:]) * 8}" in _AS_FLOAT


def _layout(given: InputFile, tensor: ModelTensor) -> str | None:
    """The layout of the file's values for a 4-D input; None for other ranks, which have none."""
    if len(tensor.shape) != 4:
        _check_plain(given, tensor)
        return None
    nchw, nhwc = tuple(tensor.shape), nhwc_shape(tensor.shape)
    wanted = given.data_layout or given.fmt
    if not given.is_npy:
        count = given.path.stat().st_size // given.load_dtype().itemsize
        if count != math.prod(tensor.shape):
            raise UsageError(
                f"{given.path}: holds {count} elements, input {tensor.name!r} of shape {shape_text(nchw)} has "
                f"{math.prod(nchw)}"
            )
        return wanted
    shape = tuple(read_npy_header(given.path).shape)
    fitting = [name for name, expected in (("NHWC", nhwc), ("NCHW", nchw)) if shape == expected]
    if wanted in ("NHWC", "NCHW"):
        expected = nchw if wanted == "NCHW" else nhwc
        if wanted in fitting or (wanted == "NHWC" and _squeezed(shape) == _squeezed(nhwc)):
            return wanted
        raise UsageError(
            f"{given.path}: has shape {shape_text(shape)}, input {tensor.name!r} in {wanted} needs "
            f"{shape_text(expected)}",
            hint=_hint(fitting),
        )
    if len(fitting) == 2:
        raise UsageError(
            f"{given.path}: shape {shape_text(shape)} can be NHWC and NCHW", hint="say which with --layout nhwc or nchw"
        )
    # A missing batch of one is no other layout; the agent takes it as it is.
    if not fitting and _squeezed(shape) != _squeezed(nhwc):
        raise UsageError(
            f"{given.path}: has shape {shape_text(shape)}, input {tensor.name!r} needs {shape_text(nhwc)} (NHWC) or "
            f"{shape_text(nchw)} (NCHW)"
        )
    return fitting[0] if fitting else "NHWC"


def _check_plain(given: InputFile, tensor: ModelTensor) -> None:
    if not given.is_npy:
        return
    shape = tuple(read_npy_header(given.path).shape)
    if _squeezed(shape) != _squeezed(tensor.shape):
        raise UsageError(
            f"{given.path}: has shape {shape_text(shape)}, input {tensor.name!r} needs {shape_text(tensor.shape)}"
        )


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def _hint(fitting: Sequence[str]) -> str:
    return f"it is {fitting[0]}: say --layout {fitting[0].lower()}" if fitting else ""
