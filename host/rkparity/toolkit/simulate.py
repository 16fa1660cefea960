"""One simulation: golden and simulator tensors of every layer, written as two runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity import __version__
from rkparity.errors import ToolkitError
from rkparity.runs import (
    Engine,
    InputForm,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    RunReader,
    RunWriter,
    TensorRecord,
)
from rkparity.toolkit.built_model import BuiltModel, GraphInput
from rkparity.toolkit.inputs import PreparedInput
from rkparity.toolkit.snapshot import FUSED_REASON, TABLE_NAME, open_snapshot
from rkparity.toolkit.snapshot_table import PrintedRow, read_table
from rkparity.toolkit.worker_client import SimulatedTensor, Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOLDEN_NAME = "golden"
SIMULATOR_NAME = "simulator"
QAT_REFUSAL = "The QAT model need set 'target'"
"""What accuracy_analysis says of a model that brings its own scales when there is no board (2.5.0)."""
QAT_NOTE = "the model is trained with quantisation (QAT): the toolkit has no float32 (golden) run of it"


@dataclass(frozen=True)
class Simulation:
    """The two runs of one simulation; a model trained with quantisation (QAT) has no golden one."""

    golden: RunReader | None
    simulator: RunReader


def simulate(
    worker: Worker,
    built: BuiltModel,
    inputs: Sequence[PreparedInput],
    out: Path,
    *,
    model: ModelRecord | None = None,
    fast: bool | None = None,
    force: bool = False,
    notes: Sequence[str] = (),
) -> Simulation:
    """Runs the toolkit's accuracy_analysis and writes `out/golden` and `out/simulator`.

    fast: every tensor is written once, by the worker, straight into the runs; otherwise the toolkit writes its own
    snapshot (text copies and all), which is then imported. None takes the fast way where the toolkit's version has it.
    Both give the same bytes; only the fast way keeps tensors apart whose names differ in `/ : . ;` alone. `model` is
    recorded in the manifests, `notes` among their warnings. Of a QAT model there is no float run: only `out/simulator`
    is written, from the layers of an inference. Raises ToolkitError as the worker does, UsageError when a run exists
    and not `force`.
    """
    use_fast = worker.has_fast_snapshot if fast is None else fast
    if use_fast and not worker.has_fast_snapshot:
        raise ToolkitError(
            f"rknn-toolkit2 {worker.toolkit_version}: its snapshot writer is not one rkparity knows",
            hint="use --snapshot toolkit",
        )
    folder = worker.scratch / "analysis"
    shutil.rmtree(folder, ignore_errors=True)
    log_start = worker.log_size()
    try:
        with RunWriter(out / GOLDEN_NAME, force=force) as golden, RunWriter(
            out / SIMULATOR_NAME, force=force
        ) as simulator:
            tensors_of = [writer.folder / "tensors" for writer in (golden, simulator)]
            for path in tensors_of if use_fast else []:
                path.mkdir()
            rows = worker.analyse(
                built.model_id,
                [item.feed for item in inputs],
                golden=tensors_of[0],
                simulator=tensors_of[1],
                folder=folder,
                fast=use_fast,
            )
            warnings = [*notes, *(note for item in inputs for note in item.notes)]
            if rows is None:
                records = _import_tensors(folder, built, golden, simulator, warnings)
            else:
                records = _recorded(rows, read_table(folder / TABLE_NAME), built, warnings)
            log = built.log + worker.log_since(log_start)
            for writer, engine, tensors in (
                (golden, Engine.GOLDEN, records[0]),
                (simulator, Engine.SIMULATOR, records[1]),
            ):
                _finish(
                    writer,
                    engine,
                    tensors,
                    built,
                    inputs,
                    model,
                    "fast" if use_fast else "toolkit",
                    warnings,
                    {"toolkit.log": log, TABLE_NAME: (folder / TABLE_NAME).read_text(encoding="utf-8")},
                )
    except ToolkitError as error:
        if QAT_REFUSAL not in error.message:
            raise
        return Simulation(None, _simulated_only(worker, built, inputs, out, model, force, notes, log_start))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Simulation(RunReader.open(out / GOLDEN_NAME), RunReader.open(out / SIMULATOR_NAME))


def _simulated_only(
    worker: Worker,
    built: BuiltModel,
    inputs: Sequence[PreparedInput],
    out: Path,
    model: ModelRecord | None,
    force: bool,
    notes: Sequence[str],
    log_start: int,
) -> RunReader:
    """The simulator's run from the layers of one inference, which has no table and no operator types."""
    values = worker.layers(built.model_id, [graph_value(given, item) for given, item in zip(built.inputs, inputs)])
    with RunWriter(out / SIMULATOR_NAME, force=force) as writer:
        tensors = []
        for order, (name, array) in enumerate(values.layers.items()):
            scale, zero_point = _quantization(name, built)
            role = _role(name, "", built)
            tensors.append(
                writer.add_tensor(name, array, order=order, op_type="", role=role, scale=scale, zero_point=zero_point)
            )
        log = built.log + worker.log_since(log_start)
        warnings = [QAT_NOTE, *notes, *(note for item in inputs for note in item.notes)]
        _finish(writer, Engine.SIMULATOR, tensors, built, inputs, model, "layers", warnings, {"toolkit.log": log})
    return RunReader.open(out / SIMULATOR_NAME)


