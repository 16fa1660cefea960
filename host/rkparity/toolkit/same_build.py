"""Whether two `.rknn` files come from one build: their bytes always differ, what they say decides."""

from __future__ import annotations

from rkparity.errors import DataError
from rkparity.model import Model

# Scales pass through single precision in the file.
_SCALE_TOLERANCE = 1e-6


def check_same_build(model: Model, twin: Model) -> None:
    """DataError when two files were not built the same way. Their bytes always differ; what they say decides."""
    hint = "the toolkit, the source model or the calibration data changed since; build it again with `rkparity build`"
    if [graph.input_shapes for graph in model.graphs] != [graph.input_shapes for graph in twin.graphs]:
        raise DataError(f"{model.path.name}: building it again from its record gives other input shapes", hint=hint)
    for mine, other in zip(_views(model), _views(twin)):
        _check_same_graph(mine, other, hint)


def _views(model: Model) -> list[Model]:
    """The model at every set of input shapes it was built for."""
    return [model.at_graph(index) for index in range(len(model.graphs))] or [model]


def _check_same_graph(model: Model, twin: Model, hint: str) -> None:
    if [(node.op_type, node.name) for node in model.nodes] != [(node.op_type, node.name) for node in twin.nodes]:
        raise DataError(
            f"{model.path.name}: building it again from its record gives another list of operators", hint=hint
        )
    others = {tensor.name: tensor for tensor in twin.tensors}
    for node in model.nodes:
        for index in node.outputs:
            mine = model.tensors[index]
            other = others.get(mine.name)
            if (
                other is None
                or mine.shape != other.shape
                or mine.dtype != other.dtype
                or mine.zero_point != other.zero_point
                or len(mine.scale) != len(other.scale)
                or any(abs(a - b) > _SCALE_TOLERANCE * abs(a) for a, b in zip(mine.scale, other.scale))
            ):
                raise DataError(
                    f"{model.path.name}: building it again from its record gives another {mine.name} "
                    "(type, shape, scale or zero point)",
                    hint=hint,
                )
