"""Copies a snapshot's tensors into runs of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rkparity.runs import RunReader, RunWriter
from rkparity.toolkit.snapshot import MAP_NAME, TABLE_NAME, Snapshot


def import_snapshot(snapshot: Snapshot, out: Path, *, force: bool = False) -> tuple[RunReader, ...]:
    """Writes `out/golden`, `out/simulator` and, where there is one, `out/runtime`; the tables are kept as logs.

    Raises UsageError when a run exists and not `force`, DataError when a tensor is damaged.
    """
    runs = [("golden", snapshot.golden), ("simulator", snapshot.simulator)]
    if snapshot.runtime is not None:
        runs.append(("runtime", snapshot.runtime))
    for name, reader in runs:
        with RunWriter(out / name, force=force) as writer:
            tensors = tuple(
                replace(
                    writer.add_tensor(
                        record.name,
                        reader.tensor(record),
                        order=record.order,
                        op_type=record.op_type,
                        role=record.role,
                        scale=record.scale,
                        zero_point=record.zero_point,
                        not_comparable=record.not_comparable,
                    ),
                    name_is_sanitized=record.name_is_sanitized,
                )
                for record in reader.manifest.tensors
            )
            files = {old.file: new.file for old, new in zip(reader.manifest.tensors, tensors)}
            inputs = tuple(replace(item, file=files.get(item.file or "")) for item in reader.manifest.inputs)
            writer.finish(replace(reader.manifest, tensors=tensors, inputs=inputs, logs=_keep_tables(snapshot, writer)))
    return tuple(RunReader.open(out / name) for name, _ in runs)


def _keep_tables(snapshot: Snapshot, writer: RunWriter) -> tuple[str, ...]:
    kept = []
    for name in (TABLE_NAME, MAP_NAME):
        source = snapshot.path / name
        if source.is_file():
            (writer.folder / "logs").mkdir(exist_ok=True)
            (writer.folder / "logs" / name).write_bytes(source.read_bytes())
            kept.append(f"logs/{name}")
    return tuple(kept)
