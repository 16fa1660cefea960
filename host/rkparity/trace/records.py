"""The things a trace speaks of. Field names and meanings are those of docs/trace.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rkparity.trace.fields import Fields

if TYPE_CHECKING:
    from rkparity.trace.calls import Details


@dataclass(frozen=True)
class TensorAttributes:
    """rknn_tensor_attr. `fmt`, `type`, `qnt_type` are names without prefix, `UNKNOWN(n)` for an unknown number."""

    index: int
    name: str
    n_dims: int
    dims: tuple[int, ...]
    n_elems: int
    size: int
    fmt: str
    type: str
    qnt_type: str
    fl: int
    zp: int
    scale: float | None
    w_stride: int
    size_with_stride: int
    pass_through: int
    h_stride: int

    @staticmethod
    def read(fields: Fields) -> TensorAttributes:
        """Checks and reads one attributes object; DataError names what is wrong."""
        return TensorAttributes(
            fields.u32("index"),
            fields.text("name"),
            fields.u32("n_dims"),
            fields.integers("dims", 0, 2**32 - 1),
            fields.u32("n_elems"),
            fields.u32("size"),
            fields.text("fmt"),
            fields.text("type"),
            fields.text("qnt_type"),
            fields.integer("fl", -128, 127),
            fields.i32("zp"),
            fields.optional_number("scale"),
            fields.u32("w_stride"),
            fields.u32("size_with_stride"),
            fields.integer("pass_through", 0, 255),
            fields.u32("h_stride"),
        )


@dataclass(frozen=True)
class ValueStatistics:
    """Statistics in the declared type; `minimum`, `maximum`, `mean` are over finite values, None when there is none."""

    n: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    zeros: int
    nan: int
    inf: int

    @staticmethod
    def read(fields: Fields) -> ValueStatistics:
        """Checks and reads `values`."""
        return ValueStatistics(
            fields.integer("n"),
            fields.optional_number("min"),
            fields.optional_number("max"),
            fields.optional_number("mean"),
            fields.integer("zeros"),
            fields.integer("nan"),
            fields.integer("inf"),
        )


@dataclass(frozen=True)
class ByteStatistics:
    """The same bytes as uint8; None where there is no byte."""

    minimum: int | None
    maximum: int | None
    mean: float | None
    zeros: int

    @staticmethod
    def read(fields: Fields) -> ByteStatistics:
        """Checks and reads `bytes`."""
        return ByteStatistics(
            fields.optional_integer("min", 0, 255),
            fields.optional_integer("max", 0, 255),
            fields.optional_number("mean"),
            fields.integer("zeros"),
        )


@dataclass(frozen=True)
class Content:
    """What a buffer held. `size`: bytes declared; `nbytes_read`: bytes that could be read; `unread`: why fewer.

    `type`, `values`, `bytes` and `float_like` are None for contents of which only the hash was taken.
    """

    size: int
    nbytes_read: int
    unread: str | None
    xxh64: str
    type: str | None
    values: ValueStatistics | None
    bytes: ByteStatistics | None
    float_like: float | None
    file: str | None

    @property
    def is_constant(self) -> bool:
        """Whether every value is the same (bytes, where the type is not known); False for an empty buffer."""
        view = self.values or self.bytes
        if view is None or view.minimum is None:
            return False
        strange = self.values is not None and (self.values.nan or self.values.inf)
        return view.minimum == view.maximum and not strange

    @staticmethod
    def read(fields: Fields) -> Content:
        """Checks and reads a content object."""
        xxh64 = fields.text("xxh64")
        if len(xxh64) != 16 or xxh64.strip("0123456789abcdef"):
            raise fields.refuse("xxh64", "16 hexadecimal digits")
        full = fields.has("values")
        return Content(
            fields.integer("size"),
            fields.integer("read"),
            fields.optional_text("unread"),
            xxh64,
            fields.optional_text("type") if full else None,
            fields.optional("values", ValueStatistics.read) if full else None,
            fields.optional("bytes", ByteStatistics.read) if full else None,
            fields.optional_number("float_like") if full else None,
            fields.optional_text("file"),
        )


@dataclass(frozen=True)
class InputGiven:
    """One rknn_input; `position` is its place in the array, which is what the library goes by (evidence 160_err_*)."""

    position: int
    index: int
    buf: int
    size: int
    pass_through: int
    type: str
    fmt: str
    content: Content | None


@dataclass(frozen=True)
class OutputGot:
    """One rknn_output before and after rknn_outputs_get (for rknn_outputs_release both are the same)."""

    position: int
    index: int
    want_float: int
    is_prealloc: int
    buf_before: int
    size_before: int
    buf: int
    size: int
    content: Content | None


@dataclass(frozen=True)
class Memory:
    """rknn_tensor_mem. `id` is the layer's number for it, 0 when it was not made through the API."""

    id: int
    address: int
    virt_addr: int
    phys_addr: int
    fd: int
    offset: int
    size: int
    flags: int

    @staticmethod
    def read(fields: Fields) -> Memory:
        """Checks and reads a memory object."""
        return Memory(
            fields.integer("id"),
            fields.address("address"),
            fields.address("virt_addr"),
            fields.address("phys_addr"),
            fields.i32("fd"),
            fields.i32("offset"),
            fields.u32("size"),
            fields.u32("flags"),
        )


