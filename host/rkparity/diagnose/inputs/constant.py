"""Inputs that hold no picture at all: one value, or not numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkparity.diagnose.inputs.records import InputHypothesis, Step
from rkparity.diagnose.inputs.runtime import QUANTIZED, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


def constant_hypotheses(problem: Problem) -> tuple[InputHypothesis, ...]:
    """What explains an input of one value: never set, filled with one value, or values that all became the same.

    Several fit equally well then, and the answer holds them all. An empty tuple when the input is not constant.
    """
    import numpy as np

    observed = problem.observed
    if not np.isfinite(observed).all() or observed.min() != observed.max() or problem.base.min() == problem.base.max():
        return ()
    found = list(_reasons(problem, float(observed.reshape(-1)[0])))
    confidence = 0.9 / len(found)
    return tuple(InputHypothesis((step,), 0.0, 1.0, 1.0, 1.5 + 0.1 * i, confidence) for i, step in enumerate(found))


def _reasons(problem: Problem, value: float) -> Iterator[Step]:
    import numpy as np

    from rkparity.diagnose.inputs.values import value_maps

    runtime = problem.runtime
    unset = runtime.dequantized(np.zeros(1), slice(0, 1))[0] if runtime.kind == QUANTIZED else 0.0
    zero_given = float(np.asarray(runtime.given(np.zeros(1), slice(0, 1)))[0])
    if abs(value - unset) < 0.51 * max(runtime.quantum(), 1e-3) or abs(value - zero_given) < 1e-3:
        yield Step("stale.zero", "the input is all zero: it was never filled, or filled with zeros", {"value": value})
    else:
        yield Step("stale.constant", f"every element is {value:g}: the buffer holds one value", {"value": value})
    levels = np.unique(problem.base.reshape(-1, problem.shape[2]), axis=0)[:4096].astype(np.float32)
    for item in value_maps(problem):
        if not item.steps:
            continue
        made = np.asarray(item.observed(levels, problem))
        if abs(float(made.min()) - value) < 1e-3 and abs(float(made.max()) - value) < 1e-3:
            step = item.steps[-1]
            yield Step(step.id, "; then ".join(part.text for part in item.steps), {"value": value})
            return
