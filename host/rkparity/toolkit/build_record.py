"""`M.rknn.build.json`: how an exported `.rknn` was built, so that its simulator can be made again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError, ToolkitError, UsageError
from rkparity.io import read_json, write_json
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.spec import BUILD_SCHEMA, BuildSpec


@dataclass(frozen=True)
class BuildRecord:
    """The spec (absolute paths) and toolkit version an exported file was built with, and that file's SHA-256."""

    rknn_sha256: str
    toolkit_version: str
    spec: BuildSpec


def record_path(rknn: Path) -> Path:
    """Where the build record of `rknn` lies."""
    return rknn.with_name(rknn.name + ".build.json")


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
    }
    write_json(path, value, failure=ToolkitError)
    return path


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
    if sha256 != hashlib.sha256(rknn.read_bytes()).hexdigest():
        raise UsageError(
            f"{path}: belongs to another file than {rknn} (their SHA-256 differ)",
            hint="build the model again, or give the source model and its build options",
        )
    return BuildRecord(sha256, version, BuildSpec.from_json(value.get("spec"), source=f"{path}: spec"))


def read_spec(path: Path) -> BuildSpec:
    """Reads a spec from a JSON file: a bare spec or a build record. Relative paths are relative to the file."""
    value = read_json(path)
    inner = value["spec"] if value.get("schema") == BUILD_SCHEMA and "spec" in value else value
    return BuildSpec.from_json(inner, source=str(path)).resolved(path.resolve().parent)
