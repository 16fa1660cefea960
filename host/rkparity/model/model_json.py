"""A Model as plain JSON values; documented in docs/inspect.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rkparity.model.records import InputNormalization, Model, ModelTensor, TensorKind

SCHEMA = "rkparity.model/1"
_VALUES = (TensorKind.INPUT, TensorKind.OUTPUT, TensorKind.ACTIVATION)


def model_to_json(model: Model) -> dict[str, Any]:
    """Everything `rkparity inspect --json` prints. Numbers that JSON has no word for become null."""
    return {
        "schema": SCHEMA,
        "path": str(model.path),
        "sha256": model.sha256,
        "file_version": model.file_version,
        "platform": model.platform,
        "compiler_version": model.compiler_version,
        "source_framework": model.source_framework,
        "is_quantized": model.is_quantized,
        "batch": model.batch,
        "is_dynamic": model.is_dynamic,
        "shape_sets": [[list(shape) for shape in graph.input_shapes] for graph in model.graphs],
        "shape_set": model.graph,
        "inputs": [_tensor(tensor) for tensor in model.input_tensors],
        "outputs": [_tensor(tensor) for tensor in model.output_tensors],
        "normalization": [_normalization(item) for item in model.normalization],
        "nodes": [
            {
                "index": node.index,
                "op_type": node.op_type,
                "target": "NPU" if node.on_npu else "CPU",
                "name": node.name,
                "inputs": [model.tensors[index].name for index in node.inputs],
                "outputs": [model.tensors[index].name for index in node.outputs],
            }
            for node in model.nodes
        ],
        "tensors": [_tensor(tensor) for tensor in model.tensors if tensor.kind in _VALUES],
        "dumps": [item.stem for item in model.expected_dumps()],
        "warnings": list(model.warnings),
    }


def _tensor(tensor: ModelTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "kind": tensor.kind.value,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "layout": tensor.layout,
        "native_dims": list(tensor.native_dims),
        "qmethod": tensor.qmethod,
        "scale": _numbers(tensor.scale),
        "zero_point": list(tensor.zero_point),
        "minimum": _numbers(tensor.minimum),
        "maximum": _numbers(tensor.maximum),
        "size": tensor.size,
    }


def _normalization(item: InputNormalization) -> dict[str, Any]:
    return {
        "name": item.name,
        "shape": list(item.shape),
        "layout": item.layout,
        "dtype": item.dtype,
        "mean": _numbers(item.mean),
        "std": _numbers(item.std),
        "rgb2bgr": item.rgb2bgr,
    }


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
