"""The manifest records of a folder of dumps: what each file's name and header say, checked against each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import DataError
from rkparity.runs import Precision, Role, TensorRecord, read_npy_header
from rkparity.runs.dump_names import INPUT_OPERATOR, OUTPUT_OPERATOR, DumpName, parse_dump_name

if TYPE_CHECKING:
    from rkparity.model import ExpectedDump, Model

_MAX_NAMED = 5
_KINDS = {"i": "int", "u": "uint", "f": "float"}


@dataclass(frozen=True)
class DumpRecords:
    """The records in execution order, and what was odd about the folder."""

    tensors: tuple[TensorRecord, ...]
    warnings: tuple[str, ...]


def is_dump(name: str) -> DumpName | None:
    """The parsed name if `name` is that of an `.npy` dump that may be kept here, else None."""
    if not all(char.isprintable() for char in name):
        return None
    try:
        parsed = parse_dump_name(name)
    except DataError:
        return None
    return None if parsed.is_text else parsed


def records_of(folder: Path, names: Iterable[str], model: Model | None) -> DumpRecords:
    """Reads the header of every dump in `folder` and makes its record; `file` is `dumps/NAME`.

    With the compiled model, names are the model's own tensor names, integer dumps get their scale, and dumps the model
    should have written but that are not there become warnings. Raises DataError naming every damaged file.
    """
    names = list(names)
    expected = {dump.stem: dump for dump in model.for_dumps(names).expected_dumps()} if model is not None else {}
    seen: set[str] = set()
    records: list[TensorRecord] = []
    damaged: list[str] = []
    warnings: list[str] = []
    for name in sorted(names):
        parsed = is_dump(name)
        if parsed is None:
            raise DataError(f"{name!r} is not the name of a librknnrt dump")
        try:
            header = read_npy_header(folder / name)
        except DataError as error:
            damaged.append(error.message)
            continue
        dtype = _dtype_name(header.descr)
        if dtype != parsed.suffix.dtype or header.shape != parsed.shape:
            warnings.append(
                f"{name}: its header says {dtype} {header.shape}, its name {parsed.suffix.dtype} {parsed.shape}"
            )
        stem = name[: -len(f"_{parsed.suffix.value}.npy")]
        seen.add(stem)
        records.append(_record(parsed, name, dtype, header.shape, expected.get(stem)))
    if damaged:
        raise DataError(
            "; ".join(damaged[:_MAX_NAMED])
            + (f"; and {len(damaged) - _MAX_NAMED} more" if len(damaged) > _MAX_NAMED else ""),
            hint="the board's disk was full or the program was cut off while dumping: free space there, run again",
        )
    if expected:
        warnings += _differences(expected, seen)
    records.sort(key=lambda record: (record.order, record.file))
    return DumpRecords(tuple(records), tuple(warnings))


def precision_of(records: Iterable[TensorRecord], model: Model | None) -> tuple[Precision, str]:
    """The model's arithmetic and, when it is only a guess from the dumps' types, a sentence saying so."""
    if model is not None:
        return (Precision.QUANTIZED if model.is_quantized else Precision.FP16), ""
    # Only an INT8 model dumps uint8 or int8 (evidence 160_gen_*): FP16 models dump float for every image input.
    if any(record.dtype in ("int8", "uint8") for record in records):
        return Precision.QUANTIZED, ""
    return Precision.FP16, (
        "the model's precision is not known from these dumps, fp16 is assumed; "
        "give --model M.rknn or --precision to be sure"
    )


def _record(
    parsed: DumpName, file_name: str, dtype: str, shape: tuple[int, ...], expected: ExpectedDump | None
) -> TensorRecord:
    record = TensorRecord(
        parsed.tensor,
        f"dumps/{file_name}",
        dtype,
        shape,
        parsed.index,
        parsed.op_type,
        _role(parsed.op_type),
        name_is_sanitized=True,
    )
    if expected is None:
        return record
    is_raw = dtype == expected.tensor.dtype and expected.tensor.is_quantized
    return replace(
        record,
        name=expected.tensor.name,
        op_type=expected.op_type,
        role=_role(expected.op_type),
        name_is_sanitized=False,
        scale=expected.tensor.scale if is_raw else (),
        zero_point=expected.tensor.zero_point if is_raw else (),
    )


def _role(op_type: str) -> Role:
    return {INPUT_OPERATOR: Role.INPUT, OUTPUT_OPERATOR: Role.OUTPUT}.get(op_type, Role.LAYER)


def _differences(expected: dict[str, ExpectedDump], seen: set[str]) -> list[str]:
    missing = sorted(stem for stem in expected if stem not in seen)
    extra = sorted(seen - set(expected))
    sentences = []
    for what, stems in (
        ("the model writes {} dumps that are not here", missing),
        ("{} dumps here are not of this model", extra),
    ):
        if stems:
            more = f" and {len(stems) - _MAX_NAMED} more" if len(stems) > _MAX_NAMED else ""
            sentences.append(f"{what.format(len(stems))}: {', '.join(stems[:_MAX_NAMED])}{more}")
    return sentences


def _dtype_name(descr: str) -> str:
    """NumPy's name of a header's dtype text, without loading NumPy for it."""
    return "bool" if descr[1] == "b" else f"{_KINDS[descr[1]]}{int(descr[2:]) * 8}"
