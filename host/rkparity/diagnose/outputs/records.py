"""One output as the application has it, and as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ObservedOutput:
    """What the application holds for output `index`: `values` of any number type, in the order of its memory.

    `source` says where they are from, `file` is the file. `declared`: "float" when it was got with want_float = 1,
    "raw" with want_float = 0, "" when not known. `wanted_layout`: the layout the application asked for, "" if none.
    """

    index: int
    values: NDArray[Any]
    source: str
    file: str | None = None
    declared: str = ""
    wanted_layout: str = ""


@dataclass(frozen=True)
class ExpectedOutput:
    """What output `index` should be: float32 values in the model's own order (NCHW for 4-D), dequantised.

    `exact`: the values are the runtime's own (an OutputOperator dump), else the simulator's, which a board may miss by
    `step`. `dtype`, `scale`, `zero_point` are the tensor's on the NPU; `scale` is None for float tensors.
    """

    index: int
    name: str
    values: NDArray[Any]
    source: str
    exact: bool
    dtype: str = ""
    scale: float | None = None
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether the tensor's scale is known."""
        return self.scale is not None and self.dtype in ("int8", "uint8", "int16")

    @property
    def codes(self) -> NDArray[Any]:
        """The integers on the NPU, flat, as float64; only for quantised tensors."""
        import numpy as np

        assert self.scale is not None
        limits = np.iinfo(self.dtype)
        codes: NDArray[Any] = np.rint(self.values.reshape(-1).astype(np.float64) / self.scale) + self.zero_point
        clipped: NDArray[Any] = np.clip(codes, limits.min, limits.max)
        return clipped