@dataclass(frozen=True)
class BoundMemory:
    """A memory set by rknn_set_io_mem, before and after one run. `direction`: input, output, unknown."""

    memory: int
    name: str
    direction: str
    index: int
    virt_addr: int
    size: int
    before: Content | None
    after: Content | None

    @staticmethod
    def read(fields: Fields) -> BoundMemory:
        """Checks and reads one entry of `bound`."""
        if fields.text("direction") not in ("input", "output", "unknown"):
            raise fields.refuse("direction", "input, output or unknown")
        return BoundMemory(
            fields.integer("memory"),
            fields.text("name"),
            fields.text("direction"),
            fields.u32("index"),
            fields.address("virt_addr"),
            fields.u32("size"),
            fields.optional("before", Content.read),
            fields.optional("after", Content.read),
        )


@dataclass(frozen=True)
class ModelGiven:
    """The model of one rknn_init. `sha256` is that of the .rknn bytes; None when hashing was off or failed."""

    source: str
    path: str | None
    size: int | None
    sha256: str | None
    unread: str | None

    @staticmethod
    def read(fields: Fields) -> ModelGiven:
        """Checks and reads a model object."""
        if fields.text("source") not in ("memory", "path"):
            raise fields.refuse("source", "memory or path")
        sha256 = fields.optional_text("sha256")
        if sha256 is not None and (len(sha256) != 64 or sha256.strip("0123456789abcdef")):
            raise fields.refuse("sha256", "64 hexadecimal digits or null")
        return ModelGiven(
            fields.text("source"),
            fields.optional_text("path"),
            fields.optional_integer("size"),
            sha256,
            fields.optional_text("unread"),
        )


@dataclass(frozen=True)
class FailedQuery:
    """A question of the layer itself that the library refused."""

    command: str
    index: int
    ret: int

    @staticmethod
    def read(fields: Fields) -> FailedQuery:
        """Checks and reads one entry of `failed_queries`."""
        return FailedQuery(fields.text("command"), fields.u32("index"), fields.i32("ret"))


@dataclass(frozen=True)
class ContextTrace:
    """One context after its rknn_init (or rknn_dup_context, then `duplicated_from`) succeeded in call `seq`."""

    context: int
    seq: int
    handle: int
    flags: int
    duplicated_from: int | None
    model: ModelGiven | None
    api_version: str | None
    driver_version: str | None
    inputs: tuple[TensorAttributes, ...]
    outputs: tuple[TensorAttributes, ...]
    native_inputs: tuple[TensorAttributes, ...]
    native_outputs: tuple[TensorAttributes, ...]
    failed_queries: tuple[FailedQuery, ...]

    @staticmethod
    def read(fields: Fields) -> ContextTrace:
        """Checks and reads a `context` line."""
        sdk = None if fields.is_null("sdk") else fields.object("sdk")
        return ContextTrace(
            fields.integer("context", 1),
            fields.integer("seq"),
            fields.address("handle"),
            fields.u32("flags"),
            fields.optional_integer("duplicated_from"),
            fields.optional("model", ModelGiven.read),
            sdk.text("api_version") if sdk else None,
            sdk.text("driver_version") if sdk else None,
            fields.items("inputs", TensorAttributes.read),
            fields.items("outputs", TensorAttributes.read),
            fields.items("native_inputs", TensorAttributes.read),
            fields.items("native_outputs", TensorAttributes.read),
            fields.items("failed_queries", FailedQuery.read),
        )


@dataclass(frozen=True)
class LibraryUsed:
    """The real library: `found` is target, dlopen, next, search or none; `missing` the functions it lacks."""

    path: str | None
    found: str
    missing: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class Suspect:
    """A pointer that was NULL or not readable: `what` names it, `index` is its array position."""

    what: str
    index: int | None
    buf: int

    @staticmethod
    def read(fields: Fields) -> Suspect:
        """Checks and reads a suspect object."""
        return Suspect(fields.text("what"), fields.optional_integer("index"), fields.address("buf"))


@dataclass(frozen=True)
class EnteredCall:
    """A call seen before it was made.

    `given` is the call as it would stand in the trace had it returned RKNN_SUCC at once, from the arguments that were
    noted before it; None when none were.
    """

    seq: int
    tid: int
    t_ns: int
    name: str
    context: int
    handle: int
    suspect: Suspect | None
    given: TraceCall | None = None


@dataclass(frozen=True)
class TraceExit:
    """The normal end of the process: what was still open."""

    t_ns: int
    calls: int
    open_contexts: tuple[int, ...]
    open_memories: tuple[int, ...]


@dataclass(frozen=True)
class TraceCall:
    """One call: `seq` orders the calls by their beginning; `context` 0 is a handle the layer does not know.

    `ret` is the return code (0 or -1 for functions that return a memory); `missing`: the library lacks the function and
    the layer answered. `details` holds the arguments; its class goes with `name`. `line` is the line in the file.
    """

    seq: int
    tid: int
    t_ns: int
    duration_ns: int
    name: str
    context: int
    handle: int
    ret: int
    ret_name: str
    missing: bool
    details: Details
    line: int

    @property
    def failed(self) -> bool:
        """Whether the library reported an error."""
        return self.ret != 0
