"""Values in dumps and output buffers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from fidelity.output_dump import DATA_OFFSET, output_dump
from fidelity.player import Played
from fidelity.sequence_buffers import sequence_relations, sequence_sizes
from fidelity.transcript import Step
from rkparity.model import ModelTensor
from rkparity.runs.dump_names import INPUT_OPERATOR

# Where, expected, got: a deviation when the last two differ.
Finding = tuple[str, str, str]
Array = np.ndarray[Any, Any]

_FILL = 0xA5
_OUTPUT = re.compile(r"output\[(\d+)\] index=(\d+) want_float=(\d) is_prealloc=(\d) size=(\d+) saved=(\S+) hash=(\w+)")
_MEMORY = re.compile(r"out mem (\d+) size=(\d+) hash=(\w+) saved=(\S+)")
_ATTRIBUTE = re.compile(r"attr for set_io_mem: .*dims=\[([\d,]*)\].* fmt=(\d)\(.* type=(\d)\(.* zp=(-?\d+) scale=(\S+)")
_TYPES = ("float32", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool")
_NCHW, _NHWC, _NC1HWC2, _UNDEFINED = range(4)


def dump_findings(played: Played) -> list[Finding]:
    """Kept InputOperator dumps against the played ones; OutputOperator dumps against outputs of want_float 1."""
    findings = []
    for item in played.experiment.dumps:
        kept = played.experiment.folder / item.file
        if not (kept.is_file() or item.sha256) or INPUT_OPERATOR not in item.file:
            continue
        fresh = played.folder / item.file
        if not fresh.is_file():
            findings.append((item.file, "a file", "none"))
        elif item.sha256:
            findings.append((item.file, item.sha256, hashlib.sha256(fresh.read_bytes()).hexdigest()))
        elif item.file.endswith(".tensor"):
            findings.append((item.file, "the recorded text", _text_difference(kept, fresh)))
        else:
            findings.append((item.file, "the recorded values", _difference(kept, fresh)))
    return findings + list(_output_relations(played, want_float=True)) + sequence_relations(played)


def _text_difference(kept: Path, fresh: Path) -> str:
    return (
        "the recorded text"
        if kept.read_bytes() == fresh.read_bytes()
        else f"{fresh.stat().st_size} bytes of other text"
    )


def _difference(kept: Path, fresh: Path) -> str:
    left, right = kept.read_bytes()[DATA_OFFSET:], fresh.read_bytes()[DATA_OFFSET:]
    if left == right:
        return "the recorded values"
    if len(left) != len(right):
        return f"{len(right)} bytes, not {len(left)}"
    differing = np.flatnonzero(np.frombuffer(left, np.uint8) != np.frombuffer(right, np.uint8))
    return f"{differing.size} of {len(left)} bytes differ, from byte {differing[0]}"


def buffer_findings(played: Played) -> list[Finding]:
    """Sizes, untouched buffers, raw outputs and output memories."""
    findings: list[Finding] = []
    for expected, got in zip(played.experiment.transcript.steps, played.transcript.steps):
        findings += _sizes(expected, got, written_by_npu=_written_by_npu(played))
        findings += sequence_sizes(expected, got)
    return findings + _output_relations(played, want_float=False) + _memory_relations(played)


def _written_by_npu(played: Played) -> bool:
    """Whether a memory in the output's own native layout was given: the NPU writes there, and the recording's NPU wrote
    nothing."""
    model = played.model
    return model is not None and any(
        step.kind == "io" and "dir=out" in step.call and ("src=native" in step.call or len(tensor.shape) != 4)
        for step in played.experiment.transcript.steps
        for tensor in model.output_tensors
    )


def _sizes(expected: Step, got: Step, *, written_by_npu: bool) -> list[Finding]:
    left = [match for line in expected.answers for match in [_OUTPUT.match(line) or _MEMORY.match(line)] if match]
    right = [match for line in got.answers for match in [_OUTPUT.match(line) or _MEMORY.match(line)] if match]
    findings = [(expected.call, f"{len(left)} buffers", f"{len(right)} buffers")] if left or right else []
    for one, other in zip(left, right):
        if one.re is not other.re:
            findings.append((expected.call, one.string, other.string))
            continue
        size, digest = (5, 7) if one.re is _OUTPUT else (2, 3)
        if written_by_npu and one.re is _MEMORY:
            digest = 0
        findings.append((expected.call, _state(one, size, digest), _state(other, size, digest)))
    return findings


def _state(match: re.Match[str], size: int, digest: int) -> str:
    nbytes = int(match[size])
    if digest == 0:
        return f"size {nbytes}"
    untouched = int(match[digest], 16) == _fnv1a_of_fill(nbytes)
    return f"size {nbytes}, {'untouched' if untouched else 'written'}"


def _fnv1a_of_fill(nbytes: int) -> int:
    value = 2166136261
    for _ in range(nbytes):
        value = ((value ^ _FILL) * 16777619) & 0xFFFFFFFF
    return value


def _relation(where: str, dump: Array, values: Array) -> Finding:
    same = dump.size == values.size and dump.astype(values.dtype).tobytes() == values.tobytes()
    return where, "the dump's values", "the dump's values" if same else "other values"


def _output_relations(played: Played, *, want_float: bool) -> list[Finding]:
    """Outputs of the last rknn_outputs_get against the dumps of the last run."""
    findings: list[Finding] = []
    if played.model is None or not any(step.kind == "run" for step in played.transcript.steps):
        return findings
    gets = [step for step in played.transcript.steps if step.kind == "get"]
    for match in (match for line in (gets[-1].answers if gets else ()) for match in [_OUTPUT.match(line)] if match):
        position, size = int(match[1]), int(match[5])
        if (match[3] == "1") is not want_float or position >= len(played.model.output_tensors):
            continue
        tensor = played.model.output_tensors[position]
        dump = output_dump(played, tensor)
        path = played.folder / "io" / match[6]
        if dump is None or not path.is_file():
            continue
        count = dump.size
        raw = path.read_bytes()[:size]
        dtype = np.dtype("float32" if want_float else tensor.dtype)
        if len(raw) < count * dtype.itemsize:
            continue  # too small for the values: whether it stays untouched is checked with the sizes
        values = np.frombuffer(raw, dtype=dtype, count=count)
        findings.append(_relation(f"output {tensor.name}", dump, _real(values, tensor)))
    return findings


def _real(values: Array, tensor: ModelTensor) -> Array:
    """(q - zero_point) * scale for a quantised type; float16 as float32."""
    if values.dtype == np.int64 or values.dtype == np.float32:
        return values
    return _dequantized(
        values, tensor.zero_point[0] if tensor.zero_point else 0, tensor.scale[0] if tensor.scale else 1.0
    )


def _dequantized(values: Array, zero_point: int, scale: float) -> Array:
    if values.dtype in (np.dtype("float16"), np.dtype("float32")):
        return values.astype(np.float32)
    if values.dtype == np.uint8:
        zero_point += (
            128  # uint8 outputs hold q + 128 (evidence 160_zc_out_native_u8's sibling, zero-copy UINT8 outputs)
        )
    real: Array = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def _memory_relations(played: Played) -> list[Finding]:
    """Output memories read after the run, put into NCHW and real values, against the dump."""
    findings: list[Finding] = []
    if played.model is None:
        return findings
    attributes = {
        re.sub(r".*\bi=(\d+).*", r"\1", step.call): match
        for step in played.transcript.steps
        if step.kind == "io" and "dir=out" in step.call
        for line in step.answers
        for match in [_ATTRIBUTE.search(line)]
        if match
    }
    for step in played.transcript.steps:
        for match in (match for line in step.answers for match in [_MEMORY.match(line)] if match):
            attribute = attributes.get(match[1])
            tensor = played.model.output_tensors[int(match[1])]
            dump = output_dump(played, tensor)
            if attribute is None or dump is None:
                continue
            dtype = np.dtype(_TYPES[int(attribute[3])])
            raw = (played.folder / "io" / match[4]).read_bytes()
            logical = _logical(raw, dtype, int(attribute[2]), tuple(map(int, attribute[1].split(","))), tensor.shape)
            if logical is None or raw == bytes([_FILL]) * len(raw):
                continue  # too small, or not written to: the sizes' comparison says whether that is right
            values = logical if dtype == np.int64 else _dequantized(logical, int(attribute[4]), float(attribute[5]))
            findings.append(_relation(f"memory of {tensor.name}", dump, values))
    return findings


def _logical(raw: bytes, dtype: np.dtype[Any], fmt: int, dims: tuple[int, ...], shape: tuple[int, ...]) -> Array | None:
    """A memory's values in logical order; None when it is too small to hold them."""
    needed = int(np.prod(dims if fmt == _NC1HWC2 else shape)) * dtype.itemsize
    if len(raw) < needed:
        return None
    values = np.frombuffer(raw[:needed], dtype=dtype)
    if fmt == _NHWC and len(shape) == 4:
        n, c, h, w = shape
        return np.ascontiguousarray(values.reshape(n, h, w, c).transpose(0, 3, 1, 2)).reshape(-1)
    if fmt == _NC1HWC2 and len(dims) == 5:
        n, c, h, w = shape
        n1, c1, _, _, c2 = dims
        return np.ascontiguousarray(
            values.reshape(n1, c1, h, w, c2).transpose(0, 1, 4, 2, 3).reshape(n1, c1 * c2, h, w)[:, :c]
        ).reshape(-1)
    return values
