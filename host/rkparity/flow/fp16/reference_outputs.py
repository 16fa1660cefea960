"""What the original model answers to the project's sample, and how far that is independent of the conversion."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.errors import UsageError
from rkparity.original.engine import OriginalRun, run_original
from rkparity.runs import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.flow.context import Context
    from rkparity.toolkit.built_model import BuiltModel, GraphInput
    from rkparity.toolkit.inputs import PreparedInput


class Source(str, enum.Enum):
    """Where the original's input or answer comes from."""

    OUTPUTS = "original.outputs"
    INPUTS = "original.inputs"
    TRAINING = "original.mean, std and channel_order"
    BUILD = "build.mean_values and std_values"
    """Not independent: a wrong mean or std here is wrong on both sides."""


@dataclass(frozen=True)
class ReferenceOutputs:
    """The original's outputs by name; `inputs` (what it was fed) is None when only its answer is known."""

    source: Source
    outputs: Mapping[str, NDArray[Any]]
    inputs: tuple[NDArray[Any], ...] | None
    run: OriginalRun | None

    @property
    def independent(self) -> bool:
        """Whether mean, std and channel order of the build are put to the test."""
        return self.source is not Source.BUILD


def find_reference_outputs(context: Context, built: BuiltModel, inputs: Sequence[PreparedInput]) -> ReferenceOutputs:
    """The original's answer: given as files, or computed from given inputs or from the sample and the settings.

    Raises UsageError when the framework is not installed and no outputs are given.
    """
    original = context.project.original
    spec = context.project.build_spec(do_quantization=False)
    fed: tuple[NDArray[Any], ...] | None = None
    source = Source.OUTPUTS
    if original.inputs:
        fed, source = tuple(open_npy(path) for path in original.inputs), Source.INPUTS
    elif not original.outputs:
        trained = original.mean or original.std or original.channel_order
        source = Source.TRAINING if trained else Source.BUILD
        fed = tuple(
            framework_input(
                trained_input(context, item, graph) if trained else normalised(item, graph), spec.framework.value
            )
            for item, graph in zip(inputs, built.inputs)
        )
    run = None
    if fed is not None and (spec.framework.value == "onnx" or not original.outputs):
        run = run_original(context.worker, spec, fed, outputs=spec.outputs, layers=spec.framework.value == "onnx")
    if not original.outputs:
        assert run is not None
        return ReferenceOutputs(source, run.outputs, fed, run)
    names = list(run.outputs) if run is not None else []
    given = [open_npy(path) for path in original.outputs]
    if len(names) != len(given):
        names = list(built.outputs) if len(built.outputs) == len(given) else [path.name for path in original.outputs]
    return ReferenceOutputs(Source.OUTPUTS, dict(zip(names, given)), fed, run)


def normalised(item: PreparedInput, graph: GraphInput) -> NDArray[Any]:
    """(x - mean) / std of a sample in the graph's layout, as the toolkit computes it in float32."""
    import numpy as np

    array = in_graph_layout(item)
    scaling = graph.scaling_at(array.shape)
    if scaling is None:
        return array
    result: NDArray[Any] = (array.astype(np.float32) - scaling[0].astype(np.float32)) / scaling[1].astype(np.float32)
    return result


def normalise(array: NDArray[Any], mean: Sequence[float], std: Sequence[float]) -> NDArray[Any]:
    """(x - mean) / std along axis 1; one value serves all channels. Integer tensors stay as they are without both."""
    import numpy as np

    if (not mean and not std) or array.ndim < 2:
        return array
    shape = (1, -1, *([1] * (array.ndim - 2)))
    shift = np.asarray(mean or [0.0], np.float32).reshape(shape)
    scale = np.asarray(std or [1.0], np.float32).reshape(shape)
    result: NDArray[Any] = (array.astype(np.float32) - shift) / scale
    return result


def in_graph_layout(item: PreparedInput) -> NDArray[Any]:
    """The sample as the graph has it: NCHW for 4-D."""
    return item.raw.transpose(0, 3, 1, 2) if item.layout == "NHWC" else item.raw


def trained_input(context: Context, item: PreparedInput, graph: GraphInput) -> NDArray[Any]:
    """The sample normalised as [original] says; pictures come as RGB and are turned when it says bgr."""
    original = context.project.original
    array = in_graph_layout(item)
    is_picture = item.layout == "NHWC" and array.shape[1] == 3
    order = "bgr" if graph.rgb2bgr else "rgb"
    if is_picture and original.channel_order is not None and original.channel_order != order:
        array = array[:, ::-1]
    channels = array.shape[1] if array.ndim > 1 else 0
    for name, values in (("mean", original.mean), ("std", original.std)):
        if len(values) not in (0, 1, channels):
            raise UsageError(
                f"{context.project.path}: original.{name} has {len(values)} values, input {item.name} has "
                f"{channels} channels"
            )
    return normalise(array, original.mean, original.std)


def framework_input(array: NDArray[Any], framework: str) -> NDArray[Any]:
    """TensorFlow and TFLite take pictures as NHWC, the others as NCHW."""
    return array.transpose(0, 2, 3, 1) if framework in ("tflite", "tensorflow") and array.ndim == 4 else array


def graph_inputs_of(reference: ReferenceOutputs, built: BuiltModel, framework: str) -> tuple[NDArray[Any], ...] | None:
    """What the original was fed, in the built graph's shape; None when not known or of another size."""
    if reference.inputs is None or len(reference.inputs) != len(built.inputs):
        return None
    found = []
    for array, graph in zip(reference.inputs, built.inputs):
        turned = array.transpose(0, 3, 1, 2) if framework in ("tflite", "tensorflow") and array.ndim == 4 else array
        if turned.size != _count(graph.shape):
            return None
        found.append(turned.reshape(graph.shape))
    return tuple(found)


def _count(shape: Sequence[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