def graph_value(given: GraphInput, item: PreparedInput) -> NDArray[Any]:
    """What the graph's input holds for a sample: NCHW for 4-D, (x - mean) / std per channel in double precision."""
    import numpy as np

    raw = item.raw.transpose(0, 3, 1, 2) if item.layout == "NHWC" else item.raw
    if not given.is_real:
        return np.ascontiguousarray(raw)
    values = raw.astype(np.float64)
    scaling = given.scaling_at(values.shape)
    if scaling is not None:
        values = (values - scaling[0]) / scaling[1]
    return np.ascontiguousarray(values.astype(np.float32))


def _recorded(
    rows: Sequence[SimulatedTensor], table: Sequence[PrintedRow], built: BuiltModel, warnings: list[str]
) -> tuple[list[TensorRecord], list[TensorRecord]]:
    printed = {row.name: row for row in table}
    golden, simulator = [], []
    for order, row in enumerate(rows):
        entry = printed.get(row.name)
        if entry is None:
            warnings.append(f"{row.name!r} is not in the toolkit's table: its operator is not known")
        op_type = entry.op_type if entry is not None else ""
        role = _role(row.name, op_type, built)
        file = f"tensors/{row.file}"
        golden.append(TensorRecord(row.name, file, row.golden[0], row.golden[1], order, op_type, role))
        scale, zero_point = _quantization(row.name, built)
        simulator.append(
            TensorRecord(
                row.name,
                file,
                row.simulator[0],
                row.simulator[1],
                order,
                op_type,
                role,
                scale,
                zero_point,
                FUSED_REASON if entry is not None and entry.is_blank else "",
            )
        )
    return golden, simulator


def _import_tensors(
    folder: Path, built: BuiltModel, golden: RunWriter, simulator: RunWriter, warnings: list[str]
) -> tuple[list[TensorRecord], list[TensorRecord]]:
    snapshot = open_snapshot(folder, outputs=built.outputs)
    warnings.extend(snapshot.warnings)
    records: list[list[TensorRecord]] = []
    for reader, writer in ((snapshot.golden, golden), (snapshot.simulator, simulator)):
        kept = []
        for record in reader.manifest.tensors:
            scale, zero_point = _quantization(record.name, built) if writer is simulator else ((), ())
            kept.append(
                writer.add_tensor(
                    record.name,
                    reader.tensor(record),
                    order=record.order,
                    op_type=record.op_type,
                    role=record.role,
                    scale=scale,
                    zero_point=zero_point,
                    not_comparable=record.not_comparable,
                )
            )
        records.append(kept)
    return records[0], records[1]


def _finish(
    writer: RunWriter,
    engine: Engine,
    tensors: Sequence[TensorRecord],
    built: BuiltModel,
    inputs: Sequence[PreparedInput],
    model: ModelRecord | None,
    snapshot: str,
    warnings: Sequence[str],
    logs: dict[str, str],
) -> None:
    folder = writer.folder / "logs"
    folder.mkdir()
    for name, text in logs.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings: dict[str, Any] = {"build": built.spec.to_json(), "snapshot": snapshot}
    writer.finish(
        Manifest(
            engine=engine,
            precision=Precision.FLOAT32 if engine is Engine.GOLDEN else built.precision,
            model=model or ModelRecord(Path(built.spec.model).name, built.rknn_sha256, built.spec.target_platform),
            inputs=tuple(
                writer.add_input(item.name, item.raw, layout=item.layout, form=InputForm.RAW) for item in inputs
            ),
            tensors=tuple(tensors),
            versions={"rkparity": __version__, "toolkit": built.toolkit_version},
            settings=settings,
            logs=tuple(f"logs/{name}" for name in logs),
            warnings=tuple(warnings),
        )
    )


def _role(name: str, op_type: str, built: BuiltModel) -> Role:
    if op_type == "Input" or name in {item.name for item in built.inputs}:
        return Role.INPUT
    return Role.OUTPUT if name in built.outputs else Role.LAYER


def _quantization(name: str, built: BuiltModel) -> tuple[tuple[float, ...], tuple[int, ...]]:
    known = built.quantization.get(name)
    return ((), ()) if known is None else (known.scale, known.zero_point)
