"""One model in librknnrt: the C session (csrc/runtime/session.h) with Python's names, records and exceptions."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any, Sequence

from rkparity_agent import native
from rkparity_agent._native import ffi, lib

QUERY_INPUT_ATTR = 1
QUERY_OUTPUT_ATTR = 2
QUERY_NATIVE_INPUT_ATTR = 8
QUERY_NATIVE_OUTPUT_ATTR = 9


@dataclass(frozen=True)
class TensorInput:
    """One input: `data` in C order, `type` and `fmt` as numbers of the ABI."""

    data: bytearray
    type: int
    fmt: int
    pass_through: bool = False


@dataclass(frozen=True)
class OutputRequest:
    """How one output is wanted; `type` and `fmt` override the model's attributes (zero-copy only) unless None."""

    want_float: bool = True
    prealloc: bool = False
    native: bool = False
    type: int | None = None
    fmt: int | None = None


class Session:
    """A loaded model; use as a context manager. Methods raise AgentFailure naming the rknn_* call and its code."""

    def __init__(self, library: str | None, model: str, *, perf: bool = False) -> None:
        self._error = native.new_error()
        handle = ffi.new("rkrt_session **")
        path = library.encode("utf-8", "surrogateescape") if library else ffi.NULL
        native.check(
            lib.rkrt_session_open(path, model.encode("utf-8", "surrogateescape"), perf, handle, self._error),
            self._error,
        )
        self._session = handle[0]
        self._inputs: list[Any] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Destroys the context and its memories; harmless when done twice."""
        if self._session:
            lib.rkrt_session_close(self._session)
            self._session = ffi.NULL
            self._inputs = []

    def _check(self, status: int) -> None:
        native.check(status, self._error)

    @property
    def library_path(self) -> str:
        """The library file really loaded."""
        return native.text(lib.rkrt_session_library_path(self._session))

    @property
    def n_inputs(self) -> int:
        """How many inputs the model has."""
        return int(lib.rkrt_session_n_inputs(self._session))

    @property
    def n_outputs(self) -> int:
        """How many outputs the model has."""
        return int(lib.rkrt_session_n_outputs(self._session))

    def attrs(self, query: int) -> list[dict[str, Any]]:
        """The attributes of all inputs or outputs by query command, as protocol objects."""
        count = self.n_inputs if query in (QUERY_INPUT_ATTR, QUERY_NATIVE_INPUT_ATTR) else self.n_outputs
        found = []
        for index in range(count):
            attr = ffi.new("rkabi_tensor_attr *")
            self._check(lib.rkrt_session_attr(self._session, query, index, attr, self._error))
            found.append(native.attr_fields(attr))
        return found

    def versions(self) -> tuple[str, str]:
        """The library's and the driver's version texts."""
        versions = ffi.new("rkabi_sdk_version *")
        self._check(lib.rkrt_session_versions(self._session, versions, self._error))
        return native.text(versions.api_version), native.text(versions.drv_version)

    def mem_size(self) -> dict[str, int]:
        """Memory the model uses, in bytes."""
        size = ffi.new("rkabi_mem_size *")
        self._check(lib.rkrt_session_mem_size(self._session, size, self._error))
        return {"weight": int(size.total_weight_size), "internal": int(size.total_internal_size)}

    def set_core_mask(self, mask: int) -> None:
        """Chooses the NPU cores."""
        self._check(lib.rkrt_session_set_core_mask(self._session, mask, self._error))

    def set_shapes(self, shapes: Sequence[Sequence[int]]) -> None:
        """Chooses the input shapes of a model built with dynamic_input, in the order of the attributes (NHWC for 4-D).

        From then on `attrs` answers for these shapes.
        """
        array = ffi.new("rkrt_shape[]", [(len(shape), list(shape)) for shape in shapes])
        self._check(lib.rkrt_session_set_shapes(self._session, len(shapes), array, self._error))

    def _c_input(self, given: TensorInput) -> Any:
        # The session reads the bytes until the last run, so the buffer is held as long as the session.
        buffer = ffi.from_buffer(given.data)
        self._inputs.append(buffer)
        return (buffer, len(given.data), given.type, given.fmt, given.pass_through)

    def set_inputs(self, inputs: Sequence[TensorInput]) -> None:
        """General API: gives all inputs, in the model's order."""
        self._inputs = []
        array = ffi.new("rkrt_input[]", [self._c_input(given) for given in inputs])
        self._check(lib.rkrt_session_set_inputs(self._session, len(inputs), array, self._error))

    def bind_input(self, index: int, given: TensorInput) -> None:
        """Zero-copy API: makes, fills and binds the memory of one input."""
        record = ffi.new("rkrt_input *", self._c_input(given))
        self._check(lib.rkrt_session_bind_input(self._session, index, record, self._error))

    def bind_output(self, index: int, request: OutputRequest) -> None:
        """Zero-copy API: makes and binds the memory of one output."""
        self._check(
            lib.rkrt_session_bind_output(
                self._session, index, ffi.new("rkrt_output_request *", _request(request)), self._error
            )
        )

    def run(self) -> int:
        """One inference; returns the wall time of rknn_run in microseconds."""
        elapsed = ffi.new("int64_t *")
        self._check(lib.rkrt_session_run(self._session, elapsed, self._error))
        return int(elapsed[0])

    def get_outputs(self, requests: Sequence[OutputRequest]) -> None:
        """General API: fetches all outputs."""
        array = ffi.new("rkrt_output_request[]", [_request(request) for request in requests])
        self._check(lib.rkrt_session_get_outputs(self._session, len(requests), array, self._error))

    def save_output(self, index: int, path: str) -> dict[str, Any]:
        """Writes one output as npy; returns its type, layout, shape and whether the library left it untouched."""
        view = ffi.new("rkrt_output_view *")
        self._check(lib.rkrt_session_output(self._session, index, view, self._error))
        self._check(
            lib.rkrt_npy_write(
                path.encode("utf-8", "surrogateescape"),
                view.type,
                view.n_dims,
                view.dims,
                view.data,
                view.nbytes,
                self._error,
            )
        )
        return {
            "type": native.type_name(view.type),
            "dtype": native.numpy_name(view.type),
            "layout": native.fmt_name(view.fmt),
            "shape": [int(view.dims[i]) for i in range(view.n_dims)],
            "untouched": bool(view.untouched),
        }

    def perf(self) -> dict[str, Any]:
        """The library's own time of the last run in microseconds and its table of layers, where there is one."""
        run_us, detail, nbytes = ffi.new("int64_t *"), ffi.new("const char **"), ffi.new("uint64_t *")
        self._check(lib.rkrt_session_perf(self._session, run_us, detail, nbytes, self._error))
        table = bytes(ffi.buffer(detail[0], nbytes[0])).rstrip(b"\0") if detail[0] else b""
        return {"run_us": int(run_us[0]), "detail": table.decode("utf-8", "replace")}


def _request(request: OutputRequest) -> tuple[int, int, int, int, int]:
    return (
        request.want_float,
        request.prealloc,
        request.native,
        -1 if request.type is None else request.type,
        -1 if request.fmt is None else request.fmt,
    )
