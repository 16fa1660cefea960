"""One run against another: input proof, scores, verdicts, first divergence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rkparity.compare.alignment import MatchRule, PairRole, Suggestion
from rkparity.compare.inputs import InputProof
from rkparity.compare.judge import Golden, Kind
from rkparity.compare.own_error import OwnError
from rkparity.compare.statistics import PairStatistics
from rkparity.compare.thresholds import Thresholds
from rkparity.compare.verdict import Origin, Verdict
from rkparity.errors import ExitCode


@dataclass(frozen=True)
class PairResult:
    """One dump and its reference tensor, scored and judged.

    `order` is the operator's number in execution order. `scale` is the LSB the pair was judged in, None for float;
    `scale_source` says where it is from ("model", "reference", "values"). Inputs have `proof` instead of `stats`.
    `channels` is filled on demand. `own` is the layer's own error where there is a local run.
    """

    dump: str
    tensor: str
    match_rule: MatchRule
    role: PairRole
    op_type: str
    order: int
    shape: tuple[int, ...]
    kind: Kind
    verdict: Verdict
    reasons: tuple[str, ...]
    stats: PairStatistics | None = None
    scale: float | None = None
    scale_source: str = ""
    golden: Golden | None = None
    origin: Origin = Origin.NONE
    note: str = ""
    proof: InputProof | None = None
    channels: tuple[PairStatistics, ...] = ()
    own: OwnError | None = None


@dataclass(frozen=True)
class NotCompared:
    """A dump or a reference tensor nothing was said about. `expected`: a whole comparison would have compared it."""

    dump: str | None
    tensor: str | None
    reason: str
    detail: str
    expected: bool


@dataclass(frozen=True)
class Comparison:
    """Everything a comparison found; pairs in execution order.

    `local_path` is the local run that judged the layers, `local_note` why there is none although something differs.
    `output_faults` says what is wrong with the outputs the run kept, against its own OutputOperator dumps, and with
    outputs that lost a part in the simulator already.
    `versions` has one mapping per side ("dumps", "reference", "model", "rkparity"). `emulated`: the dumps are of the
    emulated runtime.
    """

    dumps_path: str
    reference_path: str
    inputs: tuple[InputProof, ...]
    pairs: tuple[PairResult, ...]
    not_compared: tuple[NotCompared, ...]
    thresholds: Thresholds
    warnings: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_path: str | None = None
    golden_path: str | None = None
    local_path: str | None = None
    local_note: str = ""
    output_faults: tuple[str, ...] = ()
    emulated: bool = False

    @property
    def end_to_end_only(self) -> str:
        """What was not proven for want of a local run, and how large a fault may hide; empty when nothing is open."""
        scored = [pair for pair in self.pairs if pair.stats is not None and pair.stats.equal != pair.stats.n]
        if self.local_path is not None or not scored or self.blamed_input is not None:
            return ""
        unseen = [pair for pair in scored if pair.verdict is not Verdict.FAIL and pair.kind is not Kind.INTEGER]
        text = "end to end only" + (f" ({self.local_note})" if self.local_note else "")
        text += ": no layer was judged on the board's own inputs"
        worst = max(unseen, key=_relative, default=None)
        if worst is not None and _relative(worst) > 0:
            text += (
                f"; a fault that changes a layer by less than {_relative(worst):.2g} of its size "
                f"(the difference at {worst.tensor}) cannot be told from rounding that adds up"
            )
        return text

    @property
    def incomplete(self) -> tuple[NotCompared, ...]:
        """What should have been compared and was not."""
        return tuple(item for item in self.not_compared if item.expected)

    @property
    def blamed_input(self) -> InputProof | None:
        """The first input known to differ, if any: then the layers say nothing about the runtime."""
        return next((proof for proof in self.inputs if proof.verdict is Verdict.FAIL), None)

    @property
    def first_divergence(self) -> PairResult | None:
        """The first failing pair: inputs before everything else, then in execution order."""
        failing = [pair for pair in self.pairs if pair.verdict is Verdict.FAIL]
        return next((pair for pair in failing if pair.proof is not None), failing[0] if failing else None)

    @property
    def verdict(self) -> Verdict:
        """FAIL beats NOT_COMPARED (something expected is missing) beats WARN beats PASS."""
        verdicts = {pair.verdict for pair in self.pairs} | {proof.verdict for proof in self.inputs}
        if Verdict.FAIL in verdicts or self.output_faults:
            return Verdict.FAIL
        if self.incomplete:
            return Verdict.NOT_COMPARED
        return Verdict.WARN if Verdict.WARN in verdicts else Verdict.PASS

    @property
    def exit_code(self) -> ExitCode:
        """PASS also for warnings; ENVIRONMENT when nothing failed but something expected was not compared."""
        if self.verdict is Verdict.FAIL:
            return ExitCode.DIVERGENCE
        return ExitCode.ENVIRONMENT if self.verdict is Verdict.NOT_COMPARED else ExitCode.PASS

    def count(self, verdict: Verdict) -> int:
        """How many pairs got `verdict`."""
        return sum(pair.verdict is verdict for pair in self.pairs)

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        first = self.first_divergence
        proof = self.blamed_input
        if proof is not None:
            return f"the input differs: {proof.explanation or proof.text}"
        if first is not None:
            return f"first divergence at {first.dump} ({first.tensor}): {first.reasons[0]}"
        if self.output_faults:
            return f"the layers do not diverge, and yet an output is wrong: {self.output_faults[0]}"
        if self.incomplete:
            lost = self.incomplete[0]
            if lost.reason == "not-finite":
                return f"nothing can be said about output {lost.tensor}: {lost.detail}"
            return (
                f"nothing diverges, but {len(self.incomplete)} expected comparisons could not be made, "
                f"the first: {lost.dump or lost.tensor or ''} {lost.reason}"
            )
        layers = sum(pair.verdict is Verdict.WARN for pair in self.pairs if pair.proof is None)
        unproven = [proof.tensor for proof in self.inputs if proof.verdict is not Verdict.PASS]
        quantized = any(pair.kind is Kind.QUANTIZED for pair in self.pairs)
        explained = "rounding and quantisation explain" if quantized else "rounding explains"
        remarks = [f"{layers} layers differ by what {explained}"] if layers else []
        partly = [pair.tensor for pair in self.pairs if pair.role is PairRole.OUTPUT and _is_lost(pair)]
        remarks += [f"output {partly[0]} holds NaN or Inf on both sides"] if partly else []
        remarks += [f"the input {unproven[0]} is not proven equal"] if unproven else []
        if remarks:
            return f"no divergence; {' and '.join(remarks)}"
        return f"all {len(self.pairs)} dumps agree with the simulator"


def _relative(pair: PairResult) -> float:
    error = pair.stats.relative_euclidean if pair.stats is not None else 0.0
    return error if error == error else 0.0


def _is_lost(pair: PairResult) -> bool:
    return pair.stats is not None and pair.stats.n_finite < pair.stats.n
