"""The search: views, pictures, chains, first on samples, then on every element; ranked by what is left and by steps."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import BufferReading, DecodedPicture, decoded_pictures, layouts
from rkparity.diagnose.inputs.candidates import all_methods, estimated, first_geometries, late_and_moved
from rkparity.diagnose.inputs.chains import Chain, Fit, PicturePair, measure, score_pairs, whole
from rkparity.diagnose.inputs.colour import subsampled
from rkparity.diagnose.inputs.geometry import Geometry
from rkparity.diagnose.inputs.naming import Naming
from rkparity.diagnose.inputs.problem import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS_NAMED = 16
_CHAINS_CHECKED = 8
# A chain so much worse on samples is not the best on all elements.
_OUT_OF_REACH = 12.0
# With so few samples matched, a chain will not be believed; three are shown as the nearest.
_FAR_OFF = 0.5


@dataclass(frozen=True)
class Checked:
    """A chain judged on every element and what it predicts, in the order of its reading's elements."""

    chain: Chain
    predicted: NDArray[Any]


def search(problem: Problem, picture: NDArray[Any] | None) -> list[Checked]:
    """The best chains, the best first."""
    found = decoded_pictures(problem)
    geometries: list[Geometry] = []
    for shape in sorted({view.layout.source[:2] for view in found}):
        geometries += first_geometries(problem, picture, shape)
    pairs = score_pairs(found, geometries)
    lead = _leading_views(pairs, found)
    naming = Naming(problem)
    chains = _named(naming, pairs, [])
    # Nothing that is read off the picture adds to a chain that predicts every sample exactly.
    if not chains or not _is_exact(chains[0]):
        pairs = sorted(pairs + _estimated_pairs(problem, pairs, lead, found), key=lambda pair: -pair.rank)
        chains = _named(naming, pairs, chains)
    chains = _refined(problem, picture, naming, chains)
    chains = _subsampled(naming, chains)
    checked: list[Checked] = []
    for chain in _different(chains)[:_CHAINS_CHECKED]:
        far = chain.cost > chains[0].cost + _OUT_OF_REACH or chain.fit.matched < _FAR_OFF
        if len(checked) >= 3 and far:
            break
        judged, predicted = whole(problem, chain)
        checked.append(Checked(judged, predicted))
    return sorted(checked, key=lambda item: item.chain.cost)


def _is_exact(chain: Chain) -> bool:
    return chain.fit.rms < 0.02 and chain.fit.matched == 1.0 and chain.fit.relative < 0.05 and len(chain.steps) <= 2


def _named(naming: Naming, pairs: list[PicturePair], chains: list[Chain]) -> list[Chain]:
    """The given chains and those of the pairs worth naming that they do not hold yet, the best first."""
    done = {(id(chain.view), id(chain.geometry)) for chain in chains}
    for number, pair in enumerate(_chosen(pairs)):
        if (id(pair.view), id(pair.geometry)) in done:
            continue
        if number >= 6 and pair.score < 0.75 * pairs[0].score:
            continue
        # Once a chain fits exactly, only pairs that explain as much can tie with it.
        if number >= 3 and chains[:1] and chains[0].fit.rms < 0.3 and pair.score < chains[0].score - 0.06:
            continue
        chains += [replace(chain, score=pair.score) for chain in naming.chains(pair, fitted=number < 4)]
        chains.sort(key=lambda chain: chain.cost)
    return chains


def _estimated_pairs(
    problem: Problem, pairs: list[PicturePair], lead: list[DecodedPicture], found: list[DecodedPicture]
) -> list[PicturePair]:
    """What the leading views show of moves, boxes and starts elsewhere, scored."""
    items: dict[int, tuple[DecodedPicture, list[Geometry]]] = {}

    def likely(view: DecodedPicture) -> list[Geometry]:
        shape = view.layout.source[:2]
        own = [pair for pair in pairs if pair.view is view] or [pair for pair in pairs if pair.geometry.shape == shape]
        ranked = [pair.geometry for pair in own if pair.geometry.method != "area"]
        # A picture that is moved far is not similar any more: the expected input in every turn is always tried.
        turned = [item for item in ranked if item.family.startswith("same")]
        return [*ranked[:4], *(item for item in turned if all(item is not other for other in ranked[:4]))]

    shifted = [view for view in found if [step.id for step in view.layout.steps] == ["layout.offset"]]
    made = itertools.chain(
        *(estimated(problem, view, likely(view)) for view in lead),
        *(late_and_moved(problem, view, likely(view)) for view in shifted),
    )
    same: dict[str, DecodedPicture] = {}
    for view, geometry in made:
        # Equal views made for several geometries are one.
        key = f"{id(view.reading)} {[step.text for step in view.steps]}"
        one = same.setdefault(key, view)
        items.setdefault(id(one), (one, []))[1].append(geometry)
    result: list[PicturePair] = []
    for view, own in items.values():
        result += score_pairs([view], own)
    return result


