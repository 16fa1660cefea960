"""What to ask rknn-toolkit2 for when it builds a model: one frozen record, readable from and writable as JSON."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError, UsageError

BUILD_SCHEMA = "rkparity.build/1"
EXTRA_GROUPS = ("config", "load", "build")


class Framework(str, enum.Enum):
    """Where the source model comes from; each is one `load_*` call of the toolkit.

    HYBRID is no framework: `model` and `weights` are the `.model` and `.data` of hybrid_quantization_step1, which bring
    every other setting of the build.
    """

    ONNX = "onnx"
    TFLITE = "tflite"
    TENSORFLOW = "tensorflow"
    CAFFE = "caffe"
    DARKNET = "darknet"
    PYTORCH = "pytorch"
    HYBRID = "hybrid"

    @classmethod
    def of_file(cls, model: Path) -> Framework:
        """The framework a model file's suffix stands for; UsageError when it stands for none."""
        framework = _SUFFIXES.get(model.suffix.lower())
        if framework is None:
            raise UsageError(
                f"{model}: cannot tell the framework from the suffix {model.suffix!r}",
                hint="give --framework " + "|".join(item.value for item in cls),
            )
        return framework


_SUFFIXES = {
    ".onnx": Framework.ONNX,
    ".tflite": Framework.TFLITE,
    ".pb": Framework.TENSORFLOW,
    ".prototxt": Framework.CAFFE,
    ".cfg": Framework.DARKNET,
    ".pt": Framework.PYTORCH,
    ".model": Framework.HYBRID,
}
_WEIGHTS_NEEDED = {Framework.DARKNET: ".weights file", Framework.HYBRID: ".data file"}


@dataclass(frozen=True)
class BuildSpec:
    """Everything that decides what the toolkit builds.

    `model`, `weights` and `dataset` are paths. `input_size_list` is one shape per input, in the source model's layout.
    `mean_values` and `std_values` are one list per input, one number per channel. `dataset` is the calibration list of
    RKNN manual 3.1.3: one sample a line, the files of several inputs separated by spaces; a relative path is looked for
    beside the list. `hybrid` is a `.quantization.cfg`: the layers it lists stay in float. None leaves the toolkit's own
    default. `extra` holds further keyword arguments for the toolkit's
    calls, in the groups "config", "load" and "build".
    """

    framework: Framework
    model: str
    weights: str | None = None
    inputs: tuple[str, ...] = ()
    input_size_list: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[str, ...] = ()
    mean_values: tuple[tuple[float, ...], ...] = ()
    std_values: tuple[tuple[float, ...], ...] = ()
    quant_img_RGB2BGR: bool = False
    target_platform: str = "rk3588"
    do_quantization: bool = False
    dataset: str | None = None
    optimization_level: int | None = None
    quantized_method: str | None = None
    quantized_algorithm: str | None = None
    hybrid: str | None = None
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuses what the toolkit would accept silently or fail on late; UsageError names the field and value.

        rknn-toolkit2 takes a std of 0 and lists for inputs that do not exist without a word; building int8 without a
        dataset only returns -1.
        """
        _existing(self.model, "model")
        if self.weights is not None:
            _existing(self.weights, "weights")
        elif self.framework in _WEIGHTS_NEEDED:
            raise UsageError(
                f"{self.model}: {self.framework.value} needs a {_WEIGHTS_NEEDED[self.framework]}",
                hint="give it with --weights",
            )
        for index, values in enumerate(self.std_values):
            if any(value == 0 or not math.isfinite(value) for value in values):
                raise UsageError(
                    f"std_values[{index}] is {list(values)}: every value must be a number other than 0",
                    hint="use 1 for an input that is not scaled",
                )
        for index, values in enumerate(self.mean_values):
            if not all(math.isfinite(value) for value in values):
                raise UsageError(f"mean_values[{index}] is {list(values)}: every value must be a finite number")
        if (
            self.mean_values
            and self.std_values
            and [len(item) for item in self.mean_values] != [len(item) for item in self.std_values]
        ):
            raise UsageError(
                f"mean_values {_lists(self.mean_values)} and std_values {_lists(self.std_values)} differ in length",
                hint="give one list per input and one number per channel in both",
            )
        if self.hybrid is not None:
            _existing(self.hybrid, "hybrid configuration")
            if not self.do_quantization:
                raise UsageError(
                    f"{self.hybrid}: a hybrid model is a quantised one and do_quantization is false",
                    hint="quantise as well (--int8 --dataset FILE), or leave the configuration out",
                )
        elif self.framework is Framework.HYBRID:
            raise UsageError(
                f"{self.model}: the toolkit's hybrid_quantization_step1 wrote this; its configuration is not given",
                hint="give the edited .quantization.cfg with --hybrid",
            )
        if self.do_quantization and self.framework is not Framework.HYBRID:
            if self.dataset is None:
                raise UsageError(
                    "quantisation needs calibration data and no dataset is given",
                    hint="give --dataset FILE (one sample a line), or --fp16",
                )
            _existing(self.dataset, "dataset")

    def resolved(self, base: Path) -> BuildSpec:
        """The same with paths made absolute; relative ones are relative to `base`."""

        def absolute(path: str | None) -> str | None:
            return None if path is None else str((base / path).resolve())

        return replace(
            self,
            model=str((base / self.model).resolve()),
            weights=absolute(self.weights),
            dataset=absolute(self.dataset),
            hybrid=absolute(self.hybrid),
        )

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {
            "framework": self.framework.value,
            "model": self.model,
            "weights": self.weights,
            "inputs": list(self.inputs),
            "input_size_list": [list(shape) for shape in self.input_size_list],
            "outputs": list(self.outputs),
            "mean_values": [list(values) for values in self.mean_values],
            "std_values": [list(values) for values in self.std_values],
            "quant_img_RGB2BGR": self.quant_img_RGB2BGR,
            "target_platform": self.target_platform,
            "do_quantization": self.do_quantization,
            "dataset": self.dataset,
            "optimization_level": self.optimization_level,
            "quantized_method": self.quantized_method,
            "quantized_algorithm": self.quantized_algorithm,
            "hybrid": self.hybrid,
            "extra": {group: dict(values) for group, values in self.extra.items()},
        }

    @classmethod
    def from_json(cls, value: object, *, source: str) -> BuildSpec:
        """Reads the record; ConfigError names `source`, field and value. Only framework and model are required."""
        if not isinstance(value, dict):
            raise ConfigError(f"{source}: must be a JSON object, not {type(value).__name__}")
        known = {item.name for item in fields(cls)}
        for key in value:
            if key not in known:
                raise ConfigError(f"{source}: {key!r} is not a build option", hint="known: " + ", ".join(sorted(known)))
        for key in ("framework", "model"):
            if key not in value:
                raise ConfigError(f"{source}: {key} is missing")
        reader = _SpecReader(value, source)
        return cls(
            framework=reader.framework(),
            model=reader.text("model"),
            weights=reader.optional("weights", str, "a path or null"),
            inputs=tuple(reader.texts("inputs")),
            input_size_list=tuple(
                tuple(int(dim) for dim in shape) for shape in reader.number_lists("input_size_list", int)
            ),
            outputs=tuple(reader.texts("outputs")),
            mean_values=tuple(
                tuple(float(item) for item in values) for values in reader.number_lists("mean_values", (int, float))
            ),
            std_values=tuple(
                tuple(float(item) for item in values) for values in reader.number_lists("std_values", (int, float))
            ),
            quant_img_RGB2BGR=bool(reader.optional("quant_img_RGB2BGR", bool, "true or false") or False),
            target_platform=reader.optional("target_platform", str, "a chip's name") or "rk3588",
            do_quantization=bool(reader.optional("do_quantization", bool, "true or false") or False),
            dataset=reader.optional("dataset", str, "a path or null"),
            optimization_level=reader.optional("optimization_level", int, "a number or null"),
            quantized_method=reader.optional("quantized_method", str, "a string or null"),
            quantized_algorithm=reader.optional("quantized_algorithm", str, "a string or null"),
            hybrid=reader.optional("hybrid", str, "a path or null"),
            extra=reader.extra(),
        )


def hybrid_spec(model: Path, data: Path | None, cfg: Path) -> BuildSpec:
    """The spec of a build from step 1's files; the `.data` beside the `.model` when none is named."""
    return BuildSpec(
        Framework.HYBRID,
        str(model),
        weights=str(data if data is not None else model.with_suffix(".data")),
        do_quantization=True,
        hybrid=str(cfg),
    )


