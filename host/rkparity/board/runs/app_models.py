"""The dumps of a program that ran several models: which model made which, and a run for each."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rkparity.board.runs.dump_records import precision_of, records_of
from rkparity.model import Model
from rkparity.runs import Manifest, ModelRecord, RunWriter
from rkparity.runs.manifest import MODEL_RUNS

# csrc/layer/dumps.c: the beginning of the model's SHA-256, or the context's number where nothing was hashed.
MODEL_DUMPS = re.compile(r"[0-9a-f]{16}|context-[0-9]{1,4}")
_SAFE = re.compile(r"[^A-Za-z0-9._-]")


def first_model(
    models: Sequence[Model], traced: Sequence[ModelRecord], folders: Sequence[str]
) -> tuple[Model | None, ModelRecord | None]:
    """The model whose dumps lie in the program's own folder: the traced one that has none of its own."""
    own = [item for item in traced if _digest(item) not in folders]
    if len(own) != 1:
        return (models[0] if len(models) == 1 and not folders else None), None
    return _given(models, str(own[0].sha256)), own[0]


def write_model_runs(
    folder: Path,
    manifest: Manifest,
    dumps: Mapping[str, Sequence[str]],
    models: Sequence[Model],
    traced: Sequence[ModelRecord],
) -> dict[str, str]:
    """Makes `folder`/models/NAME, a run of each model, of the dumps in `folder`/dumps and its subfolders, which move.

    `dumps` are the names of the sound dumps by subfolder ("" for the first model's). Answers the runs by model name.
    """
    made: dict[str, str] = {}
    for sub, names in dumps.items():
        model, known = first_model(models, traced, [item for item in dumps if item])
        if sub:
            known = next((item for item in traced if _digest(item) == sub), None)
            model = _given(models, sub)
        name = _run_name(model, known, sub, made)
        source = folder / "dumps" / sub if sub else folder / "dumps"
        with RunWriter(folder / MODEL_RUNS / name) as writer:
            (writer.folder / "dumps").mkdir()
            for file in names:
                shutil.move(str(source / file), str(writer.folder / "dumps" / file))
            records = records_of(writer.folder / "dumps", names, model)
            precision, guess = precision_of(records.tensors, model)
            writer.finish(
                replace(
                    manifest,
                    precision=precision,
                    model=_record(model, known),
                    tensors=records.tensors,
                    logs=(),
                    warnings=(*manifest.warnings, *records.warnings, *([guess] if guess else [])),
                )
            )
        made[name] = f"{MODEL_RUNS}/{name}"
    return made


def _digest(record: ModelRecord) -> str:
    return str(record.sha256)[:16]


def _given(models: Sequence[Model], digest: str) -> Model | None:
    return next((model for model in models if model.sha256.startswith(digest)), None)


def _record(model: Model | None, known: ModelRecord | None) -> ModelRecord:
    if model is not None:
        return ModelRecord(model.path.name, model.sha256, model.platform or None, model.compiler_version or None)
    return known or ModelRecord("unknown")


def _run_name(model: Model | None, known: ModelRecord | None, sub: str, taken: Mapping[str, str]) -> str:
    """The model file's stem; with the digest behind it where two files are called alike."""
    file = model.path.name if model is not None else known.name if known is not None else ""
    stem = _SAFE.sub("_", Path(file).stem).strip(".")[:80] or sub or "first"
    digest = model.sha256 if model is not None else str(known.sha256) if known is not None else sub
    return stem if stem not in taken else f"{stem}-{digest[:8] or len(taken)}"