def _subsampled(naming: Naming, chains: list[Chain]) -> list[Chain]:
    """The best chains' pictures with colours through 4:2:0, when they leave something."""
    problem = naming.problem
    if problem.shape[2] != 3 or not problem.whole or not problem.is_picture or not chains or chains[0].fit.rms < 0.05:
        return chains
    tried: set[tuple[int, str]] = set()
    more: list[Chain] = []
    for chain in chains:
        key = (id(chain.view), chain.geometry.family.split("~")[0])
        if key in tried or chain.view.reading.kind:
            continue
        if len(tried) >= 2 or chain.cost > chains[0].cost + _OUT_OF_REACH:
            break
        tried.add(key)
        for geometry in subsampled(chain.view, chain.geometry):
            more += naming.chains(PicturePair(chain.view, geometry, 1.0))[:3]
    return sorted(chains + more, key=lambda chain: chain.cost)


def _leading_views(pairs: list[PicturePair], found: list[DecodedPicture]) -> list[DecodedPicture]:
    """The views to measure shifts and borders on: the best one, its reading in plain layout, all as given, the next."""
    # A shift measured on a view that starts elsewhere would only undo that start.
    best = [pair.view for pair in pairs[:80] if all(step.id != "layout.offset" for step in pair.view.layout.steps)]
    plain = [view for view in found if best and view.reading is best[0].reading and not view.layout.steps]
    lead: list[DecodedPicture] = []
    for view in [*best[:1], *plain, *found[:1], *best[1:]]:
        if all(view is not other for other in lead) and len(lead) < 4:
            lead.append(view)
    return lead


def _chosen(pairs: list[PicturePair]) -> list[PicturePair]:
    """The pairs worth naming: few of each kind of geometry on each view, so that no kind crowds out the others."""
    chosen: list[PicturePair] = []
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
    """The best pictures again with every interpolation, and with crops that are off by one."""
    best = [chain for chain in chains[:60] if chain.geometry.fixed_region is None]
    if picture is None or not best:
        return chains
    tried: set[tuple[int, str]] = set()
    more: list[Chain] = []
    # A buffer that starts elsewhere hides a picture that is moved: at first they differ by the padding only.
    is_moved = [chain for chain in best if chain.geometry.shift is not None and "layout.offset" not in _step_ids(chain)]
    in_place = [chain for chain in best if chain.geometry.shift is None and "layout.offset" not in _step_ids(chain)]
    for number, chain in enumerate([*is_moved[:1], *in_place[:1], *best]):
        key = (id(chain.view), chain.geometry.family)
        farthest = chains[0].cost + (25 if number < 2 else 15)
        if key in tried or len(tried) >= 4 or chain.cost > farthest or chains[0].fit.rms < 0.05:
            continue
        tried.add(key)
        # With colours and values as they are, the interpolation shows; then everything is named again for it.
        judged = [naming.again(chain, geometry) for geometry in all_methods(problem, picture, chain.geometry)]
        judged.sort(key=lambda item: item.cost)
        for best_made in judged[:2]:
            more += naming.chains(PicturePair(chain.view, best_made.geometry, 1.0))[:3]
    return sorted(chains + more, key=lambda chain: chain.cost)


def _step_ids(chain: Chain) -> set[str]:
    return {step.id for step in chain.view.steps}


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

    view = identity_picture(problem)
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


def identity_picture(problem: Problem) -> DecodedPicture:
    """The observed elements as they are."""

    reading = BufferReading((), problem.observed.reshape(-1))
    return DecodedPicture(reading, next(layouts(problem.shape, (), ())), reading.elements.size)
