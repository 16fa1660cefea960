"""The original model in its own framework, as outputs and (ONNX) every tensor by name.

The frameworks are those of the toolkit's environment: ONNX Runtime and OpenCV (Caffe, Darknet) are there; LiteRT,
TensorFlow and PyTorch when `setup-toolkit` was told so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import MissingPackageError, UsageError
from rkparity.runs import open_npy, write_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.toolkit.spec import BuildSpec
    from rkparity.toolkit.worker_client import Worker


@dataclass(frozen=True)
class OriginalRun:
    """`outputs` in the model's order (or the order asked for), `layers` by tensor name, `engine` with its version."""

    engine: str
    outputs: Mapping[str, NDArray[Any]]
    layers: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OnnxValue:
    """A graph input or output; None stands for a dynamic dimension."""

    name: str
    shape: tuple[int | None, ...]

    @property
    def is_dynamic(self) -> bool:
        """Whether a dimension is left open."""
        return any(size is None for size in self.shape)


@dataclass(frozen=True)
class OnnxNode:
    """One operator; `attributes` holds those that are lists of integers."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class OnnxGraph:
    """What an ONNX file says about its graph."""

    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    nodes: tuple[OnnxNode, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all tensors an operator makes, in execution order."""
        return tuple(name for node in self.nodes for name in node.outputs)

    def maker(self, tensor: str) -> OnnxNode | None:
        """The operator that makes `tensor`."""
        return next((node for node in self.nodes if tensor in node.outputs), None)


def describe_onnx(worker: Worker, model: Path) -> OnnxGraph:
    """Reads an ONNX file's graph; ToolkitError when it cannot be read."""
    answer = worker.job("describe_onnx", model=str(model))

    def values(items: Any) -> tuple[OnnxValue, ...]:
        return tuple(OnnxValue(item["name"], tuple(item["shape"])) for item in items)

    return OnnxGraph(
        values(answer["inputs"]),
        values(answer["outputs"]),
        tuple(
            OnnxNode(
                item["op_type"],
                item["name"],
                tuple(item["inputs"]),
                tuple(item["outputs"]),
                {name: tuple(numbers) for name, numbers in item["attributes"].items()},
            )
            for item in answer["nodes"]
        ),
    )


def run_original(
    worker: Worker,
    spec: BuildSpec,
    inputs: Sequence[NDArray[Any]],
    *,
    outputs: Sequence[str] = (),
    layers: bool = False,
) -> OriginalRun:
    """Runs the source model of `spec` on `inputs`: what the framework itself is given, normalised, in its own layout.

    `outputs` names tensors of the graph; its own outputs when empty. Arrays are mapped from files that vanish with
    them. Raises UsageError when the framework is not installed in the toolkit's environment, ToolkitError when the
    framework refuses.
    """
    folder = Path(tempfile.mkdtemp(prefix="original-", dir=worker.scratch))
    files = []
    for index, array in enumerate(inputs):
        files.append(str(folder / f"input{index}.npy"))
        write_npy(Path(files[-1]), array)
    try:
        answer = worker.job(
            "original",
            framework=spec.framework.value,
            model=spec.model,
            weights=spec.weights,
            inputs=files,
            outputs=list(outputs) or None,
            names=list(spec.inputs),
            layers=layers,
            folder=str(folder),
        )
    except MissingPackageError as error:
        raise UsageError(
            f"{spec.model}: cannot be run in its own framework: {error.message}",
            hint='or give what it answers: [original] outputs = ["output.npy"] in rkparity.toml',
        ) from error

    def mapped(rows: Any) -> dict[str, NDArray[Any]]:
        found = {row["name"]: open_npy(folder / row["file"]) for row in rows}
        for row in rows:
            (folder / row["file"]).unlink()
        return found

    return OriginalRun(answer["engine"], mapped(answer["outputs"]), mapped(answer["layers"]))
