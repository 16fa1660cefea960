"""`manifest.json`: what a run is, in frozen records; see docs/run-format.md for the file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rkparity.errors import DataError

SCHEMA = "rkparity.run/1"
MANIFEST_NAME = "manifest.json"
MODEL_RUNS = "models"
"""The folder in the run of a program with several models that holds a run of each."""

FUSED_BEFORE_QUANTIZATION = "fused into the next operator before quantisation"
"""What `not_comparable` says of tensors the toolkit's own table leaves blank: cut to the next operator's range."""

EnumType = TypeVar("EnumType", bound=enum.Enum)


class Engine(str, enum.Enum):
    """What computed a run."""

    ORIGINAL = "original"
    GOLDEN = "golden"
    SIMULATOR = "simulator"
    BOARD = "board"
    APP = "app"


class Precision(str, enum.Enum):
    """The arithmetic of the compiled model."""

    FLOAT32 = "float32"
    FP16 = "fp16"
    QUANTIZED = "quantized"


class Role(str, enum.Enum):
    """What a tensor is to the model."""

    INPUT = "input"
    LAYER = "layer"
    OUTPUT = "output"


class InputForm(str, enum.Enum):
    """In which form an input's bytes are kept: as given by the user, or after (x - mean) / std."""

    RAW = "raw"
    NORMALIZED = "normalized"


@dataclass(frozen=True)
class ModelRecord:
    """Which model was run: `sha256` is of the `.rknn` bytes (of the source model for `original`)."""

    name: str
    sha256: str | None = None
    platform: str | None = None
    compiler_version: str | None = None


@dataclass(frozen=True)
class InputRecord:
    """One model input as given to the engine; `file` is relative to the run, `sha256` is of the tensor's bytes."""

    name: str
    file: str | None
    sha256: str | None
    dtype: str
    shape: tuple[int, ...]
    layout: str
    form: InputForm


@dataclass(frozen=True)
class TensorRecord:
    """One tensor of a run.

    `name` is the tensor's full name in the graph (for dumps whose full name is not known: the sanitised name, with
    `name_is_sanitized` true). `file` is relative to the run. `order` is the position in execution order. `op_type` is
    the operator that made it. `scale`/`zero_point` are the affine quantisation of the value, empty for float.
    `not_comparable` says why this tensor must not be compared (fused away before quantisation), empty if it may be.
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    order: int
    op_type: str
    role: Role = Role.LAYER
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    not_comparable: str = ""
    name_is_sanitized: bool = False


@dataclass(frozen=True)
class Manifest:
    """Everything about a run but its tensors' values.

    `versions` maps component ("toolkit", "runtime", "driver", "rkparity", ...) to version text; `emulated` is true when
    the runtime was the emulated one, `void_values` when that had no values to give (outputs are then zeros, and
    layers are not there). `settings` keeps what the user asked for (build options, API, want_float), for
    people and for hints; nothing is decided from it. `logs` are files relative to the run.
    """

    engine: Engine
    precision: Precision
    model: ModelRecord
    inputs: tuple[InputRecord, ...]
    tensors: tuple[TensorRecord, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    emulated: bool = False
    created: str = ""
    warnings: tuple[str, ...] = ()
    void_values: bool = False

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        return {
            "schema": SCHEMA,
            "engine": self.engine.value,
            "precision": self.precision.value,
            "emulated": self.emulated,
            "void_values": self.void_values,
            "created": self.created,
            "model": {
                "name": self.model.name,
                "sha256": self.model.sha256,
                "platform": self.model.platform,
                "compiler_version": self.model.compiler_version,
            },
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "inputs": [
                {
                    "name": record.name,
                    "file": record.file,
                    "sha256": record.sha256,
                    "dtype": record.dtype,
                    "shape": list(record.shape),
                    "layout": record.layout,
                    "form": record.form.value,
                }
                for record in self.inputs
            ],
            "tensors": [
                {
                    "name": record.name,
                    "file": record.file,
                    "dtype": record.dtype,
                    "shape": list(record.shape),
                    "order": record.order,
                    "op_type": record.op_type,
                    "role": record.role.value,
                    "scale": list(record.scale),
                    "zero_point": list(record.zero_point),
                    "not_comparable": record.not_comparable,
                    "name_is_sanitized": record.name_is_sanitized,
                }
                for record in self.tensors
            ],
            "logs": list(self.logs),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, value: object, *, source: str) -> Manifest:
        """Reads a manifest's JSON; DataError names `source`, the field and the value that is wrong."""
        fields = _Fields(value, source, "")
        schema = fields.text("schema")
        if schema != SCHEMA:
            raise DataError(
                f"{source}: schema is {schema!r}, this rkparity reads {SCHEMA!r}",
                hint="make the run again with this version, or use the version that made it",
            )
        model = fields.sub("model")
        return cls(
            engine=fields.choice("engine", Engine),
            precision=fields.choice("precision", Precision),
            emulated=fields.flag("emulated"),
            void_values=fields.optional_flag("void_values"),
            created=fields.text("created"),
            model=ModelRecord(
                model.text("name"),
                model.optional_text("sha256"),
                model.optional_text("platform"),
                model.optional_text("compiler_version"),
            ),
            versions={key: str(item) for key, item in fields.mapping("versions").items()},
            settings=fields.mapping("settings"),
            inputs=tuple(
                InputRecord(
                    item.text("name"),
                    item.optional_text("file"),
                    item.optional_text("sha256"),
                    item.text("dtype"),
                    item.integers("shape"),
                    item.text("layout"),
                    item.choice("form", InputForm),
                )
                for item in fields.items("inputs")
            ),
            tensors=tuple(
                TensorRecord(
                    item.text("name"),
                    item.text("file"),
                    item.text("dtype"),
                    item.integers("shape"),
                    item.integer("order"),
                    item.text("op_type"),
                    item.choice("role", Role),
                    item.numbers("scale"),
                    item.integers("zero_point"),
                    item.text("not_comparable"),
                    item.flag("name_is_sanitized"),
                )
                for item in fields.items("tensors")
            ),
            logs=tuple(fields.texts("logs")),
            warnings=tuple(fields.texts("warnings")),
        )


