"""Writes a `rkparity.toml` from answers, an ONNX file or a build record."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import UsageError
from rkparity.io import check_new_file, write_text
from rkparity.toolkit.spec import BuildSpec


@dataclass(frozen=True)
class Answers:
    """What `rkparity init` asks for; paths as the user gave them."""

    spec: BuildSpec
    inputs: tuple[Path, ...]
    layout: str | None = None
    original_inputs: tuple[Path, ...] = ()
    original_outputs: tuple[Path, ...] = ()
    rknn: Path | None = None
    board: str | None = None
    more: tuple[tuple[Path, ...], ...] = ()
    application: tuple[str, ...] = ()
    uploads: tuple[Path, ...] = ()
    budget_s: float | None = None
    resize: bool = False


def project_text(answers: Answers, folder: Path) -> str:
    """The file's text; paths inside or near `folder` are written relative to it."""
    spec = answers.spec

    def path(value: str | Path) -> str:
        absolute = Path(value).resolve()
        relative = os.path.relpath(absolute, folder.resolve())
        return _quoted(str(absolute) if relative.count("..") > 2 else relative)

    def paths(values: Sequence[Path]) -> str:
        return "[" + ", ".join(path(value) for value in values) + "]"

    def numbers(values: Sequence[Sequence[float]]) -> str:
        return "[" + ", ".join("[" + ", ".join(f"{item:g}" for item in items) + "]" for items in values) + "]"

    lines = ["# What `rkparity check` works on; docs/project-file.md explains every key.", "", "[model]"]
    lines += [f"file = {path(spec.model)}", f"framework = {_quoted(spec.framework.value)}"]
    if spec.weights is not None:
        lines.append(f"weights = {path(spec.weights)}")
    for key, names in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        if names:
            lines.append(f"{key} = [" + ", ".join(_quoted(name) for name in names) + "]")
    if spec.input_size_list:
        lines.append("input_size_list = " + json.dumps([list(shape) for shape in spec.input_size_list]))
    if answers.rknn is not None:
        lines.append(f"rknn = {path(answers.rknn)}")
    lines += ["", "[build]", f"target_platform = {_quoted(spec.target_platform)}"]
    lines += [f"mean_values = {numbers(spec.mean_values)}", f"std_values = {numbers(spec.std_values)}"]
    lines.append(f"do_quantization = {'true' if spec.do_quantization else 'false'}")
    if spec.dataset is not None:
        lines.append(f"dataset = {path(spec.dataset)}")
    if spec.hybrid is not None:
        lines.append(f"hybrid = {path(spec.hybrid)}")
    if spec.quant_img_RGB2BGR:
        lines.append("quant_img_RGB2BGR = true")
    if spec.optimization_level is not None:
        lines.append(f"optimization_level = {spec.optimization_level}")
    for key, text in (("quantized_method", spec.quantized_method), ("quantized_algorithm", spec.quantized_algorithm)):
        if text is not None:
            lines.append(f"{key} = {_quoted(text)}")
    for group, values in spec.extra.items():
        lines.append(f"extra.{group} = {_inline(values)}")
    lines += ["", "[input]", f"files = {paths(answers.inputs)}"]
    if answers.layout:
        lines.append(f"layout = {_quoted(answers.layout)}")
    if answers.resize:
        lines.append("resize = true")
    if answers.more:
        lines.append("more = [" + ", ".join(paths(files) for files in answers.more) + "]")
    lines += ["", "# What the original model is fed for the same sample, or what it answers: without it, mean and std"]
    lines += ["# cannot be proven right.", "[original]"]
    lines.append(f"inputs = {paths(answers.original_inputs)}" if answers.original_inputs else '# inputs = ["fed.npy"]')
    if answers.original_outputs:
        lines.append(f"outputs = {paths(answers.original_outputs)}")
    lines += ["", "[board]"]
    lines.append(f"address = {_quoted(answers.board)}" if answers.board else '# address = "root@board", or "virtual"')
    if answers.application:
        lines.append("application = [" + ", ".join(_quoted(part) for part in answers.application) + "]")
        lines.append(f"uploads = {paths(answers.uploads)}")
    else:
        lines += ['# application = ["./app", "{model}", "{input}"]', '# uploads = ["app"]']
    lines += ["", "[check]", "# fp16_cosine = 0.99", "# quantized_cosine = 0.99"]
    lines.append("# budget_s = 600" if answers.budget_s is None else f"budget_s = {answers.budget_s:g}")
    return "\n".join(lines) + "\n"


def write_project(path: Path, text: str, *, force: bool) -> None:
    """Writes the file, whole or not at all; UsageError when it exists and not `force`."""
    check_new_file(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot be made: {error.strerror}") from error
    write_text(path, text)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(str(key))} = {_inline(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
