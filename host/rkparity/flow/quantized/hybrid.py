"""Hybrid quantisation: our choice of float layers built and measured beside the toolkit's own proposal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rkparity.errors import ToolkitError, ToolkitTimeoutError
from rkparity.flow.quantized.budget import Budget
from rkparity.flow.quantized.measure import References, measure
from rkparity.flow.quantized.samples import Sample
from rkparity.flow.quantized.selection import OUT_OF_TIME, OperatorGraph, Selection, select
from rkparity.toolkit.build_record import write_build_record
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.hybrid import (
    Contribution,
    HybridFiles,
    MixedModel,
    OutputError,
    hybrid_step1,
    hybrid_step2,
)
from rkparity.toolkit.hybrid_configuration import write_configuration
from rkparity.toolkit.spec import BuildSpec, hybrid_spec
from rkparity.toolkit.worker_client import Worker

CHUNK = 16
MOST_TARGETS = 12
SEARCH_SHARE = 0.6
"""Of the time, at least the rest is for builds."""
BUILD_FACTOR = 1.3
MOST_SHARE = 0.5
TRIES = 4
"""How often the choice is made again with half the allowed error when the build falls short of the prediction."""


@dataclass(frozen=True)
class HybridBuild:
    """A hybrid model that was built and measured: `layers` are the tensors listed in its configuration."""

    layers: tuple[str, ...]
    error: OutputError
    seconds: float
    cfg: Path
    rknn: Path | None = None
    built: BuiltModel | None = None


@dataclass(frozen=True)
class Hybrid:
    """Our best build, the toolkit's proposal (None with the reason when it did not come), every build made of ours.

    `note` says what ended the search when it was time.
    """

    selection: Selection
    ours: HybridBuild | None
    tried: tuple[HybridBuild, ...]
    proposal: HybridBuild | None
    proposal_note: str
    files: HybridFiles | None
    note: str = ""
    predicted: tuple[str, ...] = ()
    """The layers chosen when there was no time to build with them; the configuration lists them."""
    float_share: float = 0.0
    """The work our build adds over that which a model all in float16 adds, estimated."""

    @property
    def is_most_of_it(self) -> bool:
        """Whether our build adds more than half of the work that full float16 does: then it is hardly quantised."""
        return self.ours is not None and self.float_share > MOST_SHARE

    def meets(self, cosine: float) -> bool:
        """Whether our build reaches the limit at every output."""
        return self.ours is not None and self.ours.error.cosine >= cosine

    def proposal_serves(self, cosine: float) -> bool:
        """Whether the toolkit's proposal reaches the limit and ours does not."""
        return not self.meets(cosine) and self.proposal is not None and self.proposal.error.cosine >= cosine


def contributions_of(mixed: MixedModel, budget: Budget, say: Callable[[str], None]) -> tuple[list[Contribution], str]:
    """What each operator alone does to the output, in order; a note when the time ended first."""
    found: list[Contribution] = []
    indices = [item.index for item in mixed.operators]
    for start in range(0, len(indices), CHUNK):
        if budget.left <= 0:
            return found, f"{len(indices) - start} of {len(indices)} operators were not examined: the budget ended"
        found.extend(mixed.contributions(indices[start : start + CHUNK]))
        say(f"operators examined alone: {min(start + CHUNK, len(indices))} of {len(indices)}")
    return found, ""