class _Fields:
    """Typed access to one JSON object, with the path to the field in every error."""

    def __init__(self, value: object, source: str, path: str) -> None:
        self._source = source
        self._path = path
        if not isinstance(value, dict):
            raise DataError(f"{source}: {path or 'the file'} must be a JSON object, not {type(value).__name__}")
        self._value: dict[str, Any] = value

    def _get(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        if key not in self._value:
            raise DataError(f"{self._source}: {self._path}{key} is missing")
        value = self._value[key]
        # bool is an int to isinstance; a manifest that says `true` for a number is wrong.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise DataError(f"{self._source}: {self._path}{key} must be {what}, not {value!r}")
        return value

    def text(self, key: str) -> str:
        return str(self._get(key, str, "a string"))

    def optional_text(self, key: str) -> str | None:
        value = self._get(key, (str, type(None)), "a string or null")
        return None if value is None else str(value)

    def flag(self, key: str) -> bool:
        return bool(self._get(key, bool, "true or false"))

    def optional_flag(self, key: str) -> bool:
        return key in self._value and self.flag(key)

    def integer(self, key: str) -> int:
        return int(self._get(key, int, "an integer"))

    def choice(self, key: str, kind: type[EnumType]) -> EnumType:
        value = self.text(key)
        try:
            return kind(value)
        except ValueError:
            choices = ", ".join(str(member.value) for member in kind)
            raise DataError(f"{self._source}: {self._path}{key} is {value!r}; it must be one of {choices}") from None

    def mapping(self, key: str) -> dict[str, Any]:
        return dict(self._get(key, dict, "an object"))

    def sub(self, key: str) -> _Fields:
        return _Fields(self._get(key, dict, "an object"), self._source, f"{self._path}{key}.")

    def items(self, key: str) -> list[_Fields]:
        values = self._get(key, list, "a list")
        return [_Fields(value, self._source, f"{self._path}{key}[{index}].") for index, value in enumerate(values)]

    def _list(self, key: str, kind: type | tuple[type, ...], what: str) -> list[Any]:
        values: list[Any] = self._get(key, list, "a list")
        for index, value in enumerate(values):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise DataError(f"{self._source}: {self._path}{key}[{index}] must be {what}, not {value!r}")
        return values

    def texts(self, key: str) -> list[str]:
        return self._list(key, str, "a string")

    def integers(self, key: str) -> tuple[int, ...]:
        return tuple(self._list(key, int, "an integer"))

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(float(value) for value in self._list(key, (int, float), "a number"))
