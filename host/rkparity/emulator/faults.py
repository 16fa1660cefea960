"""Faults to order, for tests and for teaching: what RKPARITY_EMULATOR_FAULTS asks for, and what it makes of a run."""

from __future__ import annotations

import enum
import math
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rkparity.emulator.description import LayerTensor, layer_tensors
from rkparity.errors import DataError, UsageError
from rkparity.runs.dump_names import sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rkparity.emulator.protocol import GraphValue
    from rkparity.emulator.values import RunValues
    from rkparity.model import Model, ModelTensor

_MAX_SLOW_S = 60.0
_CODES = range(-13, 0)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s)")


class FaultKind(str, enum.Enum):
    """What can be ordered; docs/emulator.md has the table."""

    NOISE = "noise"
    NAN = "nan"
    WRONG = "wrong"
    STUCK_OUTPUT = "stuck-output"
    SLOW = "slow"
    FAIL_RUN = "fail-run"
    FAIL_LAYER = "fail-layer"
    DUMP_DIR_FULL = "dump-dir-full"


_FORMS = {
    FaultKind.NOISE: "noise:LAYER:AMOUNT",
    FaultKind.NAN: "nan:LAYER",
    FaultKind.WRONG: "wrong:LAYER",
    FaultKind.STUCK_OUTPUT: "stuck-output:INDEX",
    FaultKind.SLOW: "slow:200ms",
    FaultKind.FAIL_RUN: "fail-run:CODE",
    FaultKind.FAIL_LAYER: "fail-layer:LAYER",
    FaultKind.DUMP_DIR_FULL: "dump-dir-full:LAYER",
}


