"""Where FP16's rounding shows: in a handful of uncertain values, or everywhere."""

from __future__ import annotations

import numpy as np

from rkparity.findings.finding import Severity
from rkparity.flow.fp16.layers import concentration, simulator_wrong
from rkparity.flow.simulation import score


def test_a_near_tie_that_tips_is_told_from_a_layer_that_loses_precision() -> None:
    rng = np.random.default_rng(0)
    reference = rng.random(40000).astype(np.float32)
    reference[:4] = 40.0
    tipped = reference + rng.standard_normal(40000).astype(np.float32) * np.float32(1e-6)
    tipped[:2] = (43.0, 38.0)
    few = concentration(tipped, reference)
    assert (few.values, few.is_local) == (2, True)
    finding = simulator_wrong(None, score("y", tipped, reference), few, fails=False)
    assert finding.severity is Severity.WARNING
    assert "2 of 40000 values hold 90 percent" in finding.cause and "near tie" in finding.cause
    assert "other samples" in finding.fix
    spread = concentration(reference * np.float32(1.02), reference)
    assert spread.values > 10000 and not spread.is_local
    lost = simulator_wrong(None, score("y", reference * np.float32(1.02), reference), spread, fails=True)
    assert lost.severity is Severity.ERROR and "rewrite them" in lost.fix


def test_equal_and_not_finite_values_are_no_difference() -> None:
    same = np.ones(10, np.float32)
    assert concentration(same, same).values == 0
    broken = same.copy()
    broken[0] = np.nan
    broken[1] = 2
    assert concentration(broken, same).values == 1
