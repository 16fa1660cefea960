"""The `run` job: JSON from the host, checked field by field into frozen records; see docs/agent.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rkparity_agent import native
from rkparity_agent.events import AgentFailure, usage

SCHEMA = "rkparity.job/1"
APIS = ("general", "zero-copy")
CORE_MASKS = ("AUTO", "0", "1", "2", "0_1", "0_1_2", "ALL")
MAX_REPEAT = 1_000_000
MAX_DIMS = 16
DUMP_LOG_LEVEL = 5
"""librknnrt writes dumps from this log level on (evidence 160_loglevel_*)."""


@dataclass(frozen=True)
class JobInput:
    """One input file; `type` and `fmt` are numbers of the ABI, None means "from the file" and "by rank"."""

    file: str
    type: int | None
    fmt: int | None
    pass_through: bool


@dataclass(frozen=True)
class Job:
    """What `run` is to do. `want_float` has one entry for all outputs or one for each.

    `input_shapes` are for models built with dynamic_input, one per input, NHWC for 4-D.
    """

    model: str
    inputs: tuple[JobInput, ...]
    output_dir: str
    library: str | None = None
    api: str = "general"
    want_float: tuple[bool, ...] = (True,)
    prealloc: bool = False
    native_outputs: bool = False
    output_fmt: int | None = None
    output_type: int | None = None
    dump_dir: str | None = None
    dump_quant: int = 0
    dump_text: bool = False
    log_level: int = DUMP_LOG_LEVEL
    repeat: int = 1
    core_mask: int = 0
    perf: bool = False
    timeout_s: float | None = None
    input_shapes: tuple[tuple[int, ...], ...] | None = None

    @classmethod
    def from_json(cls, value: object) -> Job:
        """Reads a job; raises AgentFailure (kind "usage") naming the field, its value and the choices."""
        fields = _Fields(value, "job")
        fields.known(
            {
                "schema",
                "library",
                "model",
                "api",
                "inputs",
                "want_float",
                "prealloc",
                "native_outputs",
                "output_fmt",
                "output_type",
                "dump_dir",
                "dump_quant",
                "dump_text",
                "log_level",
                "repeat",
                "core_mask",
                "perf",
                "output_dir",
                "timeout_s",
                "input_shapes",
            }
        )
        if fields.get("schema") != SCHEMA:
            raise usage(
                f"job: schema is {fields.get('schema')!r}, this agent reads {SCHEMA!r}",
                "deploy the agent of the same rkparity version",
            )
        job = cls(
            model=fields.text("model"),
            inputs=tuple(_job_input(item, index) for index, item in enumerate(fields.items("inputs"))),
            output_dir=fields.text("output_dir"),
            library=fields.optional_text("library"),
            api=fields.choice("api", APIS, "general"),
            want_float=fields.flags("want_float"),
            prealloc=fields.flag("prealloc"),
            native_outputs=fields.flag("native_outputs"),
            output_fmt=fields.fmt("output_fmt"),
            output_type=fields.type("output_type"),
            dump_dir=fields.optional_text("dump_dir"),
            dump_quant=fields.integer("dump_quant", 0, 0, 2),
            dump_text=fields.flag("dump_text"),
            log_level=fields.integer("log_level", DUMP_LOG_LEVEL, 0, 9),
            repeat=fields.integer("repeat", 1, 1, MAX_REPEAT),
            core_mask=native.core_mask_number(fields.choice("core_mask", CORE_MASKS, "AUTO")),
            perf=fields.flag("perf"),
            timeout_s=fields.seconds("timeout_s"),
            input_shapes=fields.shapes("input_shapes"),
        )
        job._check()
        return job

    def _check(self) -> None:
        if self.dump_dir is not None and self.log_level < DUMP_LOG_LEVEL:
            raise usage(
                f"job: log_level {self.log_level} makes no dumps; dump_dir needs {DUMP_LOG_LEVEL} or more",
                "leave log_level out, or set dump_dir to null",
            )
        if self.api == "general" and (
            self.native_outputs or self.output_fmt is not None or self.output_type is not None
        ):
            raise usage(
                "job: native_outputs, output_fmt and output_type belong to the zero-copy API",
                'set "api": "zero-copy", or use want_float',
            )
        if self.native_outputs and (self.output_fmt is not None or self.output_type is not None):
            raise usage(
                "job: native_outputs takes the model's own layout and type; output_fmt and output_type contradict it"
            )

    def want_float_of(self, index: int, n_outputs: int) -> bool:
        """want_float of one output; raises AgentFailure when the job's list has neither one entry nor one for each."""
        if len(self.want_float) not in (1, n_outputs):
            raise usage(f"job: want_float has {len(self.want_float)} entries, the model has {n_outputs} outputs")
        return self.want_float[index if len(self.want_float) > 1 else 0]


def _job_input(value: object, index: int) -> JobInput:
    fields = _Fields(value, f"job: inputs[{index}]")
    fields.known({"file", "type", "fmt", "pass_through"})
    return JobInput(fields.text("file"), fields.type("type"), fields.fmt("fmt"), fields.flag("pass_through"))


class _Fields:
    """Typed access to one JSON object of the job."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise usage(f"{where} must be a JSON object, not {type(value).__name__}")
        self._value: Mapping[str, Any] = value
        self._where = where

    def known(self, names: set[str]) -> None:
        unknown = sorted(set(self._value) - names)
        if unknown:
            raise usage(f"{self._where}: unknown field {unknown[0]!r}", "known fields: " + ", ".join(sorted(names)))

    def get(self, key: str) -> Any:
        return self._value.get(key)

    def _wrong(self, key: str, what: str) -> AgentFailure:
        return usage(f"{self._where}: {key} must be {what}, not {self._value.get(key)!r}")

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self._wrong(key, "a non-empty string")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.get(key) is None else self.text(key)

    def flag(self, key: str) -> bool:
        value = self._value.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def flags(self, key: str) -> tuple[bool, ...]:
        value = self._value.get(key, True)
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(item, bool) for item in values):
            raise self._wrong(key, "true, false or a list of them, one for each output")
        return tuple(values)

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        value = self._value.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._wrong(key, f"a whole number from {least} to {most}")
        return value

    def seconds(self, key: str) -> float | None:
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1e9:
            raise self._wrong(key, "a number of seconds or null")
        return float(value)

    def shapes(self, key: str) -> tuple[tuple[int, ...], ...] | None:
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            isinstance(shape, list)
            and 0 < len(shape) <= MAX_DIMS
            and all(isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 31 for size in shape)
            for shape in value
        ):
            raise self._wrong(key, "a list of shapes, one for each input, or null")
        return tuple(tuple(shape) for shape in value)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self._value.get(key, default)
        if value not in choices:
            raise self._wrong(key, "one of " + ", ".join(choices))
        return str(value)

    def items(self, key: str) -> list[object]:
        value = self.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return value

    def type(self, key: str) -> int | None:
        name = self.optional_text(key)
        number = None if name is None else native.type_number(name)
        if number is not None and number < 0:
            raise self._wrong(key, "the name of an RKNN type such as UINT8, INT8, FLOAT32, FLOAT16, INT64")
        return number

    def fmt(self, key: str) -> int | None:
        name = self.optional_text(key)
        number = None if name is None else native.fmt_number(name)
        if number is not None and number < 0:
            raise self._wrong(key, "NCHW, NHWC, NC1HWC2 or UNDEFINED")
        return number
