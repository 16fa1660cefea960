"""explain_input: what was done to an input that is not the expected one."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.axes import rearranged
from rkparity.diagnose.inputs.chains import Fit
from rkparity.diagnose.inputs.findings import with_findings
from rkparity.diagnose.inputs.problem import (
    QUANTIZED,
    ExpectedInput,
    InputExplanation,
    InputHypothesis,
    ObservedInput,
    Problem,
    Step,
    prepare_problem,
)
from rkparity.diagnose.inputs.search import Checked, identity_fit, search
from rkparity.diagnose.inputs.values import value_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


# A chain is believed when what it leaves is at most one unit and most elements are within one unit of it; when nearly
# all are, some may be further off. All that it leaves must be small against what is seen.
_MATCHED, _LEAST_MATCHED, _RMS, _RMS_MATCHED, _RELATIVE = 0.97, 0.85, 1.0, 1.5, 0.3
_LEAST_EXPLAINED = 0.25
_TIE = 0.75


def explain_input(
    observed: ObservedInput, expected: ExpectedInput, picture: NDArray[Any] | None = None, *, folder: Path | None = None
) -> InputExplanation:
    """Finds the chain of steps that turns the expected input into the observed one.

    `picture` is the original picture, (h, w, C) uint8 of any size, RGB, when known: then resizing can be judged. With
    `folder`, both inputs are written there as PNG files. Two steps are found together, three in many cases. Raises
    DataError when the two inputs cannot belong together (sizes, or no expected input).
    """
    problem = prepare_problem(observed, expected, picture)
    fit, difference = identity_fit(problem)
    unit = _unit_text(problem)
    if fit.matched == 1.0 and (fit.relative < _RELATIVE or fit.rms == 0):
        return InputExplanation((), True, False, fit.rms, unit, "")
    notes = _not_finite(observed)
    constant = constant_hypotheses(problem)
    if constant:
        answer = InputExplanation(constant, False, False, 0.0, unit, "", constant if len(constant) > 1 else ())
        return with_findings(replace(answer, notes=notes), observed, problem, folder)
    # An order of axes says more than the picture that a tensor of another rank is searched as.
    moved = [(steps, own, own.cost + 0.5) for steps, own in rearranged(problem, fit.unit)]
    is_found = any(own.matched == 1.0 and own.rms < 0.05 for _, own, _ in moved)
    checked = [] if is_found else search(problem, _usable(picture, problem))
    partial = _first_part(problem, checked, difference, fit)
    hypotheses = _ranked([*checked, *partial, *moved], fit)
    believed = bool(hypotheses) and _is_believed(hypotheses[0])
    tied = _ties(hypotheses, checked) if believed else ()
    hypotheses = _with_confidence(hypotheses, len(tied), believed)
    answer = InputExplanation(
        hypotheses,
        False,
        not believed,
        hypotheses[0].residual if hypotheses else fit.rms,
        unit,
        hypotheses[0].remaining if hypotheses else "everything",
        tied,
        (),
        notes,
    )
    return with_findings(answer, observed, problem, folder)


def _usable(picture: NDArray[Any] | None, problem: Problem) -> NDArray[Any] | None:
    import numpy as np

    if picture is None or not problem.is_picture or picture.ndim != 3 or not problem.whole:
        return None
    if picture.shape[2] < problem.shape[2] or picture.dtype != np.uint8:
        return None
    return picture[:, :, : problem.shape[2]]


def _not_finite(observed: ObservedInput) -> tuple[str, ...]:
    import numpy as np

    if observed.values.dtype.kind != "f":
        return ()
    count = int((~np.isfinite(observed.values)).sum())
    return (f"{count} of {observed.values.size} elements are NaN or Inf",) if count else ()


def _first_part(
    problem: Problem, checked: list[Checked], difference: NDArray[Any], fit: Fit
) -> list[tuple[tuple[Step, ...], Fit, float]]:
    """Only the first N elements are right and what follows is something else: found by where mismatches begin."""
    import numpy as np

    # A constant beginning (padding) is right by itself and shows nothing.
    level = problem.base.reshape(-1)
    least = 0.25 * float(level.std())
    options: list[tuple[tuple[Step, ...], Any, float]] = [((), difference, fit.unit)]
    for item in checked[:3]:
        elements = item.chain.view.reading.elements
        options.append((item.chain.steps, np.abs(item.predicted - elements), item.chain.fit.unit))
    found = []
    for steps, away, unit in options:
        wrong = ~(away <= 1.01 * unit)
        total = wrong.size
        if any(step.id.startswith("stale") for step in steps) or wrong.mean() < 0.02:
            continue
        before = np.cumsum(wrong)
        # The end of the right part: where most of what came before is right and most of what follows is wrong.
        place = np.arange(1, total + 1)
        gain = (place - before) - (total - place) * 1.0 + (before[-1] - before) * 2.0
        filled = int(np.argmax(gain)) + 1
        right = 1 - before[filled - 1] / filled
        after = (before[-1] - before[filled - 1]) / max(total - filled, 1)
        if filled > 2 and float(level[:filled].std()) < least:
            continue
        if right > 0.995 and after > 0.6 and 0.03 < filled / total < 0.98:
            step = Step(
                "stale.partly_filled",
                f"only the first {filled} of {total} elements are right; what follows is something else",
                {"filled": filled, "elements": total},
            )
            own = Fit(0.0, float(right), 0.0, unit)
            cost = own.cost + 1.5 * (len(steps) + 1) + 2.5 + 6.0 * (1 - filled / total)
            found.append(((*steps, step), own, cost))
    return found


def _ranked(items: list[Any], fit: Fit) -> tuple[InputHypothesis, ...]:
    """Hypotheses by cost; one for each set of step names."""
    result: dict[tuple[str, ...], InputHypothesis] = {}
    for item in items:
        if isinstance(item, tuple):
            steps, own, cost = item
        else:
            steps, own, cost = item.chain.steps, item.chain.fit, item.chain.cost
        before = max(fit.rms * fit.unit, 1e-9)
        explained = max(0.0, 1.0 - (own.rms * own.unit / before) ** 2)
        hypothesis = InputHypothesis(
            steps, own.rms, own.matched, explained, cost, remaining=_remaining(own), relative=own.relative
        )
        if steps and (hypothesis.ids not in result or result[hypothesis.ids].cost > cost):
            result[hypothesis.ids] = hypothesis
    return tuple(sorted(result.values(), key=lambda hypothesis: hypothesis.cost))


def _remaining(fit: Fit) -> str:
    if fit.matched >= 0.99999 and fit.rms < 0.3:
        return "nothing"
    share = 100 * (1 - fit.matched)
    return f"{fit.rms:.3g} root mean square; {share:.3g} % of the elements differ by more than one unit"


def _is_believed(best: InputHypothesis) -> bool:
    exact = best.residual <= (_RMS if best.matched < _MATCHED else _RMS_MATCHED) and best.matched >= _LEAST_MATCHED
    # Steps that leave the difference as it was fit only because there was little of it: they are no explanation.
    return exact and best.relative < _RELATIVE and best.explained >= _LEAST_EXPLAINED


def _ties(hypotheses: tuple[InputHypothesis, ...], checked: list[Checked]) -> tuple[InputHypothesis, ...]:
    """Hypotheses with other steps that cost about the same as the first: the data cannot tell them apart."""
    best = hypotheses[0]
    tied = [
        item
        for item in hypotheses
        if item.cost - best.cost < _TIE and abs(item.residual - best.residual) < 0.1 and _is_believed(item)
    ]
    return tuple(tied) if len(tied) > 1 else ()


def _with_confidence(hypotheses: tuple[InputHypothesis, ...], tied: int, believed: bool) -> tuple[InputHypothesis, ...]:
    """Confidence from the fit and from the distance to the next hypothesis that is not tied with the first."""
    if not hypotheses:
        return ()
    best = hypotheses[0]
    others = hypotheses[max(tied, 1) :]
    gap = min(1.0, (others[0].cost - best.cost) / 3.0) if others else 1.0
    quality = max(0.0, min(1.0, (best.matched - 0.5) * 2)) * (1 - min(1.0, best.relative))
    top = quality * (0.6 + 0.39 * gap) / max(tied, 1) if believed else min(0.3, 0.3 * quality)
    result = []
    for index, item in enumerate(hypotheses[:8]):
        share = top if index < max(tied, 1) else top * 0.5 * 2.0 ** -(item.cost - best.cost)
        result.append(replace(item, confidence=round(share, 3)))
    return tuple(result)


def _unit_text(problem: Problem) -> str:

    if problem.runtime.kind == QUANTIZED:
        return "LSB of the input's scale, or what one pixel value makes if that is more"
    return "pixel values"


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

    levels = np.unique(problem.base.reshape(-1, problem.shape[2]), axis=0)[:4096].astype(np.float32)
    for item in value_maps(problem):
        if not item.steps:
            continue
        made = np.asarray(item.observed(levels, problem))
        if abs(float(made.min()) - value) < 1e-3 and abs(float(made.max()) - value) < 1e-3:
            step = item.steps[-1]
            yield Step(step.id, "; then ".join(part.text for part in item.steps), {"value": value})
            return
