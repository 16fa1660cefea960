"""The emulated runtime against every recorded experiment: what is not as recorded must be listed, with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fidelity.aspects import ASPECTS, Outcome, Result
from fidelity.deviations import outdated, read_known, unexplained
from fidelity.player import ARCHITECTURES
from fidelity.session import play_all, prepare
from support import require


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Seven results for each of the 400 experiments."""
    require(shutil.which("cc"), "no C compiler")
    scratch = tmp_path_factory.mktemp("fidelity")
    return play_all(prepare(scratch), scratch)


def test_every_experiment_is_judged_in_every_respect(results: list[Result]) -> None:
    assert len({result.experiment for result in results}) == 400
    assert len(results) == 400 * len(ASPECTS)
    assert all(result.reason for result in results if result.outcome is Outcome.NOT_APPLICABLE)


@pytest.mark.parametrize("aspect", list(ASPECTS))
def test_nothing_deviates_without_a_reason(results: list[Result], aspect: str) -> None:
    found = unexplained([result for result in results if result.aspect == aspect], read_known())
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:40])


@pytest.mark.qemu
@pytest.mark.parametrize("name", ["aarch64", "armhf"])
def test_the_boards_architectures_behave_alike(name: str, tmp_path: Path) -> None:
    architecture = ARCHITECTURES[name]
    for tool in (architecture.compiler, architecture.runner[0]):
        require(shutil.which(tool), f"no {tool}")
    corpus = prepare(tmp_path, architecture)
    results = play_all(corpus, tmp_path, lambda experiment: experiment.startswith(("160_zc_", "160_gen_", "mrt232_")))
    assert len({result.experiment for result in results}) > 70
    found = unexplained(results, read_known())
    assert not found, "\n".join(found[:40])


def test_no_listed_deviation_is_gone(results: list[Result]) -> None:
    found = outdated(results, read_known())
    assert not found, "\n".join(found)
