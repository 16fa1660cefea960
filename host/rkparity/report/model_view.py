"""A compiled model for people: what it runs on, what it takes and gives, its operators in execution order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from rkparity.console import printable, unescaped
from rkparity.model.records import InputNormalization, Model, ModelTensor, shape_text
from rkparity.runs.dump_names import OUTPUT_OPERATOR

_COLUMNS = ("#", "operator", "tensor", "type", "shape", "scale", "zero point")
_RIGHT = ("#", "scale", "zero point")
_WIDEST = 60


def print_model(model: Model, *, file: TextIO | None = None) -> None:
    """Prints `model` to `file` (standard output): a table in colour on a terminal, fixed columns otherwise."""
    stream = file if file is not None else sys.stdout
    rows = list(_rows(model))
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        _print_rich(model, rows, stream)
        return
    for line in _facts(model):
        print(line, file=stream)
    if rows:
        print(file=stream)
        for line in _fixed_columns([_COLUMNS, *rows]):
            print(line, file=stream)


def _facts(model: Model) -> Iterator[str]:
    kind = ", quantised" if model.is_quantized else ", float16" if model.nodes else ""
    yield f"{printable(str(model.path))}: {printable(model.platform) or 'unknown platform'}{kind}"
    yield f"  file version {model.file_version}, toolkit {printable(model.compiler_version) or 'unknown'}"
    yield f"  made from {printable(model.source_framework) or 'unknown'}, sha256 {model.sha256}"
    known = {item.name: item for item in model.normalization}
    for index, tensor in enumerate(model.input_tensors):
        yield f"  input  {index}  {_described(tensor)}{_normalized(known.get(tensor.name))}"
    for index, tensor in enumerate(model.output_tensors):
        yield f"  output {index}  {_described(tensor)}"
    if model.batch > 1:
        yield f"  built with rknn_batch_size {model.batch}; shapes are of the whole batch"
    for index, graph in enumerate(model.graphs if model.is_dynamic else ()):
        shapes = ", ".join(
            f"{printable(graph.tensors[place].name)} {shape_text(shape)}"
            for place, shape in zip(graph.inputs, graph.input_shapes)
        )
        yield f"  shape set {index}  {shapes}{'  (shown here)' if index == model.graph else ''}"
    if model.nodes:
        yield f"  {len(model.nodes)} operators, {len(model.expected_dumps())} dumps a run"
    for warning in model.warnings:
        yield f"  warning: {printable(warning)}"


def _described(tensor: ModelTensor) -> str:
    text = f"{printable(tensor.name)}  {_type(tensor)} {_shape(tensor)}"
    if tensor.is_quantized and len(tensor.scale) == 1 and len(tensor.zero_point) == 1:
        text += f"  scale {tensor.scale[0]:.9g} zero point {tensor.zero_point[0]}"
    return text


def _type(tensor: ModelTensor) -> str:
    """The type on the NPU; booleans are int8 there."""
    return "bool (int8)" if tensor.is_boolean and tensor.dtype != "bool" else tensor.dtype


def _normalized(item: InputNormalization | None) -> str:
    if item is None:
        return ""
    if item.is_identity:
        return "  no mean/std in the model"
    order = ", RGB to BGR" if item.rgb2bgr else ""
    return f"  mean {_list(item.mean)} std {_list(item.std)}{order}"


def _rows(model: Model) -> Iterator[tuple[str, ...]]:
    for node in model.nodes:
        shown = node.inputs[:1] if node.op_type == OUTPUT_OPERATOR else node.outputs
        for position, index in enumerate(shown):
            tensor = model.tensors[index]
            yield (
                str(node.index) if position == 0 else "",
                printable(node.op_type) if position == 0 else "",
                printable(tensor.name),
                _type(tensor),
                _shape(tensor),
                *_quantization(tensor),
            )


def _quantization(tensor: ModelTensor) -> tuple[str, str]:
    if not tensor.is_quantized:
        return "", ""
    if len(tensor.scale) > 1:
        return f"{min(tensor.scale):.6g}..{max(tensor.scale):.6g}", f"{len(tensor.scale)} channels"
    return f"{tensor.scale[0]:.9g}", ", ".join(str(value) for value in tensor.zero_point)


def _shape(tensor: ModelTensor) -> str:
    return shape_text(tensor.shape)


def _list(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _fixed_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [min(max(len(row[column]) for row in rows), _WIDEST) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for cell, width, name in zip(row, widths, _COLUMNS)
        ]
        yield "  ".join(cells).rstrip()


def _print_rich(model: Model, rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=unescaped(stream), highlight=False)
    for line in _facts(model):
        console.print(Text(line))
    if not rows:
        return
    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 2, 0, 0))
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in _RIGHT else "left", overflow="fold")
    for row in rows:
        # Text, not str: a name like "[red]" is a name, not markup.
        table.add_row(*(Text(cell) for cell in row))
    console.print()
    console.print(table)
