"""`digest`: hash and statistics of dump files, made on the board so that the host can decide what to pull."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from rkparity_agent import native
from rkparity_agent._native import ffi, lib
from rkparity_agent.events import AgentFailure, EventStream, usage
from rkparity_agent.folders import MARKER

_CHUNK_NBYTES = 1 << 20
_DTYPES = {
    "f4": lib.RKP_FLOAT32,
    "f2": lib.RKP_FLOAT16,
    "f8": lib.RKP_FLOAT64,
    "i1": lib.RKP_INT8,
    "u1": lib.RKP_UINT8,
    "i2": lib.RKP_INT16,
    "u2": lib.RKP_UINT16,
    "i4": lib.RKP_INT32,
    "u4": lib.RKP_UINT32,
    "i8": lib.RKP_INT64,
    "u8": lib.RKP_UINT64,
    "b1": lib.RKP_BOOL,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of dumps")
    parser.add_argument("files", nargs="*", metavar="NAME", help="only these files of it (default: all)")


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Digests every file; returns the result's fields. A file that is no whole npy has its hash and the reason."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise usage(f"{arguments.folder} is not a folder")
    names = arguments.files or sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MARKER)
    for name in names:
        if "/" in name or name in ("", ".", ".."):
            raise usage(f"{name!r} is not the name of a file in {folder}")
    digests = []
    for done, name in enumerate(names):
        events.progress("digest", done, len(names))
        digests.append({"file": name, **digest(folder / name)})
    return {"files": digests}


def digest(path: Path) -> dict[str, Any]:
    """XXH64 of the whole file; for an npy also dtype, shape and statistics (sums over the finite values)."""
    hash_state = ffi.new("struct rkp_xxh64 *")
    lib.rkp_xxh64_init(hash_state, 0)
    fields: dict[str, Any] = {"nbytes": 0}
    npy = None
    try:
        npy = native.NpyFile(str(path))
    except AgentFailure as failure:
        if failure.kind != "data":
            raise
        fields["problem"] = failure.message
    buffer = bytearray(_CHUNK_NBYTES)
    window = memoryview(buffer)
    pointer = ffi.from_buffer(buffer)
    statistics = _Statistics(npy) if npy else None
    try:
        with path.open("rb") as file:
            if npy:
                header = file.read(npy.data_offset)
                lib.rkp_xxh64_update(hash_state, header, len(header))
                fields["nbytes"] += len(header)
            while True:
                length = file.readinto(window)
                if not length:
                    break
                lib.rkp_xxh64_update(hash_state, pointer, length)
                fields["nbytes"] += length
                if statistics:
                    statistics.add(pointer, length)
    except OSError as error:
        raise AgentFailure("file", f"{path}: cannot be read: {error.strerror}") from error
    fields["xxh64"] = f"{lib.rkp_xxh64_value(hash_state):016x}"
    if npy and statistics:
        fields.update({"descr": npy.descr, "shape": npy.shape, "statistics": statistics.to_json()})
    return fields


class _Statistics:
    """The running statistics of one tensor."""

    def __init__(self, npy: native.NpyFile) -> None:
        self._itemsize = int(npy.descr[2:])
        self._source = ffi.new("struct rkp_source *", {"dtype": _DTYPES[npy.descr[1:]], "quantized": 0})
        self._tensor = ffi.new("struct rkp_tensor *")
        lib.rkp_tensor_init(self._tensor)

    def add(self, pointer: Any, nbytes: int) -> None:
        """Adds the next bytes, a whole number of elements."""
        lib.rkp_tensor_update(self._tensor, pointer, self._source, nbytes // self._itemsize)

    def to_json(self) -> dict[str, Any]:
        """Counts, range and sums; minimum and maximum are null when no value is finite."""
        tensor, side = self._tensor, self._tensor.side
        return {
            "n": int(tensor.n),
            "sum": _number(lib.rkp_sum_value(ffi.addressof(tensor, "sum"))),
            "square_sum": _number(lib.rkp_sum_value(ffi.addressof(tensor, "square"))),
            "minimum": _number(side.minimum),
            "maximum": _number(side.maximum),
            "nan": int(side.nan),
            "positive_inf": int(side.positive_inf),
            "negative_inf": int(side.negative_inf),
            "zeros": int(side.zeros),
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
