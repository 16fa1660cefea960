"""A `.rknn` simulated: built again from its build record, and checked to be the same model."""

from __future__ import annotations

from pathlib import Path

from rkparity.errors import DataError, ToolkitError
from rkparity.model import Model, TensorKind, read_model
from rkparity.runs import ModelRecord
from rkparity.toolkit.build_record import read_build_record
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.worker_client import Worker


def rebuild(worker: Worker, rknn: Path) -> tuple[BuiltModel, ModelRecord, tuple[str, ...]]:
    """Builds the model of `rknn` again; returns it, the record of the given file, and notes about differences.

    The toolkit cannot simulate a `.rknn`, and two builds of one model differ in their bytes, so the scales are
    compared: ToolkitError when they differ (the calibration data or the source model has changed since). Raises
    UsageError as `read_build_record` does.
    """
    record = read_build_record(rknn)
    notes = []
    if record.toolkit_version != worker.toolkit_version:
        notes.append(
            f"{rknn} was built with rknn-toolkit2 {record.toolkit_version}, the simulator is {worker.toolkit_version}: "
            "layers may differ"
        )
    built = worker.build(record.spec)
    try:
        model: Model | None = read_model(rknn)
    except DataError as error:
        # The small chips' files (rv1103, rv1106) hold no readable tensor table.
        notes.append(f"{rknn}: its scales cannot be compared with those of the simulator: {error.message}")
        model = None
    if model is not None:
        _check_same_scales(model, built, rknn)
    known = (None, None) if model is None else (model.platform, model.compiler_version)
    return (
        built,
        ModelRecord(rknn.name, record.rknn_sha256, known[0] or record.spec.target_platform, known[1]),
        tuple(notes),
    )


def _check_same_scales(model: Model, built: BuiltModel, rknn: Path) -> None:
    import numpy as np

    for tensor in model.tensors:
        # Constants are left out: the bias of a transposed convolution (PP-OCR detector) has one scale in the file and
        # another in the simulator's own table, in the very build that wrote both.
        if tensor.kind not in (TensorKind.INPUT, TensorKind.OUTPUT, TensorKind.ACTIVATION):
            continue
        ours = built.quantization.get(tensor.name)
        if ours is None or len(ours.scale) != 1 or len(tensor.scale) != 1:
            continue
        # The file holds float32 scales, the simulator computes with float64.
        if np.float32(ours.scale[0]) != np.float32(tensor.scale[0]) or ours.zero_point != tensor.zero_point:
            raise ToolkitError(
                f"{rknn}: tensor {tensor.name!r} has scale {tensor.scale[0]:g} and zero point {tensor.zero_point[0]}, "
                f"building it again gives {ours.scale[0]:g} and {ours.zero_point[0]}",
                hint="the source model, the calibration data or the toolkit has changed; run `rkparity build` again",
            )
