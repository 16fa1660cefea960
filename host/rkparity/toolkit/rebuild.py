"""A `.rknn` simulated: built again from its build record, and checked to be the same model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rkparity.errors import DataError, ToolkitError
from rkparity.model import read_model
from rkparity.runs import ModelRecord
from rkparity.toolkit.build import build_model
from rkparity.toolkit.build_record import (
    BuildRecord,
    calibration_files,
    file_sha256,
    model_files,
    read_build_record,
    scales_of,
)
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.same_build import check_same_build
from rkparity.toolkit.worker_client import Worker

# Another processor's float arithmetic moves a calibrated range in its last bits; other data moves it far more.
_SCALE_TOLERANCE = 1e-6
_HINT = "run `rkparity build` again, and give the board the new file"


def rebuild(worker: Worker, rknn: Path) -> tuple[BuiltModel, ModelRecord, tuple[str, ...]]:
    """Builds the model of `rknn` again; returns it, the record of the given file, and notes about differences.

    The toolkit cannot simulate a `.rknn`, and two builds of one model differ in their bytes. So the source
    model is compared with its digest in the record, and the simulator's scales with those it had then; a record without
    them (of an older rkparity) is checked by exporting the build and comparing what the two files say. ToolkitError
    when something differs. Raises UsageError as `read_build_record` does.
    """
    record = read_build_record(rknn)
    notes = []
    if record.toolkit_version != worker.toolkit_version:
        notes.append(
            f"{rknn} was built with rknn-toolkit2 {record.toolkit_version}, the simulator is {worker.toolkit_version}: "
            "layers may differ"
        )
    if record.sources is not None:
        _check_sources(record, record.sources, rknn)
    twin = None if record.scales is not None else worker.new_folder("twin").with_suffix(".rknn")
    built = build_model(worker, record.spec, export=twin)
    notes += built.notes
    if record.scales is not None:
        _check_scales(record, built, rknn)
    try:
        model = read_model(rknn)
    except DataError:
        # The small chips' files (rv1103, rv1106) hold no readable tensor table.
        return built, ModelRecord(rknn.name, record.rknn_sha256, record.spec.target_platform), tuple(notes)
    if twin is not None:
        check_same_build(model, read_model(twin))
        twin.unlink()
    platform = model.platform or record.spec.target_platform
    return built, ModelRecord(rknn.name, record.rknn_sha256, platform, model.compiler_version), tuple(notes)


def _check_sources(record: BuildRecord, sources: Mapping[str, str], rknn: Path) -> None:
    for file in map(Path, sources):
        if not file.is_file():
            raise ToolkitError(
                f"{file}: does not exist, and {rknn} was built from it",
                hint="put the file back: the simulator needs all that the build read",
            )
    for file in model_files(record.spec):
        if sources.get(str(file)) != file_sha256(file):
            raise ToolkitError(f"{file}: has changed since {rknn} was built from it", hint=_HINT)


def _changed_samples(record: BuildRecord) -> str:
    """What of the calibration data differs from what the build read."""
    if record.sources is None:
        return "the toolkit, its packages or the calibration data have changed"
    changed = [file for file in calibration_files(record.spec) if record.sources.get(str(file)) != file_sha256(file)]
    if changed:
        return f"the calibration data have changed, such as {changed[0]}"
    return "the calibration list, the toolkit or its packages have changed"


def _check_scales(record: BuildRecord, built: BuiltModel, rknn: Path) -> None:
    now = scales_of(built)
    for name, (scale, zero_point) in (record.scales or {}).items():
        if name not in now:
            raise ToolkitError(f"{rknn}: building it again gives no quantised tensor {name!r}", hint=_HINT)
        other = now[name]
        if not math.isclose(scale, other[0], rel_tol=_SCALE_TOLERANCE) or zero_point != other[1]:
            raise ToolkitError(
                f"{rknn}: tensor {name!r} had scale {scale:g} and zero point {zero_point} when it was built, "
                f"building it again gives {other[0]:g} and {other[1]}",
                hint=f"{_changed_samples(record)}; {_HINT}",
            )