def search_hybrid(
    worker: Worker,
    python: Path,
    spec: BuildSpec,
    mixed: MixedModel,
    contributions: Sequence[Contribution],
    samples: Sequence[Sample],
    references: References,
    *,
    cosine: float,
    budget: Budget,
    folder: Path,
    say: Callable[[str], None],
) -> Hybrid:
    """Chooses float layers, builds with them, and builds the toolkit's proposal to compare.

    Leaves in `folder` step 1's files, our `.quantization.cfg` and the hybrid `.rknn`. The proposal is worked out by a
    second worker meanwhile.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        proposal = pool.submit(_proposal, python, spec, samples, references, budget, folder / "proposal", say)
        clock = Budget(0.0)
        files = hybrid_step1(worker, spec, folder)
        # A build by step 2 takes about as long as step 1, beside the proposal's somewhat longer.
        build_s = clock.spent * BUILD_FACTOR
        graph = OperatorGraph(mixed.operators)
        kept_back = max(budget.left * (1 - SEARCH_SHARE), min(2 * build_s, budget.left * SEARCH_SHARE))
        selection = select(mixed, contributions, cosine=cosine, budget=Budget(budget.left - kept_back), say=say)
        tried: list[HybridBuild] = []
        note = selection.stopped if selection.stopped == OUT_OF_TIME else ""
        target, point = cosine, selection.chosen
        for _ in range(MOST_TARGETS):
            if not point.floats or len(tried) >= TRIES:
                break
            layers = tuple(name for name in graph.names(point.floats) if name in files.tensors)
            if layers and all(layers != build.layers for build in tried):
                if budget.left < build_s:
                    note = (
                        f"no further build: it takes about {build_s:.0f} s, {budget.left:.0f} s of the budget are left"
                    )
                    break
                try:
                    tried.append(_build(worker, spec, files, layers, samples, references, folder / f"try{len(tried)}"))
                except ToolkitTimeoutError:
                    note = f"the build with {len(layers)} tensors in float16 was ended: the time budget was over"
                    break
                build_s = tried[-1].seconds * BUILD_FACTOR
                say(f"{len(layers)} tensors in float16, built: output cosine {tried[-1].error.cosine:.5f}")
                if tried[-1].error.cosine >= cosine:
                    break
            # Mixing rounds a few values the other way than the build does; aim higher by half.
            target = 1 - (1 - target) / 2
            stricter = selection.stricter(target)
            if stricter is None:
                break
            point = stricter
        ours = _installed(_best(tried, cosine), files, folder)
        predicted: tuple[str, ...] = ()
        if ours is None and selection.meets:
            predicted = tuple(name for name in graph.names(selection.chosen.floats) if name in files.tensors)
            write_configuration(files.cfg, files.cfg, dict.fromkeys(predicted, "chosen by predicted gain, not built"))
        theirs, proposal_note = _answer(proposal)
    share = 0.0 if ours is None else _float_share(graph, ours.layers)
    return Hybrid(selection, ours, tuple(tried), theirs, proposal_note, files, note, predicted, share)


def _float_share(graph: OperatorGraph, layers: Sequence[str]) -> float:
    whole = graph.cost(item.index for item in graph.operators if graph.choosable(item.index))
    return graph.cost({graph.maker[name] for name in layers}) / whole if whole else 0.0


def _best(tried: Sequence[HybridBuild], cosine: float) -> HybridBuild | None:
    fitting = [build for build in tried if build.error.cosine >= cosine]
    if fitting:
        return min(fitting, key=lambda build: len(build.layers))
    return min(tried, key=lambda build: build.error.squared) if tried else None


def _build(
    worker: Worker,
    spec: BuildSpec,
    files: HybridFiles,
    layers: Sequence[str],
    samples: Sequence[Sample],
    references: References,
    stem: Path,
) -> HybridBuild:
    clock = Budget(0.0)
    cfg, rknn = stem.with_suffix(".cfg"), stem.with_suffix(".rknn")
    write_configuration(files.cfg, cfg, dict.fromkeys(layers, "chosen by measured gain"))
    built = hybrid_step2(worker, spec, files, cfg, export=rknn)
    error = measure(worker, built, samples, references)
    worker.release(built.model_id)
    return HybridBuild(tuple(layers), error, clock.spent, cfg, rknn, built)


def _installed(build: HybridBuild | None, files: HybridFiles, folder: Path) -> HybridBuild | None:
    """Gives the chosen build its final names and a build record, and removes the others."""
    if build is None or build.rknn is None or build.built is None:
        return build
    cfg, rknn = files.cfg, folder / f"{files.stem}.hybrid.rknn"
    build.cfg.replace(cfg)
    build.rknn.replace(rknn)
    spec = hybrid_spec(files.model.resolve(), files.data.resolve(), cfg.resolve())
    spec = replace(spec, target_platform=build.built.spec.target_platform)
    built = replace(build.built, spec=spec, rknn=rknn)
    write_build_record(built)
    for left in [*folder.glob("try*.cfg"), *folder.glob("try*.rknn")]:
        left.unlink()
    return HybridBuild(build.layers, build.error, build.seconds, cfg, rknn, built)


def _proposal(
    python: Path,
    spec: BuildSpec,
    samples: Sequence[Sample],
    references: References,
    budget: Budget,
    folder: Path,
    say: Callable[[str], None],
) -> HybridBuild:
    clock = Budget(0.0)
    try:
        with Worker(python, deadline=budget.deadline) as worker:
            files = hybrid_step1(worker, spec, folder, proposal=True)
            built = hybrid_step2(worker, spec, files, files.cfg)
            error = measure(worker, built, samples, references)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"the toolkit's proposal, {len(files.proposed)} tensors: output cosine {error.cosine:.5f}")
    return HybridBuild(files.proposed, error, clock.spent, files.cfg)


def _answer(proposal: Future[HybridBuild]) -> tuple[HybridBuild | None, str]:
    try:
        return proposal.result(), ""
    except ToolkitTimeoutError:
        return None, "not finished: not enough time"
    except ToolkitError as error:
        return None, error.message
