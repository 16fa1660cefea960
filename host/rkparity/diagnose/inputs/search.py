"""The search: views, pictures, chains, first on samples, then on every element; ranked by what is left and by steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.candidates import (
    all_methods,
    chroma_shifted,
    first_geometries,
    measured_geometries,
)
from rkparity.diagnose.inputs.chains import Chain, Fit, Naming, measure, whole
from rkparity.diagnose.inputs.pairing import Pair, score_pairs
from rkparity.diagnose.inputs.runtime import Problem
from rkparity.diagnose.inputs.views import View, views

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS_NAMED = 16
_CHAINS_CHECKED = 10
# A chain so much worse on samples is not the best on all elements.
_OUT_OF_REACH = 12.0


@dataclass(frozen=True)
class Checked:
    """A chain judged on every element and what it predicts, in the order of its reading's elements."""

    chain: Chain
    predicted: NDArray[Any]


def search(problem: Problem, picture: NDArray[Any] | None) -> list[Checked]:
    """The best chains, the best first."""
    found = views(problem)
    geometries: list[Any] = []
    for shape in sorted({view.layout.source[:2] for view in found}):
        geometries += first_geometries(problem, picture, shape)
    pairs = score_pairs(found, geometries)
    lead = _leading_views(pairs, found)
    measured = [item for view in lead for item in measured_geometries(problem, picture, view)]
    if measured:
        pairs = sorted(pairs + score_pairs(lead, measured), key=lambda pair: -pair.rank)
    naming = Naming(problem)
    chains: list[Chain] = []
    for number, pair in enumerate(_chosen(pairs)):
        # Once a chain fits exactly, only pairs that explain as much can tie with it.
        if number >= 3 and chains[:1] and chains[0].fit.rms < 0.3 and pair.score < chains[0].score - 0.06:
            continue
        chains += [replace(chain, score=pair.score) for chain in naming.chains(pair, fitted=number < 6)]
        chains.sort(key=lambda chain: chain.cost)
    chains = _refined(problem, picture, naming, chains)
    if problem.shape[2] == 3 and problem.whole and (not chains or chains[0].fit.matched < 0.97):
        for view in lead[:2]:
            for item in chroma_shifted(problem, view):
                chains += naming.chains(Pair(view, item, 1.0), fitted=False)
        chains.sort(key=lambda chain: chain.cost)
    checked: list[Checked] = []
    for chain in _different(chains)[:_CHAINS_CHECKED]:
        if len(checked) >= 3 and chain.cost > chains[0].cost + _OUT_OF_REACH:
            break
        judged, predicted = whole(problem, chain)
        checked.append(Checked(judged, predicted))
    return sorted(checked, key=lambda item: item.chain.cost)


def _leading_views(pairs: list[Pair], found: list[View]) -> list[View]:
    """The views to measure shifts and borders on: the best one, its reading in plain layout, all as given, the next."""
    # A shift measured on a view that starts elsewhere would only undo that start.
    best = [pair.view for pair in pairs[:80] if all(step.id != "layout.offset" for step in pair.view.layout.steps)]
    plain = [view for view in found if best and view.reading is best[0].reading and not view.layout.steps]
    lead: list[View] = []
    for view in [*best[:1], *plain, *found[:1], *best[1:]]:
        if all(view is not other for other in lead) and len(lead) < 4:
            lead.append(view)
    return lead


def _chosen(pairs: list[Pair]) -> list[Pair]:
    """The pairs worth naming: few of each kind of geometry on each view, so that no kind crowds out the others."""
    chosen: list[Pair] = []
    counts: dict[tuple[int, str], int] = {}
    views_used: dict[int, int] = {}
    for pair in pairs:
        kind = (id(pair.view), pair.geometry.kind)
        if counts.get(kind, 0) >= 2 or views_used.get(id(pair.view), 0) >= 7 or len(chosen) >= _PAIRS_NAMED:
            continue
        counts[kind] = counts.get(kind, 0) + 1
        views_used[id(pair.view)] = views_used.get(id(pair.view), 0) + 1
        chosen.append(pair)
    plain: set[int] = set()
    for pair in pairs[:200]:
        same = pair.geometry.family == "same" and id(pair.view) not in plain
        if same and len(plain) < 4 and all(pair is not other for other in chosen):
            plain.add(id(pair.view))
            chosen.append(pair)
    return chosen


def _refined(problem: Problem, picture: NDArray[Any] | None, naming: Naming, chains: list[Chain]) -> list[Chain]:
    """The best resized pictures again with every interpolation."""
    best = [chain for chain in chains[:60] if chain.geometry.method or chain.geometry.shift]
    if picture is None or not best:
        return chains
    tried: set[tuple[int, str]] = set()
    more: list[Chain] = []
    for chain in best:
        key = (id(chain.view), chain.geometry.family)
        if key in tried or len(tried) >= 4 or chain.cost > chains[0].cost + 25 or chains[0].fit.rms < 0.2:
            continue
        tried.add(key)
        # With colours and values as they are, the interpolation shows; then everything is named again for it.
        judged = [naming.again(chain, geometry) for geometry in all_methods(problem, picture, [chain.geometry])]
        judged.sort(key=lambda item: item.cost)
        for best_made in judged[:2]:
            more += naming.chains(Pair(chain.view, best_made.geometry, 1.0), fitted=False)[:2]
    return sorted(chains + more, key=lambda chain: chain.cost)


def _different(chains: list[Chain]) -> list[Chain]:
    """One chain for each set of steps (by name and text)."""
    seen: set[tuple[str, ...]] = set()
    result = []
    for chain in chains:
        key = tuple(step.text for step in chain.steps)
        if key not in seen:
            seen.add(key)
            result.append(chain)
    return result


def identity_fit(problem: Problem) -> tuple[Fit, NDArray[Any]]:
    """How far the observed input is from the expected one, and |difference| per element in pixel units."""
    import numpy as np

    view = views_identity(problem)
    numbers = np.asarray(problem.base, np.float32)
    expected = np.asarray(
        problem.runtime.given(problem.right_numbers(numbers, slice(None)), slice(None)), np.float32
    ).reshape(-1)
    observed = view.reading.elements.astype(np.float32)
    seen = np.ones((expected.size, 1), bool)
    fit = measure(
        problem,
        view,
        expected[:, None],
        numbers.reshape(-1)[:, None],
        np.nan_to_num(observed, nan=1e9, posinf=1e9, neginf=-1e9)[:, None],
        seen,
    )
    return fit, np.abs(expected - observed)


def views_identity(problem: Problem) -> View:
    """The observed elements as they are."""
    from rkparity.diagnose.inputs.memory import Reading, layouts

    reading = Reading((), problem.observed.reshape(-1))
    return View(reading, next(layouts(problem.shape, (), ())), reading.elements.size)


def with_note(checked: Checked, chain: Chain) -> Checked:
    """The same prediction for another chain."""
    return replace(checked, chain=chain)
