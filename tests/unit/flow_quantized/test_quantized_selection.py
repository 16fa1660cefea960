"""Choosing float operators on a made-up model whose errors are known, without the toolkit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rkparity.flow.quantized.budget import Budget
from rkparity.flow.quantized.selection import OperatorGraph, Point, pareto, select
from rkparity.toolkit.hybrid import ColumnScore, Contribution, Operator, OutputError

GOOD = ColumnScore(1.0, 0.0, 0.0)


def operator(index: int, reads: str, *, fused: bool = False, op_type: str = "Conv", elements: int = 100) -> Operator:
    return Operator(index, op_type, (reads,), (f"t{index}",), 1000, elements, True, fused, GOOD, GOOD)


# in -> t0 (conversion) -> t1 -> t2 (fused) -> t3 (relu) -> t4 -> t5
CHAIN = (
    operator(0, "in", op_type="exDataConvert"),
    operator(1, "t0"),
    operator(2, "t1", fused=True),
    operator(3, "t2", op_type="Relu"),
    operator(4, "t3"),
    operator(5, "t4"),
)


class FakeModel:
    """Errors add up: an operator's weights while it is int8, a tensor's storage unless its neighbourhood is float."""

    def __init__(self, operators: Sequence[Operator], weights: dict[int, float], storage: dict[int, float]) -> None:
        self.operators = tuple(operators)
        self._graph = OperatorGraph(operators)
        self._weights, self._storage = weights, storage
        self.error = self.evaluate([()])[0]
        self.count = 0

    def evaluate(self, sets: Sequence[Sequence[int]]) -> tuple[OutputError, ...]:
        self.count = getattr(self, "count", 0) + len(sets)
        return tuple(self._one(frozenset(item)) for item in sets)

    def _one(self, floats: frozenset[int]) -> OutputError:
        left = sum(error for index, error in self._weights.items() if index not in floats)
        left += sum(error for index, error in self._storage.items() if not self._graph.neighbourhood(index) <= floats)
        return OutputError(left, 1 - left / 2)

    def contributions(self) -> list[Contribution]:
        return [
            Contribution(item.index, self._weights.get(item.index, 0.0), self._storage.get(item.index, 0.0))
            for item in self.operators
        ]


def chosen(model: FakeModel, cosine: float, budget: float = 60) -> tuple[int, ...]:
    result = select(model, model.contributions(), cosine=cosine, budget=Budget(budget))  # type: ignore[arg-type]
    return result.chosen.floats


def test_a_stored_tensor_needs_its_maker_and_its_readers() -> None:
    graph = OperatorGraph(CHAIN)
    assert graph.neighbourhood(1) == {1, 2}
    # The Relu's own maker is fused into it: both are one layer.
    assert graph.neighbourhood(3) == {2, 3, 4}
    assert graph.neighbourhood(0) == {1}
    assert graph.names([4, 1]) == ("t1", "t4")


def test_only_what_is_needed_is_chosen() -> None:
    assert chosen(FakeModel(CHAIN, {}, {1: 0.5}), 0.99) == (1, 2)
    assert chosen(FakeModel(CHAIN, {5: 0.4, 1: 0.001}, {}), 0.99) == (5,)
    assert chosen(FakeModel(CHAIN, {1: 0.001}, {4: 0.002}), 0.99) == ()


def test_of_two_equal_layers_the_earlier_one_is_taken() -> None:
    assert chosen(FakeModel(CHAIN, {4: 0.02, 1: 0.02}, {}), 0.989) == (1,)


def test_many_small_errors_are_removed_together() -> None:
    operators = [operator(index, f"t{index - 1}") for index in range(40)]
    weights = dict.fromkeys(range(40), 0.01)
    floats = chosen(FakeModel(operators, weights, {}), 0.95)
    # 0.1 may be left of 0.4, so 30 layers of 40 are needed.
    assert len(floats) == 30


def test_a_dear_layer_waits_for_cheap_ones() -> None:
    operators = list(CHAIN)
    operators[1] = operator(1, "t0", elements=100_000)
    assert chosen(FakeModel(operators, {1: 0.02, 5: 0.02}, {}), 0.989) == (5,)


def test_without_time_the_int8_model_stays() -> None:
    model = FakeModel(CHAIN, {1: 0.5}, {})
    result = select(model, model.contributions(), cosine=0.99, budget=Budget(0))  # type: ignore[arg-type]
    assert (result.chosen.floats, result.meets, result.stopped) == ((), False, "the time budget ended")


def test_a_limit_out_of_reach_gives_the_best_and_says_why() -> None:
    model = FakeModel(CHAIN, {1: 0.5}, {})
    model._weights[99] = 0.1
    result = select(model, model.contributions(), cosine=0.99, budget=Budget(60))  # type: ignore[arg-type]
    assert not result.meets
    assert result.chosen.floats == (1,)
    assert result.stopped == "no further operator removes error"


def test_the_curve_has_only_points_no_other_beats() -> None:
    points = [Point((index,), OutputError(error, 1 - error), cost) for index, (error, cost) in enumerate(CURVE)]
    assert [(point.error.squared, point.cost) for point in pareto(points)] == [(0.5, 0.0), (0.3, 1.0), (0.1, 2.0)]


CURVE = [(0.5, 0.0), (0.4, 1.0), (0.3, 1.0), (0.35, 1.5), (0.1, 2.0), (0.1, 3.0)]


def test_a_stricter_set_is_the_cheapest_that_reaches_more() -> None:
    model = FakeModel(CHAIN, {1: 0.03, 5: 0.01}, {})
    result = select(model, model.contributions(), cosine=0.99, budget=Budget(60))  # type: ignore[arg-type]
    assert result.chosen.floats == (1,)
    stricter = result.stricter(0.999)
    assert stricter is None or stricter.error.cosine >= 0.999


@pytest.mark.parametrize("spent", [0.0, 5.0])
def test_a_budget_never_gives_less_than_nothing(spent: float) -> None:
    budget = Budget(1.0)
    object.__setattr__(budget, "start", budget.start - spent)
    assert budget.left == pytest.approx(max(1.0 - spent, 0.0), abs=0.1)
    assert budget.deadline == budget.start + 1.0
    assert budget.part(0.5).seconds == pytest.approx(budget.left / 2, abs=0.1)
