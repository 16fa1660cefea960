"""Inputs that hold no picture at all: one value, or not numbers."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from rkparity.diagnose.inputs.records import InputHypothesis, Step
from rkparity.diagnose.inputs.runtime import QUANTIZED, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Given(Enum):
    """What is known of the numbers behind an input that is constant."""

    UNKNOWN = "no trace of the application's buffer"
    ONE_VALUE = "the buffer holds one value"
    COLLAPSED = "numbers that differ, all of which become the value observed"
    NOT_TAKEN = "numbers that differ and would still differ in the runtime"


def constant_hypotheses(problem: Problem) -> tuple[InputHypothesis, ...]:
    """What explains an input of one value: never set, filled with one value, or values that all became the same.

    Several fit equally well when only the dump is known, and the answer holds them all. The range of the numbers that
    the application gave decides between them. An empty tuple when the input is not constant.
    """
    import numpy as np

    observed = problem.observed
    if not np.isfinite(observed).all() or observed.min() != observed.max() or problem.base.min() == problem.base.max():
        return ()
    value = float(observed.reshape(-1)[0])
    given = _given(problem, value)
    empty, became = list(_empty(problem, value, given)), list(_became(problem, value))
    if given is _Given.COLLAPSED and became:
        found = became
    elif given in (_Given.ONE_VALUE, _Given.NOT_TAKEN):
        found = empty
    else:
        found = [*empty, *became]
    confidence = (0.9 if given is _Given.UNKNOWN else 0.97) / len(found)
    return tuple(InputHypothesis((step,), 0.0, 1.0, 1.0, 1.5 + 0.1 * i, confidence) for i, step in enumerate(found))


def _given(problem: Problem, value: float) -> _Given:
    """Whether the numbers the application gave, by their range, become `value`."""
    import numpy as np

    if problem.given_range is None:
        return _Given.UNKNOWN
    low, high = problem.given_range
    if low == high:
        return _Given.ONE_VALUE
    every = np.arange(problem.shape[2])
    made = np.concatenate(
        [np.asarray(problem.runtime.given(np.full(every.size, number), every)) for number in problem.given_range]
    )
    # The runtime's conversion is monotonous: what its ends become, everything between becomes.
    return _Given.COLLAPSED if bool((np.abs(made - value) < 1e-3).all()) else _Given.NOT_TAKEN


def _empty(problem: Problem, value: float, given: _Given) -> Iterator[Step]:
    """The runtime was given nothing, or one value."""
    import numpy as np

    runtime = problem.runtime
    unset = runtime.dequantized(np.zeros(1), slice(0, 1))[0] if runtime.kind == QUANTIZED else 0.0
    zero_given = float(np.asarray(runtime.given(np.zeros(1), slice(0, 1)))[0])
    lost = ""
    if given is _Given.NOT_TAKEN and problem.given_range is not None:
        low, high = problem.given_range
        lost = (
            f"; the application gave numbers from {low:g} to {high:g}, so rknn_inputs_set returned 0 and copied "
            "nothing: its size or fmt does not fit"
        )
    if abs(value - unset) < 0.51 * max(runtime.quantum(), 1e-3) or abs(value - zero_given) < 1e-3:
        text = "the input is all zero: it was never filled, or filled with zeros"
        yield Step("stale.zero", text + lost, {"value": value})
    else:
        yield Step("stale.constant", f"every element is {value:g}: the buffer holds one value{lost}", {"value": value})


def _became(problem: Problem, value: float) -> Iterator[Step]:
    """The first mistake with the values that makes one value of the whole expected input."""
    import numpy as np

    from rkparity.diagnose.inputs.values import value_maps

    levels = np.unique(problem.base.reshape(-1, problem.shape[2]), axis=0)[:4096].astype(np.float32)
    for item in value_maps(problem):
        if not item.steps:
            continue
        made = np.asarray(item.observed(levels, problem))
        if abs(float(made.min()) - value) < 1e-3 and abs(float(made.max()) - value) < 1e-3:
            step = item.steps[-1]
            yield Step(step.id, "; then ".join(part.text for part in item.steps), {"value": value})
            return
