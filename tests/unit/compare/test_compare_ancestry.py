"""Own and inherited errors on the node list of a real model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rkparity.compare.ancestry import Ancestry, Seen
from rkparity.compare.verdict import Origin, Verdict
from rkparity.model import read_model

MODEL = read_model(Path(__file__).parents[2] / "data" / "models" / "multi_input_int8.rknn")
GOOD, BAD = Seen(Verdict.PASS, 0.0), Seen(Verdict.FAIL, 0.5)


def test_two_branches() -> None:
    ancestry = Ancestry(MODEL)
    for order, tensor in ((0, "image"), (1, "aux"), (2, "meta"), (3, "image_conv")):
        ancestry.remember(order, tensor, GOOD)
    ancestry.remember(4, "relu0", BAD)
    assert ancestry.origin(4) is Origin.OWN
    assert ancestry.origin(5) is Origin.INHERITED
    assert ancestry.origin(9) is Origin.OWN
    assert len(ancestry.inputs_of(4)) == 2


def test_layers_without_a_dump_are_looked_through() -> None:
    ancestry = Ancestry(MODEL)
    ancestry.remember(4, "relu0", BAD)
    assert ancestry.inputs_of(8) == [BAD]


def test_the_worst_of_several_dumps_counts() -> None:
    ancestry = Ancestry(MODEL)
    ancestry.remember(4, "relu0", Seen(Verdict.WARN, 0.1))
    ancestry.remember(4, "relu0", GOOD)
    assert ancestry.inputs_of(5) == [Seen(Verdict.WARN, 0.1)]
    ancestry.remember(4, "relu0", BAD)
    ancestry.remember(4, "relu0", Seen(Verdict.WARN, 0.9))
    assert ancestry.inputs_of(5) == [BAD]


def test_by_order_without_a_model() -> None:
    ancestry = Ancestry(None)
    ancestry.remember(3, "a", BAD)
    assert ancestry.origin(3) is Origin.OWN
    assert ancestry.origin(9) is Origin.INHERITED_BY_ORDER
    assert not ancestry.by_graph


def test_a_graph_that_eats_its_tail_ends() -> None:
    nodes = list(MODEL.nodes)
    nodes[3] = replace(nodes[3], inputs=(*nodes[3].inputs, *nodes[5].outputs))
    ancestry = Ancestry(replace(MODEL, nodes=tuple(nodes)))
    assert ancestry.inputs_of(8) == []
