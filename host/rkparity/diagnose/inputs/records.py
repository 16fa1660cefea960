"""What the search for an input's cause is given and what it answers, in frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.findings.finding import Finding


@dataclass(frozen=True)
class ObservedInput:
    """What the runtime held: an InputOperator dump, or an application's buffer decoded as it was declared.

    `values`: (1, C, H, W) or (C, H, W) for pictures, any shape otherwise; uint8 for pixels before mean and std, floats
    for values after them (dequantised), int8 for codes. `scale` and `zero_point` are the input tensor's when the model
    is quantised; `float16` says that the model holds it in float16 (RKNN manual 7.2.2; evidence 160_gen_u8_nhwc_pt0).
    `before_normalization`: floats an application gave, not yet normalised by the runtime. `given_range`: the smallest
    and the largest number the application gave, in its own type, by the trace of its calls; None when not known.
    """

    values: NDArray[Any]
    scale: float | None = None
    zero_point: int = 0
    float16: bool = False
    before_normalization: bool = False
    given_range: tuple[float, float] | None = None
    name: str = ""
    file: str | None = None


@dataclass(frozen=True)
class ExpectedInput:
    """What the simulator was given: `raw` uint8 NHWC pixels, `normalized` float NCHW, or both.

    `mean` and `std` are what the compiled model does itself, (x - mean) / std, one value per channel or one for all;
    empty when it does nothing. `earlier` are raw inputs of earlier runs, to recognise a stale one.
    """

    raw: NDArray[Any] | None = None
    normalized: NDArray[Any] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    earlier: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing that was done wrong. `id` is stable ("channels.bgr"), `text` says it, `numbers` are its parameters."""

    id: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class InputHypothesis:
    """A chain of steps that turns the expected input into `predicted`.

    `residual` is the root mean square of observed - predicted in `unit`s of what one pixel value (or one code of the
    input's scale, if coarser) makes; `matched` the share of elements within the tolerance; `explained` the share of the
    difference from the expected input that it removes; `cost` ranks (lower is better): it grows with the residual
    and with every step; `relative`: what is left against the variation of the observed numbers.
    """

    steps: tuple[Step, ...]
    residual: float
    matched: float
    explained: float
    cost: float
    confidence: float = 0.0
    remaining: str = ""
    relative: float = 0.0

    @property
    def ids(self) -> tuple[str, ...]:
        """The steps' names, sorted."""
        return tuple(sorted(step.id for step in self.steps))

    @property
    def text(self) -> str:
        """The chain as one sentence part."""
        return "; then ".join(step.text for step in self.steps) or "nothing: it is the expected input"


@dataclass(frozen=True)
class InputExplanation:
    """The answer. `hypotheses` are ranked; empty when the input is the expected one or nothing comes near.

    `healthy`: the observed input is the expected one. `unexplained`: no hypothesis explains it well enough to be
    believed. `tied` are hypotheses that predict the same as the first. `residual` and `remaining` are the first one's.
    """

    hypotheses: tuple[InputHypothesis, ...]
    healthy: bool
    unexplained: bool
    residual: float
    unit: str
    remaining: str
    tied: tuple[InputHypothesis, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