class _SpecReader:
    """Typed access to the JSON of a build."""

    def __init__(self, value: dict[str, Any], source: str) -> None:
        self._value = value
        self._source = source

    def _fail(self, key: str, what: str, value: object) -> ConfigError:
        return ConfigError(f"{self._source}: {key} must be {what}, not {value!r}")

    def optional(self, key: str, kind: type, what: str) -> Any:
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._fail(key, what, value)
        return value

    def text(self, key: str) -> str:
        value = self.optional(key, str, "a string")
        if not value:
            raise self._fail(key, "a string that is not empty", value)
        return str(value)

    def framework(self) -> Framework:
        value = self.text("framework")
        try:
            return Framework(value)
        except ValueError:
            choices = "one of " + ", ".join(item.value for item in Framework)
            raise self._fail("framework", choices, value) from None

    def _list(self, key: str) -> list[Any]:
        value = self._value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._fail(key, "a list", value)
        return value

    def texts(self, key: str) -> list[str]:
        for item in self._list(key):
            if not isinstance(item, str):
                raise self._fail(key, "a list of strings", item)
        return self._list(key)

    def number_lists(self, key: str, kind: type | tuple[type, ...]) -> list[list[Any]]:
        for item in self._list(key):
            if not isinstance(item, list) or not all(
                isinstance(number, kind) and not isinstance(number, bool) for number in item
            ):
                raise self._fail(key, "a list of lists of numbers", item)
        return self._list(key)

    def extra(self) -> dict[str, dict[str, Any]]:
        value = self._value.get("extra")
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(
            group in EXTRA_GROUPS and isinstance(item, dict) for group, item in value.items()
        ):
            raise self._fail("extra", "an object of the objects " + ", ".join(EXTRA_GROUPS), value)
        return value


def _existing(path: str, what: str) -> None:
    if not Path(path).exists():
        raise UsageError(f"{path}: {what} does not exist")


def _lists(values: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(item) for item in values]
