"""A board run's dumps and its model to a run in which every layer was recomputed on the board's own inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.align import align
from rkparity.compare.alignment import LayerPair, PairRole, Reason
from rkparity.compare.dumps import DumpSet, open_dumps
from rkparity.compare.versions import fit_model
from rkparity.errors import DataError, UsageError
from rkparity.model import Model, read_model
from rkparity.runs import Engine, Manifest, ModelRecord, RunReader, TensorRecord, open_npy
from rkparity.runs.dump_names import DumpSuffix, sanitize
from rkparity.runs.manifest import MANIFEST_NAME
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.rebuild import rebuild
from rkparity.toolkit.resimulate import Resimulation, graph_input, resimulate
from rkparity.toolkit.worker_client import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Second forms of a dump and text files are no loss.
_LOST = (Reason.BOARD_ONLY, Reason.NAME_COLLISION, Reason.NOT_IN_MODEL)


@dataclass(frozen=True)
class PreparedBuild:
    """A model built again in a worker, the record of its file, and notes about differences; see `rebuild`."""

    built: BuiltModel
    record: ModelRecord
    notes: tuple[str, ...] = ()


def resimulate_run(
    worker: Worker,
    run: Path,
    rknn: Path,
    out: Path,
    *,
    layers: Sequence[str] = (),
    force: bool = False,
    built: PreparedBuild | None = None,
    graph: Manifest | None = None,
    key: str = "",
) -> Resimulation:
    """Recomputes the layers of the board run (or folder of dumps) `run` of the model `rknn` and writes the run `out`.

    `built` is the model when the worker has it already. `graph` is the simulator's run of it, whose tensors then need
    no further run. `key` is kept in the manifest. `layers` are names of tensors, as in the model or as in dump names;
    all when empty. Raises UsageError when the dumps are not of the model, DataError when an InputOperator's dump is
    missing or damaged, ToolkitError.
    """
    model = read_model(rknn)
    dumps = open_dumps(run)
    if not model.nodes:
        raise UsageError(f"{rknn}: its operators cannot be read, so the dumps cannot be put in their places")
    model = fit_model(dumps.entries, model)
    prepared = built or PreparedBuild(*rebuild(worker, rknn))
    inputs = _graph_inputs(dumps, model, prepared.built)
    if graph is None:
        # The simulator's tensors, by a run on the same inputs: names and shapes are known only to it.
        layer_values = worker.layers(prepared.built.model_id, inputs).layers
        graph = _as_manifest(layer_values, prepared.record, prepared.built)
    alignment = align(list(dumps.entries), graph, model)
    board = {pair.tensor.name: _values(dumps, pair) for pair in alignment.pairs if pair.role is PairRole.LAYER}
    notes = prepared.notes
    lost = [item.dump.file for item in alignment.unmatched_dumps if item.reason in _LOST]
    if lost:
        notes = (*notes, f"{len(lost)} dumps have no place in the simulator's graph, such as {lost[0]}")
    source = RunReader.open(run) if (run / MANIFEST_NAME).is_file() else None
    return resimulate(
        worker,
        prepared.built,
        inputs,
        board,
        out,
        source=source,
        source_path=run,
        model=prepared.record,
        names=_wanted(layers, [item.name for item in graph.tensors]),
        force=force,
        notes=notes,
        key=key,
    )


def _graph_inputs(dumps: DumpSet, model: Model, built: BuiltModel) -> list[NDArray[Any]]:
    files = {entry.name.tensor: entry for entry in dumps.entries if entry.name.is_input}
    tensors = {tensor.name: tensor for tensor in model.input_tensors}
    inputs = []
    for item in built.inputs:
        entry = files.get(sanitize(item.name))
        if entry is None:
            raise DataError(
                f"{dumps.folder}: holds no InputOperator dump of input {item.name!r}",
                hint="the layers behind it cannot be recomputed without it; make the dumps again",
            )
        array = open_npy(dumps.path(entry))
        tensor = tensors.get(item.name)
        scale = tensor.scale[0] if tensor is not None and len(tensor.scale) == 1 else None
        zero_point = tensor.zero_point[0] if tensor is not None and tensor.zero_point else 0
        # Of a model built with dynamic_input the worker names the largest shape.
        shape = tensor.shape if tensor is not None and model.is_dynamic else item.shape
        inputs.append(graph_input(replace(item, shape=shape), array, scale, zero_point))
    return inputs


def _as_manifest(graph: Mapping[str, NDArray[Any]], record: ModelRecord, built: BuiltModel) -> Manifest:
    tensors = tuple(
        # Files that do not exist: alignment asks only that no two tensors share one.
        TensorRecord(name, f"{order}.npy", array.dtype.name, tuple(array.shape), order, "")
        for order, (name, array) in enumerate(graph.items())
    )
    return Manifest(Engine.SIMULATOR, built.precision, record, (), tensors)


def _values(dumps: DumpSet, pair: LayerPair) -> NDArray[Any]:
    """A layer's dump as the simulator keeps values: float32, dequantised; integers as they are."""
    import numpy as np

    array = open_npy(dumps.path(pair.dump))
    raw = pair.dump.name.suffix in (DumpSuffix.INT8, DumpSuffix.UINT8) and pair.native_dtype == array.dtype.name
    if raw and len(pair.scale) == 1 and len(pair.zero_point) == 1:
        scaled: NDArray[Any] = (array.astype(np.float32) - np.float32(pair.zero_point[0])) * np.float32(pair.scale[0])
        return scaled
    return array


def _wanted(layers: Sequence[str], graph: Sequence[str]) -> list[str]:
    by_name = {sanitize(name): name for name in graph}
    for layer in layers:
        if sanitize(layer) not in by_name:
            raise UsageError(
                f"--layer {layer}: the simulator has no tensor of this name",
                hint="give a tensor's name as `rkparity inspect` or a dump's file name shows it",
            )
    return [by_name[sanitize(layer)] for layer in layers]
