"""What a worker says about a model it has built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rkparity.runs import Precision
from rkparity.toolkit.spec import BuildSpec


@dataclass(frozen=True)
class GraphInput:
    """One input of the built graph: `shape` in the graph's layout (NCHW for 4-D), mean and std per channel.

    With rknn_batch_size the first dimension is multiplied. `shapes` are all the shapes of a model built with
    dynamic_input, of which `shape` is one: those at the same place in all inputs belong together.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rgb2bgr: bool
    shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class TensorQuantization:
    """Per-tensor or per-channel affine quantisation: value = (q - zero_point) * scale."""

    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]


@dataclass(frozen=True)
class BuiltModel:
    """A model held by one worker; `model_id` means nothing to another one.

    `quantization` is by tensor name and empty for FP16. `rknn` is the exported file, if one was asked for,
    `rknn_sha256` of its bytes. `log` is what the toolkit printed while building, without colours. `notes` are sentences
    the user must see.
    """

    model_id: int
    spec: BuildSpec
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    quantization: Mapping[str, TensorQuantization]
    toolkit_version: str
    rknn: Path | None
    rknn_sha256: str | None
    log: str
    notes: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> BuiltModel:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    @property
    def precision(self) -> Precision:
        """The arithmetic the simulator uses for this build."""
        # A model trained with quantisation brings its scales: it is built with do_quantization=False.
        quantized = self.spec.do_quantization or bool(self.quantization)
        return Precision.QUANTIZED if quantized else Precision.FP16


def built_model_from_answer(
    answer: Mapping[str, Any],
    *,
    spec: BuildSpec,
    toolkit_version: str,
    rknn: Path | None,
    rknn_sha256: str | None,
    log: str,
) -> BuiltModel:
    """The record of a `build` answer."""
    return BuiltModel(
        model_id=answer["model_id"],
        spec=spec,
        inputs=tuple(
            GraphInput(
                item["name"],
                tuple(item["shape"]),
                item["dtype"],
                item["layout"],
                tuple(item["mean"]),
                tuple(item["std"]),
                item["rgb2bgr"],
                tuple(tuple(shape) for shape in item["shapes"]),
            )
            for item in answer["inputs"]
        ),
        outputs=tuple(answer["outputs"]),
        quantization={
            name: TensorQuantization(item["dtype"], tuple(item["scale"]), tuple(item["zero_point"]))
            for name, item in answer["quantization"].items()
        },
        toolkit_version=toolkit_version,
        rknn=rknn,
        rknn_sha256=rknn_sha256,
        log=log,
    )
