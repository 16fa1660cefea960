"""Finds what was done to a model's input: the change that turns the expected input into the observed one."""

from rkparity.diagnose.inputs.explain import explain_input
from rkparity.diagnose.inputs.problem import (
    ExpectedInput,
    InputExplanation,
    InputHypothesis,
    ObservedInput,
    Step,
)

__all__ = ["ExpectedInput", "InputExplanation", "InputHypothesis", "ObservedInput", "Step", "explain_input"]
