"""A toolkit snapshot folder as runs, without copying a tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import DataError, UsageError
from rkparity.model import Model
from rkparity.runs import (
    Engine,
    InputForm,
    InputRecord,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    RunReader,
    TensorRecord,
    read_npy_header,
)
from rkparity.runs.dump_names import DumpName, parse_dump_name, sanitize
from rkparity.runs.manifest import FUSED_BEFORE_QUANTIZATION
from rkparity.toolkit.snapshot_table import PrintedRow, read_name_map, read_table

TABLE_NAME = "error_analysis.txt"
MAP_NAME = "map_name_to_file.txt"
FUSED_REASON = FUSED_BEFORE_QUANTIZATION
_QUANTIZED_NAME = re.compile(r".+_(?:u?int8|u?int4|u?int16)")


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot folder holds: runs whose tensors' files are those of the snapshot, and the printed table.

    `runtime` is there when the toolkit pulled a board's dumps. `printed` is for cross-checking only: the toolkit's
    distances lose digits (up to 2.3.2 even the exponent).
    """

    path: Path
    golden: RunReader
    simulator: RunReader
    runtime: RunReader | None
    printed: tuple[PrintedRow, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """One tensor of the snapshot: its real name where known, its file's stem, its place and operator."""

    name: str
    stem: str
    order: int
    op_type: str
    is_fused: bool
    overwritten_by: str
    is_sanitized: bool


def is_snapshot(path: Path) -> bool:
    """Whether `path` looks like what accuracy_analysis writes."""
    return any((path / engine / "npy").is_dir() for engine in ("golden", "simulator"))


def open_snapshot(path: Path, *, model: Model | None = None, outputs: Sequence[str] = ()) -> Snapshot:
    """Opens a snapshot of rknn-toolkit2 1.4 to 2.5.0 read-only.

    With `model` (the compiled model) tensors carry their scale and zero point; `outputs` names the model's outputs when
    there is no model. Raises UsageError when `path` is no snapshot, DataError when a table or tensor is damaged.
    """
    if not is_snapshot(path):
        raise UsageError(
            f"{path}: is no toolkit snapshot: it has neither golden/npy nor simulator/npy",
            hint="give the output_dir of accuracy_analysis, made with rknn-toolkit2 1.4 or later",
        )
    warnings: list[str] = []
    printed = read_table(path / TABLE_NAME) if (path / TABLE_NAME).is_file() else ()
    if not printed:
        warnings.append(f"{path}: has no {TABLE_NAME}: operators and fused tensors are not known")
    entries = _entries(path, printed, warnings)
    output_names = set(outputs) | ({tensor.name for tensor in model.output_tensors} if model is not None else set())
    golden = _run(path, Engine.GOLDEN, entries, model, output_names, warnings)
    simulator = _run(path, Engine.SIMULATOR, entries, model, output_names, warnings)
    return Snapshot(path, golden, simulator, _runtime(path, model, warnings), printed, tuple(warnings))


def _entries(path: Path, printed: Sequence[PrintedRow], warnings: list[str]) -> list[_Entry]:
    if (path / MAP_NAME).is_file():
        names = [(pair.name, pair.stem) for pair in read_name_map(path / MAP_NAME)]
    elif printed:
        names = [(row.name, sanitize(row.name)) for row in printed]
    else:
        files = sorted((path / "golden" / "npy").glob("*.npy")) or sorted((path / "simulator" / "npy").glob("*.npy"))
        warnings.append(f"{path}: has no {MAP_NAME} either: names and order are those of the files")
        return [_Entry(file.stem, file.stem, index, "", False, "", True) for index, file in enumerate(files)]
    rows = {row.name: row for row in printed}
    last = {stem: name for name, stem in names}
    entries = []
    for index, (name, stem) in enumerate(names):
        row = rows.get(name)
        if row is None and printed:
            warnings.append(f"{path}: {name!r} is in {MAP_NAME} and not in {TABLE_NAME}")
        overwritten_by = last[stem] if last[stem] != name else ""
        entries.append(
            _Entry(
                name,
                stem,
                index,
                row.op_type if row else "",
                bool(row and row.op_type and row.is_blank),
                overwritten_by,
                False,
            )
        )
    return entries


def _run(
    path: Path, engine: Engine, entries: Sequence[_Entry], model: Model | None, outputs: set[str], warnings: list[str]
) -> RunReader:
    tensors = []
    is_quantized = any(_QUANTIZED_NAME.fullmatch(entry.name) or entry.is_fused for entry in entries)
    quantization = {} if model is None or engine is Engine.GOLDEN else _quantization(model, entries)
    for entry in entries:
        relative = f"{engine.value}/npy/{entry.stem}.npy"
        if not (path / relative).is_file():
            warnings.append(f"{path / relative}: is missing; {entry.name!r} is not part of the {engine.value} run")
            continue
        dtype, shape = _kind(path / relative)
        scale, zero_point = quantization.get(entry.name, ((), ()))
        role = Role.INPUT if entry.op_type == "Input" else Role.OUTPUT if entry.name in outputs else Role.LAYER
        tensors.append(
            TensorRecord(
                entry.name,
                relative,
                dtype,
                shape,
                entry.order,
                entry.op_type,
                role,
                scale,
                zero_point,
                _reason(entry, engine),
                entry.is_sanitized,
            )
        )
    if not tensors:
        raise DataError(
            f"{path}: has no tensors of the {engine.value} run",
            hint="accuracy_analysis was interrupted, or the npy folder was removed",
        )
    inputs = tuple(
        InputRecord(
            record.name,
            record.file,
            None,
            record.dtype,
            record.shape,
            "NCHW" if len(record.shape) == 4 else "UNDEFINED",
            InputForm.NORMALIZED,
        )
        for record in tensors
        if record.role is Role.INPUT
    )
    precision = (
        Precision.FLOAT32 if engine is Engine.GOLDEN else (Precision.QUANTIZED if is_quantized else Precision.FP16)
    )
    return RunReader(
        path,
        Manifest(
            engine,
            precision,
            _model_record(path, model),
            inputs,
            tuple(tensors),
            settings={"snapshot": str(path)},
            warnings=tuple(warnings),
        ),
    )


def _quantization(model: Model, entries: Sequence[_Entry]) -> dict[str, tuple[tuple[float, ...], tuple[int, ...]]]:
    """Scale and zero point by tensor name.

    The compiled model's int8 input `x` is two tensors of the snapshot: `x`, float, and `x_int8`, quantised; an output
    likewise (evidence toolkit/odd_names). The scale belongs to the second.
    """
    names = {entry.name for entry in entries}
    found = {}
    for tensor in model.tensors:
        twin = f"{tensor.name}_{tensor.dtype}"
        name = twin if twin in names else tensor.name
        if name in names and tensor.scale and len(tensor.scale) == len(tensor.zero_point):
            found[name] = (tensor.scale, tensor.zero_point)
    return found


def _reason(entry: _Entry, engine: Engine) -> str:
    if entry.overwritten_by:
        return (
            f"its file {entry.stem}.npy was overwritten by tensor {entry.overwritten_by!r}: the toolkit writes both "
            "under the same name"
        )
    return FUSED_REASON if entry.is_fused and engine is Engine.SIMULATOR else ""


def _runtime(path: Path, model: Model | None, warnings: list[str]) -> RunReader | None:
    folder = path / "runtime" / "npy"
    if not folder.is_dir():
        return None
    names: list[DumpName] = []
    for file in sorted(folder.glob("*.npy")):
        try:
            names.append(parse_dump_name(file.name))
        except DataError as error:
            warnings.append(f"{file}: is left out: {error.message}")
    roles: Mapping[bool, Role] = {True: Role.INPUT, False: Role.LAYER}
    tensors = tuple(
        TensorRecord(
            name.tensor,
            f"runtime/npy/{name.raw}",
            *_kind(folder / name.raw),
            name.index,
            name.op_type,
            Role.OUTPUT if name.is_output else roles[name.is_input],
            name_is_sanitized=True,
        )
        for name in names
    )
    if not tensors:
        return None
    return RunReader(
        path,
        Manifest(
            Engine.BOARD, Precision.FP16, _model_record(path, model), (), tensors, settings={"snapshot": str(path)}
        ),
    )


def _model_record(path: Path, model: Model | None) -> ModelRecord:
    if model is None:
        return ModelRecord(path.name)
    return ModelRecord(model.path.name, model.sha256, model.platform, model.compiler_version)


def _kind(path: Path) -> tuple[str, tuple[int, ...]]:
    import numpy as np

    header = read_npy_header(path)
    return np.dtype(header.descr).name, header.shape
