"""Reading a `.rknn` file: header, payload (a FlatBuffer in version 6, RV1103/1106: with one in it), JSON trailer.

Layout, as found in files of toolkits 2.2.0 to 2.5.0 (evidence models/ and toolkit/): 64-byte header (`RKNN`, four zero
bytes, u64 version, u64 payload length), payload, u64 length of the JSON, JSON. Table and slot numbers were found on the
same files and agree with the toolkit's own hybrid configuration for every tensor.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.errors import DataError, UsageError
from rkparity.io import open_regular
from rkparity.model.flatbuffer import FlatBuffer, FlatTable
from rkparity.model.literal import LiteralError, dictionary_entry
from rkparity.model.records import Graph, InputNormalization, Model, ModelTensor, Node, TensorKind

_MAGIC = b"RKNN"
_HEADER_NBYTES = 64
_READABLE_VERSION = 6
_MINI_VERSION = 4100
_MAX_TRAILER_NBYTES = 4 * 1024 * 1024
_MAX_NAME_LENGTH = 1024
_MAX_EDGES = 200_000
_MAX_RANK = 32
_HASH_CHUNK = 4 * 1024 * 1024
# What `model inference type` in librknnrt's log shows: dynamic_shape or static_shape.
_DYNAMIC = "dynamic_shape"
# An operator's target; absent for the CPU.
_ABSENT = 0xFFFFFFFF
_ON_NPU = 2

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
_LAYOUTS = {0: "UNDEFINED", 64: "NC1HWC2", 65: "weight"}
_KINDS = {
    1: TensorKind.INPUT,
    2: TensorKind.OUTPUT,
    3: TensorKind.ACTIVATION,
    4: TensorKind.CONST,
    5: TensorKind.CPU_CONST,
}
_BATCHED = (TensorKind.INPUT, TensorKind.OUTPUT, TensorKind.ACTIVATION)
_TRAILER_DTYPES = {
    "int8": "int8",
    "asymm_affine": "int8",
    "float16": "float16",
    "float32": "float32",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "bool8": "bool",
    "bool": "bool",
}


@dataclass(frozen=True)
class _Slots:
    """Where the two kinds of file keep what they both have: fields of the root, then of a tensor."""

    platform: int
    compiler: int
    framework: int
    scale: int
    zero_point: int
    size: int
    qmethod: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    batch: int | None = None
    inference_type: int | None = None


_SLOTS = _Slots(8, 7, 9, 10, 11, 12, 6, 8, 9, 14, 16)
_MINI_SLOTS = _Slots(6, 5, 7, 6, 7, 8)


def read_model(path: Path) -> Model:
    """Reads what the `.rknn` at `path` says about itself; weights are not copied.

    Raises UsageError when there is no such file or it is not a `.rknn`, DataError when it is damaged or truncated. The
    file is not trusted: every offset, length and count is checked, and both time and memory are bounded.
    """
    try:
        with open_regular(path) as file:
            start = file.read(_HEADER_NBYTES)
            if start[:4] != _MAGIC:
                raise UsageError(
                    f"{path}: is not a .rknn file (it begins with {start[:8]!r})",
                    hint="give the file that export_rknn or `rkparity build` wrote",
                )
            if len(start) < _HEADER_NBYTES:
                raise _truncated(path, _HEADER_NBYTES, len(start))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                return _read(path, view)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: is a folder, not a .rknn file") from error
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise UsageError(f"{path}: {error.strerror}") from error
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _truncated(path: Path, needed: int, size: int) -> DataError:
    return DataError(
        f"{path}: is truncated: it needs {needed} bytes and has {size}", hint="copy or export the .rknn file again"
    )


def _read(path: Path, view: memoryview) -> Model:
    size = len(view)
    version = int.from_bytes(view[8:16], "little")
    payload_nbytes = int.from_bytes(view[16:24], "little")
    payload_end = _HEADER_NBYTES + payload_nbytes
    if payload_end + 8 > size:
        raise _truncated(path, payload_end + 8, size)
    trailer_nbytes = int.from_bytes(view[payload_end : payload_end + 8], "little")
    if payload_end + 8 + trailer_nbytes > size:
        raise _truncated(path, payload_end + 8 + trailer_nbytes, size)
    if trailer_nbytes > _MAX_TRAILER_NBYTES:
        raise DataError(f"{path}: its JSON of {trailer_nbytes} bytes is over the limit of {_MAX_TRAILER_NBYTES}")
    trailer = _trailer(path, bytes(view[payload_end + 8 : payload_end + 8 + trailer_nbytes]))
    digest = hashlib.sha256()
    for offset in range(0, size, _HASH_CHUNK):
        digest.update(view[offset : offset + _HASH_CHUNK])
    sha256 = digest.hexdigest()
    begin, end = _HEADER_NBYTES, payload_end
    if version == _MINI_VERSION:
        begin, end = _mini_graph(path, view, payload_end)
    elif version != _READABLE_VERSION:
        return _from_trailer(path, sha256, version, trailer)
    payload = view[begin:end]
    try:
        return _from_payload(path, sha256, version, FlatBuffer(payload, str(path)), trailer)
    finally:
        payload.release()


def _mini_graph(path: Path, view: memoryview, payload_end: int) -> tuple[int, int]:
    """Where the FlatBuffer of an RV1103/RV1106 file lies: at the payload's end, behind commands and weights.

    The payload's first word is its size (the same in ten files of toolkit 2.5.0, evidence models/ and mrt232_*).
    """
    if payload_end < _HEADER_NBYTES + 4:
        raise _truncated(path, _HEADER_NBYTES + 4, payload_end)
    nbytes = int.from_bytes(view[_HEADER_NBYTES : _HEADER_NBYTES + 4], "little")
    begin = payload_end - nbytes
    if begin < _HEADER_NBYTES + 4 or bytes(view[begin + 4 : begin + 8]) != _MAGIC:
        raise DataError(
            f"{path}: its payload should end with {nbytes} bytes of model data and does not",
            hint="copy or export the .rknn file again",
        )
    return begin, payload_end


def _trailer(path: Path, text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text.rstrip(b"\0").decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its JSON part is damaged: {error}", hint="copy or export the file again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: its JSON part is a {type(value).__name__}, not an object")
    return value


def _from_payload(path: Path, sha256: str, version: int, buffer: FlatBuffer, trailer: Mapping[str, Any]) -> Model:
    root = buffer.root()
    graphs = root.tables(2)
    if not graphs:
        raise DataError(f"{path}: holds no graph")
    slots = _MINI_SLOTS if version == _MINI_VERSION else _SLOTS
    batch = _batch(path, root, slots)
    read = tuple(_graph(path, table, slots, batch) for table in graphs)
    if sum(len(node.inputs) + len(node.outputs) for graph in read for node in graph.nodes) > _MAX_EDGES:
        raise DataError(f"{path}: its operators have more than {_MAX_EDGES} inputs and outputs")
    first = read[0]
    inference_type = root.text(slots.inference_type) if slots.inference_type is not None else ""
    warnings = []
    normalization, problem = _normalization(root.text(3))
    if problem:
        warnings.append(f"{path}: mean and std of the inputs could not be read: {problem}")
    return Model(
        path,
        sha256,
        version,
        root.text(slots.platform),
        root.text(slots.compiler),
        root.text(slots.framework),
        first.nodes,
        first.tensors,
        first.inputs,
        first.outputs,
        normalization,
        trailer,
        tuple(warnings),
        read,
        is_dynamic=len(read) > 1 or inference_type == _DYNAMIC,
        batch=batch,
    )


def _graph(path: Path, table: FlatTable, slots: _Slots, batch: int) -> Graph:
    tensors = tuple(_tensor(path, item, slots, batch) for item in table.tables(0))
    return Graph(
        tuple(_node(path, index, item, len(tensors)) for index, item in enumerate(table.tables(1))),
        tensors,
        _indices(path, "inputs", table.integers(2, "I"), len(tensors)),
        _indices(path, "outputs", table.integers(3, "I"), len(tensors)),
    )


def _batch(path: Path, root: FlatTable, slots: _Slots) -> int:
    """rknn_batch_size, which the file keeps as a text; "0" is none (files of toolkit 2.5.0 built with 0, 2 and 3)."""
    text = root.text(slots.batch) if slots.batch is not None else ""
    if not text.isascii() or not text.isdigit():
        return 1
    if len(text) > 5:
        raise DataError(f"{path}: is said to have a batch of {text[:20]}", hint="copy or export the .rknn file again")
    return max(1, int(text))


def _batched(shape: tuple[int, ...], kind: TensorKind, batch: int) -> tuple[int, ...]:
    return (shape[0] * batch, *shape[1:]) if shape and kind in _BATCHED else shape


def _tensor(path: Path, table: FlatTable, slots: _Slots, batch: int) -> ModelTensor:
    name = table.text(5)
    if len(name) > _MAX_NAME_LENGTH:
        raise DataError(f"{path}: a tensor's name has {len(name)} characters: {name[:60]!r}...")
    native_dims, shape = table.integers(3), table.integers(4)
    # A weight's native dimensions may be several layouts after one another (evidence toolkit/multi_input).
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise DataError(f"{path}: tensor {name[:200]!r} has the shape {shape[:40]}")
    dtype = table.integer(0, "B")
    layout = table.integer(1, "B")
    kind = _KINDS.get(table.integer(2, "B"), TensorKind.OTHER)
    scale, zero_point = table.floats(slots.scale), table.integers(slots.zero_point)
    return ModelTensor(
        name,
        _DTYPES.get(dtype, "opaque"),
        _LAYOUTS.get(layout, f"code {layout}"),
        kind,
        _batched(native_dims, kind, batch),
        _batched(shape, kind, batch),
        scale,
        zero_point,
        table.text(slots.qmethod) if slots.qmethod is not None else "layer" if scale else "",
        table.floats(slots.minimum) if slots.minimum is not None else (),
        table.floats(slots.maximum) if slots.maximum is not None else (),
        table.integer(slots.size, "I") * (batch if kind in _BATCHED else 1),
    )


def _node(path: Path, index: int, table: FlatTable, tensor_count: int) -> Node:
    op_type = table.text(1)
    if len(op_type) > _MAX_NAME_LENGTH:
        raise DataError(f"{path}: operator {index} has a type of {len(op_type)} characters: {op_type[:60]!r}...")
    where = f"operator {index} ({op_type[:100]}): "
    return Node(
        index,
        op_type,
        table.text(2),
        _indices(path, where + "inputs", table.integers(4, "I"), tensor_count),
        _indices(path, where + "outputs", table.integers(5, "I"), tensor_count),
        table.integer(3, "B") == _ON_NPU,
    )


def _indices(path: Path, what: str, indices: tuple[int, ...], tensor_count: int) -> tuple[int, ...]:
    """The tensors named, without those an operator leaves out (an LSTM's unused outputs, 2.5.0)."""
    named = tuple(index for index in indices if index != _ABSENT)
    for index in named:
        if index >= tensor_count:
            raise DataError(
                f"{path}: {what}: tensor {index} does not exist, there are {tensor_count}",
                hint="copy or export the .rknn file again",
            )
    return named


def _normalization(text: str) -> tuple[tuple[InputNormalization, ...], str]:
    """The inputs' normalisation from the generator literal, and what is wrong with it if anything is."""
    try:
        attributes = dictionary_entry(text, "attrs") if text else None
    except LiteralError as error:
        return (), str(error)
    if not isinstance(attributes, dict):
        return (), "the file says nothing about them"
    inputs: list[tuple[int, InputNormalization]] = []
    for name, entry in attributes.items():
        if not isinstance(entry, dict) or entry.get("is_output"):
            continue
        index = entry.get("idx")
        inputs.append(
            (
                index if isinstance(index, int) else len(inputs),
                InputNormalization(
                    str(name),
                    tuple(value for value in _plain_list(entry.get("shape")) if isinstance(value, int)),
                    str(entry.get("layout", "")),
                    str(entry.get("dtype", "")),
                    _floats(entry.get("mean")),
                    _floats(entry.get("std")),
                    bool(entry.get("rgb2bgr", False)),
                ),
            )
        )
    inputs.sort(key=lambda item: item[0])
    return tuple(item for _, item in inputs), ""


def _plain_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _floats(value: object) -> tuple[float, ...]:
    return tuple(float(item) for item in _plain_list(value) if isinstance(item, (int, float)))


def _from_trailer(path: Path, sha256: str, version: int, trailer: Mapping[str, Any]) -> Model:
    """What the JSON alone tells, for files whose payload is of a version that is not known."""
    described = {}
    for entry in _plain_list(trailer.get("norm_tensor")):
        if isinstance(entry, dict) and isinstance(entry.get("tensor_id"), int):
            described[entry["tensor_id"]] = entry
    sides: dict[str, list[tuple[int, ModelTensor]]] = {"input": [], "output": []}
    for link in _plain_list(trailer.get("graph")):
        # Anything may stand there: a list has no hash.
        if not isinstance(link, dict) or not isinstance(link.get("left"), str) or link["left"] not in sides:
            continue
        tensor_id = link.get("right_tensor_id")
        entry = described.get(tensor_id) if isinstance(tensor_id, int) else None
        if entry is not None:
            position = link.get("left_tensor_id")
            side = str(link["left"])
            sides[side].append(
                (position if isinstance(position, int) else len(sides[side]), _trailer_tensor(entry, TensorKind(side)))
            )
    ordered = {side: [tensor for _, tensor in sorted(found, key=lambda item: item[0])] for side, found in sides.items()}
    platforms = [str(item) for item in _plain_list(trailer.get("target_platform"))]
    inputs, outputs = ordered["input"], ordered["output"]
    if not inputs and not outputs:
        raise DataError(
            f"{path}: is of file version {version}, which rkparity cannot read, and its JSON part names no input "
            "and no output",
            hint="build the model again with rknn-toolkit2 2.2.0 or later",
        )
    return Model(
        path,
        sha256,
        version,
        ",".join(platforms),
        str(trailer.get("version", "")),
        str(trailer.get("network_platform", "")),
        (),
        (*inputs, *outputs),
        tuple(range(len(inputs))),
        tuple(range(len(inputs), len(inputs) + len(outputs))),
        (),
        trailer,
        (
            f"{path}: file version {version} keeps its operators, scales, mean and std in a form rkparity cannot "
            "read; only inputs and outputs are known",
        ),
    )


def _trailer_tensor(entry: Mapping[str, Any], kind: TensorKind) -> ModelTensor:
    dtype = entry.get("dtype")
    word = str(dtype.get("vx_type", "")) if isinstance(dtype, dict) else ""
    method = str(dtype.get("qnt_method", "")) if isinstance(dtype, dict) else ""
    shape = tuple(size for size in _plain_list(entry.get("size")) if isinstance(size, int))
    return ModelTensor(
        str(entry.get("url", "")),
        _TRAILER_DTYPES.get(word, "unknown"),
        "UNDEFINED",
        kind,
        (),
        shape,
        (),
        (),
        method,
        (),
        (),
        0,
    )
