"""Playing the whole corpus at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fidelity.aspects import ASPECTS, Outcome, Result, judge, unplayable
from fidelity.corpus import Experiment, read_experiments, unpack
from fidelity.player import ARCHITECTURES, LIBRARY, MINI_LIBRARY, Architecture, Player, compile_drivers, compile_library
from fidelity.stand_ins import Kept, stand_in

# An empty RKNN_DUMP_DIR makes the library write into the root directory (evidence 160_dumpdir_empty).
NOT_PLAYED = {"160_dumpdir_empty": "would write into the root directory of the machine that plays it"}


@dataclass(frozen=True)
class Corpus:
    """The unpacked archives and what was compiled for playing."""

    experiments: tuple[Experiment, ...]
    models: Path
    libraries: Path
    drivers: Path
    runner: tuple[str, ...]


def prepare(scratch: Path, architecture: Architecture = ARCHITECTURES["native"]) -> Corpus:
    """Unpacks and compiles into `scratch`."""
    for name in (LIBRARY, MINI_LIBRARY):
        compile_library(scratch / name, architecture.compiler)
    return Corpus(
        read_experiments(unpack("sequences.tar.xz", unpack("experiments.tar.xz", scratch / "experiments"))),
        unpack("models.tar.xz", scratch / "models"),
        scratch,
        compile_drivers(scratch, architecture.compiler),
        architecture.runner,
    )


def play_all(corpus: Corpus, scratch: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[Result]:
    """Plays the wanted experiments; seven results each, in the corpus's order."""
    results: list[Result] = []
    with Player(corpus.libraries, corpus.drivers, corpus.models, scratch / "played", runner=corpus.runner) as player:
        for experiment in corpus.experiments:
            if not wanted(experiment.name):
                continue
            results += play_one(player, experiment)
    return results


def play_one(player: Player, experiment: Experiment) -> list[Result]:
    """One experiment's results."""
    if experiment.name in NOT_PLAYED:
        return [
            Result(experiment.name, aspect, Outcome.NOT_APPLICABLE, reason=NOT_PLAYED[experiment.name])
            for aspect in ASPECTS
        ]
    if stand_in(experiment.model).kept is Kept.NONE:
        return unplayable(experiment.name, experiment.model)
    return judge(player.play(experiment))


def totals(results: Sequence[Result]) -> dict[str, Counter[Outcome]]:
    """How many of each outcome, by aspect."""
    counts: dict[str, Counter[Outcome]] = {aspect: Counter() for aspect in ASPECTS}
    for result in results:
        counts[result.aspect][result.outcome] += 1
    return counts
