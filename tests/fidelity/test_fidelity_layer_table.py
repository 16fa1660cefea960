"""The layer table in the log has the recorded rows: operators, types, targets, shapes, names. Times are our own."""

from __future__ import annotations

import re
import shutil

import pytest

from fidelity.player import Player
from fidelity.session import prepare
from fidelity.stand_ins import Kept, stand_in
from fidelity.transcript import Transcript
from support import require

_ROW = re.compile(r"(\d+) +(\S+) +(\S+) +(CPU|NPU) +(\S+) +(\S+) +\d+ .* (\S+)$")


def rows(transcript: Transcript) -> list[tuple[str, ...]]:
    """ID, OpType, DataType, Target, InputShape, OutputShape, FullName of every row."""
    matches = [_ROW.match(line.text) for step in transcript.steps for line in step.lines]
    return [match.groups() for match in matches if match]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]]:
    """Recorded and played rows of one experiment per model and API."""
    require(shutil.which("cc"), "no C compiler")
    scratch = tmp_path_factory.mktemp("tables")
    corpus = prepare(scratch)
    found: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {}
    with Player(corpus.libraries, corpus.drivers, corpus.models, scratch / "played") as player:
        for experiment in corpus.experiments:
            recorded = rows(experiment.transcript)
            name = f"{experiment.model}{' zero-copy' if '_zc_' in experiment.name else ''}"
            known = (
                name in found
                or stand_in(experiment.model).kept is not Kept.SAME
                or not experiment.name.startswith("160_")
            )
            if recorded and not known:
                found[name] = (recorded, rows(player.play(experiment).transcript))
    return found


def test_rows_are_as_recorded(tables: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]]) -> None:
    assert len(tables) >= 10
    differences = []
    for name, (recorded, played) in sorted(tables.items()):
        assert len(recorded) == len(played), name
        for expected, got in zip(recorded, played):
            differences += [f"{name}: {expected} {got}"] if expected != got else []
    assert not differences, "\n".join(differences)