@dataclass(frozen=True)
class Alteration:
    """A layer that computes something else. `amount` belongs to noise: its standard deviation over the layer's RMS."""

    kind: FaultKind
    layer: LayerTensor
    amount: float = 0.0

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """The layer's values with the fault, in their own shape and type, as far as the layer's type can hold them."""
        import numpy as np

        tensor = self.layer.tensor
        if self.kind is FaultKind.WRONG:
            return np.ascontiguousarray(values.reshape(-1)[::-1].reshape(values.shape))
        if self.kind is FaultKind.NAN:
            changed = np.array(values, copy=True)
            changed.reshape(-1)[changed.size // 2] = np.nan
            return changed
        numbers = values.astype(np.float64)
        random = np.random.default_rng(zlib.crc32(tensor.name.encode("utf-8")))
        numbers += random.standard_normal(numbers.shape) * (self.amount * np.sqrt(np.mean(np.square(numbers))))
        return _held(tensor, numbers).astype(values.dtype)


@dataclass(frozen=True)
class FaultPlan:
    """Every fault of a run, for one model. Nodes are operator numbers; `alterations` are in execution order."""

    alterations: tuple[Alteration, ...] = ()
    stuck_outputs: frozenset[int] = frozenset()
    slow_s: float = 0.0
    fail_code: int = 0
    failing_node: int | None = None
    full_node: int | None = None


@runtime_checkable
class AlterableSource(Protocol):
    """A source of values that can go on from a layer's altered values."""

    def compute_altered(
        self, inputs: Sequence[GraphValue], alterations: Sequence[Alteration], *, want_layers: bool
    ) -> RunValues:
        """One run in which the layers behind an altered one are computed from its altered values."""


def make_plan(text: str, model: Model) -> FaultPlan:
    """What `text` asks for, faults separated by `;` or by lines; UsageError when one does not fit the model."""
    plan: dict[str, Any] = {"alterations": []}
    for item in filter(None, (part.strip() for part in _separated(text))):
        _add(plan, item, model)
    plan["alterations"] = tuple(sorted(plan["alterations"], key=lambda item: (item.layer.node, item.layer.slot)))
    plan["stuck_outputs"] = frozenset(plan.get("stuck_outputs", ()))
    return FaultPlan(**plan)


def _separated(text: str) -> list[str]:
    """A `;` inside a layer's name does not separate: what follows one must begin with a fault's name."""
    names = "|".join(re.escape(kind.value) for kind in FaultKind)
    return [part for line in text.splitlines() for part in re.split(rf";(?=\s*(?:(?:{names}):|$|[^:;]*$))", line)]


def _add(plan: dict[str, Any], item: str, model: Model) -> None:
    word, _, rest = item.partition(":")
    try:
        kind = FaultKind(word.strip())
    except ValueError:
        raise UsageError(
            f"fault {item!r}: {word.strip()!r} is not known", hint="choose among " + ", ".join(_FORMS.values())
        ) from None
    if kind is FaultKind.NOISE:
        name, _, amount = rest.rpartition(":")
        plan["alterations"].append(Alteration(kind, _layer(item, name, model), _positive(item, kind, amount)))
    elif kind in (FaultKind.NAN, FaultKind.WRONG):
        layer = _layer(item, rest, model)
        if kind is FaultKind.NAN and (layer.tensor.is_quantized or not layer.tensor.dtype.startswith("float")):
            raise UsageError(
                f"fault {item!r}: {layer.tensor.name} is {layer.tensor.dtype}, which has no NaN",
                hint="choose a float16 layer, or wrong: or noise:",
            )
        plan["alterations"].append(Alteration(kind, layer))
    elif kind is FaultKind.FAIL_LAYER:
        plan["failing_node"] = _layer(item, rest, model).node
    elif kind is FaultKind.DUMP_DIR_FULL:
        plan["full_node"] = _layer(item, rest, model).node
    elif kind is FaultKind.STUCK_OUTPUT:
        plan.setdefault("stuck_outputs", []).append(_integer(item, kind, rest, range(len(model.outputs))))
    elif kind is FaultKind.FAIL_RUN:
        plan["fail_code"] = _integer(item, kind, rest, _CODES)
    else:
        plan["slow_s"] = _duration(item, rest)


def _layer(item: str, name: str, model: Model) -> LayerTensor:
    """The layer with this tensor name; the name as its dump spells it does as well, where it means one layer only."""
    layers = layer_tensors(model)
    found = [layer for layer in layers if layer.tensor.name == name]
    found = found or [layer for layer in layers if sanitize(layer.tensor.name) == name]
    if len(found) != 1:
        reason = "names no layer" if not found else f"means {len(found)} layers"
        raise UsageError(
            f"fault {item!r}: {name!r} {reason} of {model.path.name}",
            hint="`rkparity inspect M.rknn` lists the layers' tensors",
        )
    return found[0]


def _positive(item: str, kind: FaultKind, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"fault {item!r}: {text!r} is no positive number", hint=f"write {_FORMS[kind]}")
    return value


def _integer(item: str, kind: FaultKind, text: str, allowed: range) -> int:
    value = int(text) if re.fullmatch(r"-?[0-9]{1,9}", text.strip()) else None
    if value is None or value not in allowed:
        raise UsageError(
            f"fault {item!r}: {text!r} is no number from {allowed[0]} to {allowed[-1]}", hint=f"write {_FORMS[kind]}"
        )
    return value


def _duration(item: str, text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0) if match else math.inf
    if seconds > _MAX_SLOW_S:
        raise UsageError(
            f"fault {item!r}: {text!r} is no duration up to {_MAX_SLOW_S:.0f}s", hint="write slow:200ms or slow:1.5s"
        )
    return seconds


def _held(tensor: ModelTensor, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the tensor's own type holds them, still as numbers."""
    import numpy as np

    if tensor.is_quantized:
        info = np.iinfo(tensor.dtype)
        scale, zero_point = np.float64(tensor.scale[0]), tensor.zero_point[0]
        grid = np.clip(np.rint(numbers / scale) + zero_point, info.min, info.max)
        held: NDArray[Any] = ((grid - zero_point).astype(np.float32) * np.float32(scale)).astype(np.float64)
        return held
    if tensor.dtype == "float16":
        halves: NDArray[Any] = numbers.astype(np.float16).astype(np.float64)
        return halves
    integer = np.issubdtype(np.dtype(tensor.dtype), np.integer)
    return np.asarray(np.rint(numbers) if integer else numbers)


def require_alterable(source: object) -> AlterableSource:
    """The source, when it can alter layers; DataError otherwise."""
    if not isinstance(source, AlterableSource):
        raise DataError("this source of layer values cannot alter a layer", hint="leave noise:, nan: and wrong: out")
    return source
