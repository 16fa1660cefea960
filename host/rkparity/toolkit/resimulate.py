"""Every layer recomputed alone on a board's own tensors, written as a run: error made apart from error inherited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity import __version__
from rkparity.errors import ToolkitError, UsageError
from rkparity.runs import (
    Engine,
    InputForm,
    Manifest,
    ModelRecord,
    Role,
    RunReader,
    RunWriter,
    TensorRecord,
)
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.worker_client import Replayed, ReplayedTensor, Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.toolkit.built_model import GraphInput


@dataclass(frozen=True)
class Resimulation:
    """The run that was written, how many tensors are whole recomputations, and which substitutes did not fit."""

    run: RunReader
    recomputed: int
    misfits: tuple[str, ...]


def graph_input(given: GraphInput, dumped: NDArray[Any], scale: float | None, zero_point: int) -> NDArray[Any]:
    """What the graph's input holds for an InputOperator dump.

    uint8 pixels of a quantised image input are before mean and std (evidence 160_gen_u8_nhwc_pt0): they are normalised
    in double precision, as the toolkit does. int8 needs `scale`; floats are on the model's side already.
    """
    import numpy as np

    if dumped.dtype == np.uint8:
        values = dumped.astype(np.float64)
        scaling = given.scaling_at(values.shape)
        if scaling is not None:
            values = (values - scaling[0]) / scaling[1]
    elif dumped.dtype == np.int8:
        if scale is None:
            raise UsageError(f"input {given.name!r}: its dump holds int8 values and their scale is not known")
        values = (dumped.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    else:
        values = dumped
    dtype = "float32" if given.is_real else given.dtype
    return values.astype(dtype).reshape(given.shape)


def resimulate(
    worker: Worker,
    built: BuiltModel,
    inputs: Sequence[NDArray[Any]],
    board: Mapping[str, NDArray[Any]],
    out: Path,
    *,
    source: RunReader | None,
    source_path: Path,
    model: ModelRecord,
    names: Sequence[str] = (),
    force: bool = False,
    notes: Sequence[str] = (),
    key: str = "",
) -> Resimulation:
    """Writes the run `out`: for each tensor what the simulator computes from the board's own tensors.

    `inputs` are the graph's inputs (see `graph_input`), `board` the dumped tensors by the simulator's names. A tensor
    one of whose ways up the graph meets no dump is in the run with the reason in `not_comparable`. `names` limits the
    run to these tensors; `key` is kept in its manifest. Raises ToolkitError as the worker does, UsageError for names
    the simulator does not have.
    """
    replayed = worker.resimulate(built.model_id, inputs, board, names=list(names) or None)
    missing = sorted(set(names) - {tensor.name for tensor in replayed.tensors})
    if missing:
        raise UsageError(
            f"the simulator has no tensor {missing[0]!r}", hint="`rkparity inspect M.rknn` lists the model's tensors"
        )
    if not replayed.tensors:
        raise ToolkitError("rknn-toolkit2 recomputed no tensor", hint=f"what it printed: {worker.log}")
    roles = dict.fromkeys(built.outputs, Role.OUTPUT)
    with RunWriter(out, force=force) as writer:
        records = [
            writer.add_tensor(name, array, order=order, op_type="Input", role=Role.INPUT)
            for order, (name, array) in enumerate(zip((item.name for item in built.inputs), inputs))
        ]
        records += [
            _record(writer, tensor, order, roles.get(tensor.name, Role.LAYER), built)
            for order, tensor in enumerate(replayed.tensors, start=len(records))
        ]
        writer.finish(
            Manifest(
                engine=Engine.SIMULATOR,
                precision=built.precision,
                model=model,
                inputs=tuple(
                    writer.add_input(item.name, array, layout=item.layout.upper(), form=InputForm.NORMALIZED)
                    for item, array in zip(built.inputs, inputs)
                ),
                tensors=tuple(records),
                versions={"rkparity": __version__, "toolkit": built.toolkit_version},
                settings=_settings(replayed, source, source_path, key),
                warnings=(
                    *notes,
                    *(f"the board's {name!r} has another shape than the simulator's" for name in replayed.misfits),
                ),
            )
        )
    whole = sum(tensor.whole for tensor in replayed.tensors)
    return Resimulation(RunReader.open(out), whole, replayed.misfits)


def _record(writer: RunWriter, tensor: ReplayedTensor, order: int, role: Role, built: BuiltModel) -> TensorRecord:
    known = built.quantization.get(tensor.name)
    scale, zero_point = ((), ()) if known is None else (known.scale, known.zero_point)
    reason = "" if tensor.whole else "not computed from the board's tensors alone: dumps of its inputs are missing"
    return writer.add_tensor(
        tensor.name,
        tensor.values,
        order=order,
        op_type="",
        role=role,
        scale=scale,
        zero_point=zero_point,
        not_comparable=reason,
    )


def _settings(replayed: Replayed, source: RunReader | None, source_path: Path, key: str) -> dict[str, Any]:
    return {
        "resimulated": {
            "of": str(source_path),
            "key": key,
            "engine": source.manifest.engine.value if source is not None else None,
            "computed_from": {tensor.name: list(tensor.nearest) for tensor in replayed.tensors},
        }
    }
