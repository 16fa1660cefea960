"""Outputs too small to be compared are told apart from outputs that are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rkparity.findings.finding import Severity
from rkparity.flow.fp16.no_answer import no_answer, nothing_judged, silent_outputs
from rkparity.flow.result import StageVerdict

TINY = np.array([1e-7, 3e-7], np.float32)
ONES = np.ones(2, np.float32)


def test_an_output_is_silent_when_every_side_says_nothing() -> None:
    original = {"score": TINY, "box": ONES}
    assert list(silent_outputs(original, {"s": TINY * 2, "b": ONES}, {"s": TINY, "b": ONES})) == ["s"]
    # A toolkit that answers where the original does not, or the other way round, is judged.
    assert silent_outputs(original, {"s": ONES, "b": ONES}, {"s": TINY, "b": ONES}) == {}
    assert silent_outputs({"score": ONES}, {"s": TINY}, {"s": TINY}) == {}


def test_zeros_nan_and_whole_numbers_are_judged() -> None:
    zeros, nan = np.zeros(2, np.float32), np.array([np.nan, 1e-9], np.float32)
    assert silent_outputs({"a": zeros}, {"a": zeros}, {"a": zeros}) == {}
    assert silent_outputs({"a": TINY}, {"a": nan}, {"a": TINY}) == {}
    assert silent_outputs({"a": nan}, {"a": nan}, {"a": nan}) == {}
    whole = np.zeros(2, np.int64)
    assert silent_outputs({"a": whole}, {"a": whole}, {"a": whole}) == {}


def test_nothing_compared_is_no_pass() -> None:
    finding = no_answer({"score": 3e-7})
    assert finding.severity is Severity.WARNING and "at most 3e-07" in finding.title
    result = nothing_judged(finding, (), {}, 0)
    assert result.verdict is StageVerdict.INCOMPLETE
    assert "a sample that holds what the model looks for" in result.next_action
    wrong = replace(finding, id="config.outputs", title="names")
    failed = nothing_judged(finding, (wrong,), {}, 0)
    assert (failed.verdict, failed.facts[0]) == (StageVerdict.FAIL, "names")
