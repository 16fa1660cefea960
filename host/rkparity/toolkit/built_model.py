"""What a worker says about a model it has built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import UsageError
from rkparity.runs import Precision
from rkparity.toolkit.spec import BuildSpec, Framework

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    bytes_are_quantized: bool = True

    @property
    def is_real(self) -> bool:
        """Whether it holds real numbers: others (int64, bool, ...) know no mean and std.

        An int8 or uint8 input is the quantised form of real numbers in TFLite, and plain integers in ONNX.
        """
        return self.dtype.startswith("float") or (self.bytes_are_quantized and self.dtype in ("int8", "uint8"))

    def scaling_at(self, shape: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Mean and std to be used with an array of `shape`, one number or one per channel (axis 1); None without.

        A model of several sets of shapes has as many numbers as the largest set has channels; where they are all the
        same, they serve every set. UsageError where they do not fit.
        """
        import numpy as np

        if not self.mean or len(shape) < 2 or not self.is_real:
            return None
        found = []
        for name, given in (("mean", self.mean), ("std", self.std)):
            values = given[:1] if len(set(given)) == 1 else given
            if len(values) not in (1, shape[1]):
                raise UsageError(
                    f"input {self.name!r}: {len(values)} values of {name} for {shape[1]} channels "
                    f"(shape {'x'.join(map(str, shape))})",
                    hint="give one value for each channel, or the same for all",
                )
            found.append(np.reshape(values, (1, -1) + (1,) * (len(shape) - 2)))
        return found[0], found[1]


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
                spec.framework is not Framework.ONNX,
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
