"""Mistakes that are seen before anything runs: node names, input_size_list, a missing batch dimension."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.runs import open_npy, read_npy_header, write_npy

if TYPE_CHECKING:
    from rkparity.original.engine import OnnxGraph
    from rkparity.project import Project
    from rkparity.toolkit.spec import BuildSpec

_SECTION = "RKNN manual 7.1.1"


@dataclass(frozen=True)
class Structure:
    """What is wrong, and the build and sample files with which it would be right."""

    findings: tuple[Finding, ...]
    spec: BuildSpec
    files: tuple[Path, ...]


def check_structure(project: Project, spec: BuildSpec, graph: OnnxGraph | None, folder: Path) -> Structure:
    """Checks names and shapes against the source model (ONNX) and the sample; corrected files go into `folder`."""
    findings: list[Finding] = []
    files = project.input.files
    if graph is not None:
        spec = _names(spec, graph, findings)
        spec = _sizes(project, spec, graph, findings)
    files = _batch(files, _needed_shapes(spec, graph), folder, findings)
    return Structure(tuple(findings), spec, files)


def _names(spec: BuildSpec, graph: OnnxGraph, findings: list[Finding]) -> BuildSpec:
    inputs = [value.name for value in graph.inputs]
    tensors = list(dict.fromkeys([*inputs, *graph.tensors]))
    for key, given, own in (
        ("inputs", spec.inputs, inputs),
        ("outputs", spec.outputs, [value.name for value in graph.outputs]),
    ):
        unknown = [name for name in given if name not in tensors]
        if not unknown:
            continue
        nodes = {node.name: node.outputs for node in graph.nodes if node.name}
        right = []
        for name in given:
            near = difflib.get_close_matches(name, tensors, 1, 0.6)
            by_node = nodes.get(name, ())
            right.append(name if name in tensors else (by_node[0] if by_node else (near[0] if near else "")))
        if "" in right or len(set(right)) != len(right):
            right = own
        findings.append(
            _finding(
                f"config.{key}",
                f"model.{key} names {', '.join(repr(name) for name in unknown)}, which the model does not have",
                f"The graph has no tensor of this name; it {'reads' if key == 'inputs' else 'makes'} {', '.join(own)}.",
                f"set {key} = {_strings(right)} in [model], or leave it out to take the graph's own",
                f"[model]\n{key} = {_strings(right)}",
                unknown[0],
            )
        )
        spec = replace(spec, inputs=tuple(right)) if key == "inputs" else replace(spec, outputs=tuple(right))
    return spec


def _sizes(project: Project, spec: BuildSpec, graph: OnnxGraph, findings: list[Finding]) -> BuildSpec:
    own = {value.name: value for value in graph.inputs}
    names = list(spec.inputs or own)
    if any(name not in own for name in names) or len(names) != len(project.input.files):
        return spec
    shapes, wrong = [], []
    for index, name in enumerate(names):
        model = own[name].shape
        given = spec.input_size_list[index] if index < len(spec.input_size_list) else None
        right = _right_shape(project, index, model)
        shapes.append(right or given or tuple(size or 1 for size in model))
        if given is None and own[name].is_dynamic and not spec.extra.get("config", {}).get("dynamic_input"):
            wrong.append(f"input {name} has open dimensions {_dims(model)} and no size is given")
        elif given is not None and not _fits(given, model):
            wrong.append(f"input {name} is {_dims(model)} in the model, the list says {_dims(given)}")
        elif given is not None and right is not None and tuple(given) != right:
            wrong.append(f"input {name}: the list says {_dims(given)}, the sample is {_dims(right)}")
    if not wrong:
        return spec
    listed = "[" + ", ".join(str(list(shape)) for shape in shapes) + "]"
    findings.append(
        _finding(
            "config.input_size_list",
            f"input_size_list is wrong: {wrong[0]}",
            "; ".join(wrong) + ". Wrong shapes give wrong results, or no model at all.",
            f"set inputs = {_strings(names)} and input_size_list = {listed} in [model] (the toolkit wants both): one "
            "shape per input, as the source model has it",
            f"[model]\ninputs = {_strings(names)}\ninput_size_list = {listed}",
            names[0],
        )
    )
    return replace(spec, inputs=tuple(names), input_size_list=tuple(shapes))


def _right_shape(project: Project, index: int, model: Sequence[int | None]) -> tuple[int, ...] | None:
    """The shape the original is fed with; else the sample's, in the model's layout; None when it cannot be known."""
    if index < len(project.original.inputs):
        shape = read_npy_header(project.original.inputs[index]).shape
        return shape if _fits(shape, model) else None
    file = project.input.files[index]
    if file.suffix != ".npy":
        return None
    shape = read_npy_header(file).shape
    if len(shape) == len(model) - 1:
        shape = (1, *shape)
    turned = (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape
    order = [shape, turned] if project.input.layout == "nchw" else [turned, shape]
    fitting = [item for item in order if _fits(item, model)]
    if len(shape) == 4 and project.input.layout is None and len(fitting) == 2 and shape[1] in (1, 3):
        return shape
    return fitting[0] if fitting else None


def _needed_shapes(spec: BuildSpec, graph: OnnxGraph | None) -> list[tuple[int, ...] | None]:
    if spec.input_size_list:
        return [tuple(shape) for shape in spec.input_size_list]
    if graph is None:
        return []
    return [None if value.is_dynamic else tuple(size or 1 for size in value.shape) for value in graph.inputs]


def _batch(
    files: Sequence[Path], needed: Sequence[tuple[int, ...] | None], folder: Path, findings: list[Finding]
) -> tuple[Path, ...]:
    """Files whose batch dimension is missing are written again with it."""
    found = []
    for index, file in enumerate(files):
        shape = needed[index] if index < len(needed) else None
        found.append(file)
        if file.suffix != ".npy" or shape is None:
            continue
        given = read_npy_header(file).shape
        if len(given) != len(shape) - 1 or sorted((1, *given)) != sorted(shape) or shape[0] != 1:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        found[-1] = folder / f"batched{index}.npy"
        write_npy(found[-1], open_npy(file)[None])
        findings.append(
            _finding(
                "input.batch_missing",
                f"{file.name} has {len(given)} dimensions {_dims(given)}, the model's input has {len(shape)}",
                f"A picture has no batch dimension; the model's input is {_dims(shape)}.",
                "add it: x = numpy.expand_dims(x, 0) before inference(), and save the sample so",
                f"x = numpy.load({file.name!r})\nnumpy.save({file.name!r}, numpy.expand_dims(x, 0))",
                file.name,
            )
        )
    return tuple(found)


def _fits(shape: Sequence[int], model: Sequence[int | None]) -> bool:
    return len(shape) == len(model) and all(want in (None, size) for size, want in zip(shape, model))


def _finding(cause_id: str, title: str, cause: str, fix: str, code: str, subject: str) -> Finding:
    return Finding(
        id=cause_id,
        stage=FindingStage.INPUT,
        severity=Severity.ERROR,
        confidence=0.99,
        title=title,
        cause=cause,
        evidence=(Evidence("statistics", "read from the source model and the sample's header"),),
        fix=fix,
        fix_code=code,
        reference=_SECTION,
        subject=subject,
    )


def _dims(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _strings(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
