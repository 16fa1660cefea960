"""`M.rknn.build.json`: how an exported `.rknn` was built, so that its simulator can be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError, ToolkitError, UsageError
from rkparity.io import read_json, write_json
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.dataset import dataset_files
from rkparity.toolkit.spec import BUILD_SCHEMA, BuildSpec

# Where ONNX keeps weights of more than 2 GB, by custom.
_EXTERNAL_DATA = (".data", "_data")
_CHUNK_NBYTES = 1 << 22


@dataclass(frozen=True)
class BuildRecord:
    """The spec (absolute paths) and toolkit version an exported file was built with, and that file's SHA-256.

    `sources` are the SHA-256 of every file the build read, by path. `scales` are the simulator's own scale and zero
    point by tensor, which differ from the file's where the compiler lets an operator write with the scale of the next
    one (inputs of a Concat on RK3576 and RV1126B). Both are None in records of rkparity before they were kept.
    """

    rknn_sha256: str
    toolkit_version: str
    spec: BuildSpec
    sources: Mapping[str, str] | None = None
    scales: Mapping[str, tuple[float, int]] | None = None


def record_path(rknn: Path) -> Path:
    """Where the build record of `rknn` lies."""
    return rknn.with_name(rknn.name + ".build.json")


def has_build_record(rknn: Path) -> bool:
    """Whether a build record lies beside `rknn`."""
    return record_path(rknn).is_file()


def write_build_record(built: BuiltModel) -> Path:
    """Writes the record beside the exported file; returns its path."""
    if built.rknn is None or built.rknn_sha256 is None:
        raise ValueError("the model was not exported")
    path = record_path(built.rknn)
    value: dict[str, Any] = {
        "schema": BUILD_SCHEMA,
        "rknn_sha256": built.rknn_sha256,
        "toolkit_version": built.toolkit_version,
        "spec": built.spec.to_json(),
        "sources": {
            str(file): file_sha256(file) for file in [*model_files(built.spec), *calibration_files(built.spec)]
        },
        "scales": {name: list(pair) for name, pair in scales_of(built).items()},
    }
    write_json(path, value, failure=ToolkitError)
    return path


def model_files(spec: BuildSpec) -> list[Path]:
    """The files that say what is computed: model, weights, hybrid configuration."""
    named = [Path(path) for path in (spec.model, spec.weights, spec.hybrid) if path is not None]
    named += [Path(spec.model + end) for end in _EXTERNAL_DATA]
    return [path for path in named if path.is_file()]


def calibration_files(spec: BuildSpec) -> list[Path]:
    """The files that only the scales depend on: the calibration samples of a quantised build."""
    return dataset_files(Path(spec.dataset)) if spec.do_quantization and spec.dataset is not None else []


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_NBYTES):
            digest.update(piece)
    return digest.hexdigest()


def scales_of(built: BuiltModel) -> dict[str, tuple[float, int]]:
    """The simulator's scale and zero point of every tensor that has one of each."""
    return {
        name: (item.scale[0], item.zero_point[0])
        for name, item in built.quantization.items()
        if len(item.scale) == 1 and len(item.zero_point) == 1
    }


def read_build_record(rknn: Path) -> BuildRecord:
    """Reads the record of `rknn` and checks that it belongs to these bytes.

    UsageError when there is none or it belongs to another file, ConfigError when it is damaged.
    """
    if not rknn.is_file():
        raise UsageError(f"{rknn}: does not exist")
    path = record_path(rknn)
    if not path.is_file():
        raise UsageError(
            f"{rknn}: has no build record {path.name}, and the toolkit cannot simulate a .rknn by itself",
            hint="build it with `rkparity build`, or give the source model and its build options",
        )
    value = read_json(path)
    if value.get("schema") != BUILD_SCHEMA:
        raise ConfigError(f"{path}: schema is {value.get('schema')!r}, this rkparity reads {BUILD_SCHEMA!r}")
    sha256, version = value.get("rknn_sha256"), value.get("toolkit_version")
    if not isinstance(sha256, str) or not isinstance(version, str):
        raise ConfigError(f"{path}: rknn_sha256 and toolkit_version must be strings")
    if sha256 != file_sha256(rknn):
        raise UsageError(
            f"{path}: belongs to another file than {rknn} (their SHA-256 differ)",
            hint="build the model again, or give the source model and its build options",
        )
    return BuildRecord(
        sha256,
        version,
        BuildSpec.from_json(value.get("spec"), source=f"{path}: spec"),
        _sources(value.get("sources"), path),
        _scales(value.get("scales"), path),
    )


def _sources(value: object, path: Path) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ConfigError(f"{path}: sources must be an object of SHA-256 digests")
    return value


def _scales(value: object, path: Path) -> dict[str, tuple[float, int]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(_is_scale(item) for item in value.values()):
        raise ConfigError(f"{path}: scales must be an object of pairs, a scale and a zero point")
    return {name: (float(pair[0]), int(pair[1])) for name, pair in value.items()}


def _is_scale(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], (int, float))
        and isinstance(value[1], int)
        and not any(isinstance(item, bool) for item in value)
    )


def read_spec(path: Path) -> BuildSpec:
    """Reads a spec from a JSON file: a bare spec or a build record. Relative paths are relative to the file."""
    value = read_json(path)
    inner = value["spec"] if value.get("schema") == BUILD_SCHEMA and "spec" in value else value
    return BuildSpec.from_json(inner, source=str(path)).resolved(path.resolve().parent)
