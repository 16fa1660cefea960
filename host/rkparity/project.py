"""`rkparity.toml`: one project's model, inputs, references, build settings, board and thresholds as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError, UsageError
from rkparity.io import read_toml
from rkparity.toolkit.spec import BuildSpec, Framework

PROJECT_NAME = "rkparity.toml"
LAYOUTS = ("nhwc", "nchw")
CHANNEL_ORDERS = ("rgb", "bgr")


@dataclass(frozen=True)
class ModelSettings:
    """[model]: the source model and how to load it; `rknn` is the file the application ships, if it exists already."""

    file: Path
    framework: str
    weights: Path | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_size_list: tuple[tuple[int, ...], ...] = ()
    rknn: Path | None = None


@dataclass(frozen=True)
class BuildSettings:
    """[build]: what the toolkit's config() and build() get; None leaves the toolkit's default.

    `hybrid` is a `.quantization.cfg`: the model is built with the layers it lists in float.
    """

    target_platform: str = "rk3588"
    mean_values: tuple[tuple[float, ...], ...] = ()
    std_values: tuple[tuple[float, ...], ...] = ()
    do_quantization: bool = False
    dataset: Path | None = None
    quant_img_RGB2BGR: bool = False
    optimization_level: int | None = None
    quantized_method: str | None = None
    quantized_algorithm: str | None = None
    hybrid: Path | None = None
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class InputSettings:
    """[input]: one sample, a file per model input, before mean and std; `layout` of 4-D .npy files; `resize` pictures.

    `more` are further samples (each a list of files), to measure accuracy on.
    """

    files: tuple[Path, ...]
    layout: str | None = None
    resize: bool = False
    more: tuple[tuple[Path, ...], ...] = ()


@dataclass(frozen=True)
class OriginalSettings:
    """[original]: the truth the conversion is measured against.

    `inputs`: what the original framework is fed for the same sample, exactly (.npy, its own layout, already
    normalised). `outputs`: what it answers (.npy). Without either the original is fed what the build's mean and std
    make of the sample, and then these themselves stay unproven. `mean`, `std`, `channel_order` say how it was trained.
    """

    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channel_order: str | None = None


@dataclass(frozen=True)
class BoardSettings:
    """[board]: how to reach it, and the user's program for stage runtime.

    `application` is the program and its arguments; `{model}` stands for the .rknn, `{input}` for the sample's files,
    both copied to the board. `uploads` are copied too. `cwd` is where it starts (default: where the uploads are).
    """

    address: str | None = None
    identity: Path | None = None
    library: str | None = None
    application: tuple[str, ...] = ()
    uploads: tuple[Path, ...] = ()
    cwd: str | None = None


@dataclass(frozen=True)
class CheckSettings:
    """[check]: limits and budgets.

    `fp16_cosine`, `quantized_cosine`: least cosine of every output against the original. `budget_s`: time the search
    for better quantisation settings may take. `thresholds`: file for comparing dumps (docs/thresholds.md).
    """

    fp16_cosine: float = 0.99
    quantized_cosine: float = 0.99
    budget_s: float = 600.0
    thresholds: Path | None = None


@dataclass(frozen=True)
class Project:
    """Everything in a `rkparity.toml`; paths are absolute. `output` is the folder results are kept in."""

    path: Path
    name: str
    output: Path
    model: ModelSettings
    input: InputSettings
    build: BuildSettings = BuildSettings()
    original: OriginalSettings = OriginalSettings()
    board: BoardSettings = BoardSettings()
    check: CheckSettings = CheckSettings()

    def build_spec(self, *, do_quantization: bool) -> BuildSpec:
        """How the toolkit is asked to build, as FP16 or quantised; UsageError when quantising without a dataset."""
        build = self.build
        if do_quantization and build.dataset is None:
            raise UsageError(
                f"{self.path}: build.dataset is missing, quantisation needs calibration data",
                hint='add dataset = "dataset.txt" to [build]: one sample a line',
            )
        return BuildSpec(
            framework=Framework(self.model.framework),
            model=str(self.model.file),
            weights=None if self.model.weights is None else str(self.model.weights),
            inputs=self.model.inputs,
            input_size_list=self.model.input_size_list,
            outputs=self.model.outputs,
            mean_values=build.mean_values,
            std_values=build.std_values,
            quant_img_RGB2BGR=build.quant_img_RGB2BGR,
            target_platform=build.target_platform,
            do_quantization=do_quantization,
            dataset=str(build.dataset) if do_quantization and build.dataset is not None else None,
            optimization_level=build.optimization_level,
            quantized_method=build.quantized_method,
            quantized_algorithm=build.quantized_algorithm,
            hybrid=str(build.hybrid) if do_quantization and build.hybrid is not None else None,
            extra=build.extra,
        )

    def named_files(self) -> tuple[Path, ...]:
        """Every file the project names, in a fixed order: what results depend on."""
        listed = [self.model.file, self.model.weights, self.build.dataset, self.build.hybrid, self.check.thresholds]
        listed += [*self.input.files, *self.original.inputs, *self.original.outputs]
        listed += [file for sample in self.input.more for file in sample]
        return tuple(path for path in listed if path is not None)


_PATHS = {
    "model": ("file", "weights", "rknn"),
    "build": ("dataset", "hybrid"),
    "input": ("files", "more"),
    "original": ("inputs", "outputs"),
    "board": ("identity", "uploads"),
    "check": ("thresholds",),
}
_TABLES = {
    "model": ModelSettings,
    "build": BuildSettings,
    "input": InputSettings,
    "original": OriginalSettings,
    "board": BoardSettings,
    "check": CheckSettings,
}


def find_project(path: Path | None) -> Path:
    """The project file: `path` (or the one in that folder), else the one in the current folder; UsageError if none."""
    chosen = Path.cwd() / PROJECT_NAME if path is None else path
    if chosen.is_dir():
        chosen = chosen / PROJECT_NAME
    if not chosen.is_file():
        raise UsageError(f"{chosen}: there is no project file", hint="write one with `rkparity init`")
    return chosen.resolve()


def read_project(path: Path) -> Project:
    """Reads a project file; ConfigError names file, key, value and what is allowed. Files named must exist."""
    value = read_toml(path, "project file", unreadable=UsageError)
    known = ("name", "output", *_TABLES)
    for key in value:
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}", hint="known: " + ", ".join(known))
    tables = {name: _table(value, name, path) for name in _TABLES}
    if "framework" not in tables["model"]:
        file = tables["model"].get("file")
        if isinstance(file, Path):
            tables["model"]["framework"] = Framework.of_file(file).value
    for table, key in (("model", "file"), ("input", "files")):
        if key not in tables[table]:
            raise ConfigError(f"{path}: {table}.{key} is missing", hint="docs/project-file.md lists all keys")
    project = Project(
        path=path,
        name=_text(value.get("name", path.parent.name), f"{path}: name"),
        output=path.parent / _text(value.get("output", ".rkparity"), f"{path}: output"),
        model=ModelSettings(**tables["model"]),
        input=InputSettings(**tables["input"]),
        build=BuildSettings(**tables["build"]),
        original=OriginalSettings(**tables["original"]),
        board=BoardSettings(**tables["board"]),
        check=CheckSettings(**tables["check"]),
    )
    _check_files(project)
    return project


def _table(value: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = value.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} must be a table, not {table!r}", hint=f"write [{name}]")
    known = {item.name: str(item.type) for item in fields(_TABLES[name])}
    read: dict[str, Any] = {}
    for key, item in table.items():
        where = f"{path}: {name}.{key}"
        if key not in known:
            raise ConfigError(f"{where} is not a setting", hint=f"[{name}] has: {', '.join(known)}")
        read[key] = _value(item, known[key], where)
        if key in _PATHS[name]:
            read[key] = _resolved(read[key], path.parent)
    _check_choices(read, name, path)
    return read


def _value(value: Any, kind: str, where: str) -> Any:
    """One setting brought to the type its record names; ConfigError says what it must be."""
    kind = kind.replace(" | None", "")
    if kind in ("Path", "str"):
        return _text(value, where)
    if kind == "bool":
        if not isinstance(value, bool):
            raise ConfigError(f"{where} must be true or false, not {value!r}")
        return value
    if kind in ("float", "int"):
        if isinstance(value, bool) or not isinstance(value, int if kind == "int" else (int, float)):
            raise ConfigError(f"{where} must be a {'whole ' if kind == 'int' else ''}number, not {value!r}")
        return float(value) if kind == "float" else value
    if kind.startswith("Mapping"):
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            raise ConfigError(f"{where} must be a table of tables, not {value!r}", hint="write [build.extra.config]")
        return value
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a list, not {value!r}")
    inner = kind[len("tuple[") : -len(", ...]")]
    return tuple(_value(item, inner, f"{where}[{index}]") for index, item in enumerate(value))


def _resolved(value: Any, base: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_resolved(item, base) for item in value)
    return (base / value).resolve()


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where} must be a text that is not empty, not {value!r}")
    return value


def _check_choices(table: Mapping[str, Any], name: str, path: Path) -> None:
    choices: dict[tuple[str, str], tuple[Any, ...]] = {
        ("model", "framework"): tuple(item.value for item in Framework if item is not Framework.HYBRID),
        ("input", "layout"): LAYOUTS,
        ("original", "channel_order"): CHANNEL_ORDERS,
        ("build", "optimization_level"): (0, 1, 2, 3),
        ("build", "quantized_method"): ("layer", "channel", "group32"),
        ("build", "quantized_algorithm"): ("normal", "mmse", "kl_divergence", "gdq"),
    }
    for (of, key), allowed in choices.items():
        if of == name and key in table and table[key] not in allowed:
            listed = ", ".join(str(item) for item in allowed)
            raise ConfigError(f"{path}: {name}.{key} is {table[key]!r}; it must be one of {listed}")
    for key in ("fp16_cosine", "quantized_cosine"):
        if name == "check" and key in table and not 0 < table[key] <= 1:
            raise ConfigError(f"{path}: check.{key} is {table[key]!r}; it must lie above 0 and not above 1")
    if name == "check" and "budget_s" in table and not 0 <= table["budget_s"] < float("inf"):
        raise ConfigError(f"{path}: check.budget_s is {table['budget_s']!r}; it must be seconds, 0 or more")


def _check_files(project: Project) -> None:
    lists: dict[str, list[Path | None]] = {
        "model.file": [project.model.file],
        "model.weights": [project.model.weights],
        "model.rknn": [project.model.rknn],
        "build.dataset": [project.build.dataset],
        "build.hybrid": [project.build.hybrid],
        "input.files": [*project.input.files],
        "input.more": [file for sample in project.input.more for file in sample],
        "original.inputs": [*project.original.inputs],
        "original.outputs": [*project.original.outputs],
        "check.thresholds": [project.check.thresholds],
        "board.identity": [project.board.identity],
    }
    for key, paths in lists.items():
        for path in paths:
            if path is not None and not path.is_file():
                raise ConfigError(f"{project.path}: {key}: {path} is not a file", hint="paths are relative to the file")
    if not project.input.files:
        raise ConfigError(f"{project.path}: input.files is empty", hint="give one file for each input of the model")
    if project.model.framework == Framework.HYBRID.value:
        raise ConfigError(
            f"{project.path}: model.file: {project.model.file.name} is step 1 of hybrid quantisation, which has no "
            "original to compare with",
            hint="name the source model, and the configuration as hybrid in [build]",
        )
    if project.build.hybrid is not None and not project.build.do_quantization:
        raise ConfigError(
            f"{project.path}: build.hybrid is given and do_quantization is false", hint="set do_quantization = true"
        )
    if project.build.do_quantization and project.build.dataset is None:
        raise ConfigError(
            f"{project.path}: build.do_quantization is true and build.dataset is missing",
            hint='add dataset = "dataset.txt" to [build]: one sample a line',
        )
