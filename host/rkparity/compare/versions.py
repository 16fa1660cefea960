"""Do dumps, reference and model belong together: hashes, versions, the model's node list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rkparity import __version__
from rkparity.compare.alignment import DumpEntry
from rkparity.errors import UsageError
from rkparity.model.records import Model
from rkparity.runs.dump_names import sanitize
from rkparity.runs.manifest import Engine, Manifest, Precision

_VERSION = re.compile(r"(\d+)\.(\d+)")


def fit_model(entries: Sequence[DumpEntry], model: Model) -> Model:
    """The model at the dumps' set of shapes.

    Raises UsageError when the dumps cannot be of it: most names are not on its node list, or shapes differ.
    """
    if not model.nodes:
        return model
    model = model.for_dumps(entry.name.raw for entry in entries)
    shapes = {
        (item.index, f"{item.op_type}_{sanitize(item.tensor.name)}"): item.tensor.shape
        for item in model.expected_dumps()
    }
    dumps = [entry for entry in entries if not entry.name.is_text]
    hint = "give the .rknn file that the board ran, or remove dumps of other models from the folder"
    # 2.x runtimes write an input again under the number of the operator that reads it.
    inputs = {sanitize(tensor.name) for tensor in model.input_tensors}
    strangers = [
        entry
        for entry in dumps
        if (entry.name.index, entry.name.body) not in shapes and entry.name.tensor not in inputs
    ]
    if 2 * len(strangers) > len(dumps):
        raise UsageError(
            f"{model.path}: is not the model of these dumps: {len(strangers)} of {len(dumps)} are not on its node "
            f"list, such as {strangers[0].file}",
            hint=hint,
        )
    for entry in dumps:
        shape = shapes.get((entry.name.index, entry.name.body))
        if shape is not None and _squeezed(shape) != _squeezed(entry.name.shape):
            raise UsageError(
                f"{model.path}: is not the model of these dumps: {entry.file} has shape {list(entry.name.shape)}, "
                f"the model says {list(shape)}",
                hint=hint,
            )
    return model


def collect_versions(dumps: Manifest | None, reference: Manifest, model: Model | None) -> dict[str, Mapping[str, Any]]:
    """What is known about both sides, for the result."""
    sides: dict[str, Mapping[str, Any]] = {"rkparity": {"version": __version__}}
    if dumps is not None:
        sides["dumps"] = {"engine": dumps.engine.value, "model_sha256": dumps.model.sha256, **dict(dumps.versions)}
    sides["reference"] = {
        "engine": reference.engine.value,
        "precision": reference.precision.value,
        "model_sha256": reference.model.sha256,
        **dict(reference.versions),
    }
    if model is not None:
        sides["model"] = {"sha256": model.sha256, "platform": model.platform, "compiler": model.compiler_version}
    return sides


def version_warnings(dumps: Manifest | None, reference: Manifest, model: Model | None) -> list[str]:
    """Differences that explain a divergence better than any layer does."""
    warnings = []
    hashes = {
        "the board ran": dumps.model.sha256 if dumps is not None else None,
        "the reference is of": reference.model.sha256,
        "--model is": model.sha256 if model is not None else None,
    }
    known = {who: value for who, value in hashes.items() if value}
    if len(set(known.values())) > 1:
        said = ", ".join(f"{who} {value[:12]}..." for who, value in known.items())
        warnings.append(f"not the same .rknn file: {said}; make dumps and reference from one build")
    if model is not None and model.nodes and model.is_quantized != (reference.precision is Precision.QUANTIZED):
        kind = "quantised" if model.is_quantized else "float16"
        warnings.append(f"the model is {kind}, the reference is the {reference.precision.value} simulator")
    runtime = dumps.versions.get("runtime", "") if dumps is not None else ""
    compiler = (
        (model.compiler_version if model is not None else "")
        or (dumps.model.compiler_version if dumps is not None else "")
        or ""
    )
    board, built = _VERSION.search(runtime), _VERSION.search(compiler)
    if board and built and board.groups() != built.groups() and not (dumps and dumps.emulated):
        warnings.append(
            f"librknnrt {board.group()} ran a model built by toolkit {built.group()}; use one version for both"
        )
    if reference.engine is not Engine.SIMULATOR:
        warnings.append(
            f"the reference is a run of the {reference.engine.value}, not of the simulator: the limits are for two "
            "runs of one compiled model"
        )
    if dumps is not None:
        warnings += dumps.warnings
    warnings += reference.warnings
    return warnings


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [dim for dim in shape if dim != 1]
