"""The compiled module, its errors as AgentFailure, and the names of the ABI's numbers."""

from __future__ import annotations

import math
from typing import Any

from rkparity_agent._native import ffi, lib
from rkparity_agent.events import ENVIRONMENT, USAGE, AgentFailure

_UNSUPPORTED_TYPE = -1
_NUMPY_NAMES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "UINT16": "uint16",
    "INT32": "int32",
    "UINT32": "uint32",
    "INT64": "int64",
    "BOOL": "bool",
    "INT4": "int4",
    "BFLOAT16": "bfloat16",
}


def text(pointer: Any) -> str:
    """A C string; bytes that are not UTF-8 (tensor names are free) are kept as surrogates' replacement characters."""
    raw: bytes = ffi.string(pointer)
    return raw.decode("utf-8", "replace")


def new_error() -> Any:
    """An empty error for a call of the session."""
    return ffi.new("rkrt_error *")


def check(status: int, error: Any) -> None:
    """Raises AgentFailure for what `error` says when `status` is not 0."""
    if status == 0:
        return
    kind = text(lib.rkrt_error_kind_name(error.kind))
    is_call = kind == "call"
    raise AgentFailure(
        kind,
        text(error.message),
        hint=text(error.hint),
        call=text(error.call),
        code=error.code if is_call else None,
        code_name=text(lib.rkrt_status_name(error.code)) if is_call else "",
        exit_code=USAGE if kind == "usage" else ENVIRONMENT,
    )


def type_number(name: str) -> int:
    """The number of a type's name ("UINT8"), -1 if there is none such."""
    return int(lib.rkrt_type_from_name(name.encode()))


def type_name(number: int) -> str:
    """The name of a type's number."""
    return text(lib.rkrt_type_name(number))


def numpy_name(number: int) -> str:
    """The NumPy name of a type's number ("uint8")."""
    return _NUMPY_NAMES.get(type_name(number), "?")


def fmt_number(name: str) -> int:
    """The number of a layout's name ("NHWC"), -1 if there is none such."""
    return int(lib.rkrt_fmt_from_name(name.encode()))


def fmt_name(number: int) -> str:
    """The name of a layout's number."""
    return text(lib.rkrt_fmt_name(number))


def core_mask_number(name: str) -> int:
    """The number of a core mask's name ("AUTO", "0", "0_1_2"), -1 if there is none such."""
    return int(lib.rkrt_core_mask_from_name(name.encode()))


def attr_fields(attr: Any) -> dict[str, Any]:
    """An rknn_tensor_attr as the protocol's `attr` object."""
    scale = float(attr.scale)
    dims: list[int] = [int(attr.dims[i]) for i in range(attr.n_dims)]
    return {
        "index": int(attr.index),
        "name": text(attr.name),
        "dims": dims,
        "n_elems": int(attr.n_elems),
        "size": int(attr.size),
        "fmt": fmt_name(attr.fmt),
        "type": type_name(attr.type),
        "qnt_type": text(lib.rkrt_qnt_name(attr.qnt_type)),
        "zp": int(attr.zp),
        "scale": scale if math.isfinite(scale) else None,
        "w_stride": int(attr.w_stride),
        "size_with_stride": int(attr.size_with_stride),
        "h_stride": int(attr.h_stride),
    }


class NpyFile:
    """A `.npy` file's header, checked against the file's size; raises AgentFailure (kind "file" or "data")."""

    def __init__(self, path: str) -> None:
        header = ffi.new("rkrt_npy *")
        error = new_error()
        check(lib.rkrt_npy_read_header(path.encode("utf-8", "surrogateescape"), header, error), error)
        self.path = path
        self.descr = text(header.descr)
        self.type: int | None = None if header.type == _UNSUPPORTED_TYPE else int(header.type)
        self.fortran_order = bool(header.fortran_order)
        self.shape = [int(header.dims[i]) for i in range(header.n_dims)]
        self.data_offset = int(header.data_offset)
        self.nbytes = int(header.nbytes)
