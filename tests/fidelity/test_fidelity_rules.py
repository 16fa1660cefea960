"""The emulator's general rules are right on the half of the recordings that did not choose them."""

from __future__ import annotations

import pytest

from fidelity.rules import RULES, Case, Rule, gather, try_rule


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Case]]:
    return gather(tmp_path_factory.mktemp("rules"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_half_leaves_the_emulated_rule_and_it_holds_on_the_other(cases: dict[str, list[Case]], rule: Rule) -> None:
    emulated = next(iter(rule.candidates))
    for trial in try_rule(rule, cases[rule.name]):
        assert emulated in trial.chosen and trial.tried_on >= 2
        assert trial.right == trial.tried_on


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_all_cases_together_leave_one_candidate(cases: dict[str, list[Case]], rule: Rule) -> None:
    left = [
        name
        for name, answer in rule.candidates.items()
        if all(answer(case.facts) == case.answer for case in cases[rule.name])
    ]
    assert left == [next(iter(rule.candidates))]
