"""What the real runtime dumped and what the real toolkit's snapshot of the same model holds (tests/data/alignment)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.compare.alignment import DumpEntry
from rkparity.runs.dump_names import DumpSuffix, compose_dump_stem, parse_dump_name
from rkparity.runs.manifest import (
    FUSED_BEFORE_QUANTIZATION,
    Engine,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    TensorRecord,
)

DATA = Path(__file__).parent / "data"
CASES = tuple(
    f"{case}_{kind}" for case in ("cnn_classifier", "multi_input", "non4d", "odd_names") for kind in ("fp16", "int8")
)


@dataclass(frozen=True)
class Case:
    """One model: its compiled file, one run's dumps, the toolkit's snapshot, the runtime's answers to queries."""

    model: Path
    dumps: tuple[DumpEntry, ...]
    reference: Manifest
    attributes: list[dict[str, Any]]
    quantization: list[dict[str, Any]]


def compose_dump_name(index: int, op_type: str, tensor: str, shape: Sequence[int], suffix: DumpSuffix) -> str:
    """The file name librknnrt gives the `.npy` dump of `tensor` (its real name)."""
    return f"{compose_dump_stem(index, op_type, tensor, shape)}_{suffix.value}.npy"


def load_case(name: str) -> Case:
    value = json.loads((DATA / "alignment" / f"{name}.json").read_text(encoding="utf-8"))
    tensors = tuple(
        tensor(
            row["name"],
            row["op_type"],
            tuple(row["shape"]),
            order,
            file=f"npy/{row['file']}",
            not_comparable=FUSED_BEFORE_QUANTIZATION if row["blank"] else "",
        )
        for order, row in enumerate(value["snapshot"])
    )
    return Case(
        DATA / "models" / value["model"],
        entries(*value["dumps"]),
        reference(*tensors),
        value["attributes"],
        value.get("quantization", []),
    )


def entries(*names: str) -> tuple[DumpEntry, ...]:
    return tuple(DumpEntry(parse_dump_name(name), f"dumps/{name}") for name in names)


def tensor(
    name: str,
    op_type: str,
    shape: tuple[int, ...],
    order: int,
    *,
    file: str = "",
    not_comparable: str = "",
    name_is_sanitized: bool = False,
) -> TensorRecord:
    role = Role.INPUT if op_type == "Input" else Role.LAYER
    return TensorRecord(
        name,
        file or f"tensors/{order:04d}.npy",
        "float32",
        shape,
        order,
        op_type,
        role,
        not_comparable=not_comparable,
        name_is_sanitized=name_is_sanitized,
    )


def reference(*tensors: TensorRecord, engine: Engine = Engine.SIMULATOR) -> Manifest:
    return Manifest(engine, Precision.QUANTIZED, ModelRecord("model"), (), tensors)
