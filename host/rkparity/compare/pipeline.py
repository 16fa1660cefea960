"""compare_runs: from a folder of dumps and a reference to a Comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rkparity.compare.align import align
from rkparity.compare.alignment import LayerPair, PairRole
from rkparity.compare.ancestry import Ancestry, Seen
from rkparity.compare.comparison import Comparison, NotCompared, PairResult
from rkparity.compare.discrete import DiscreteCheck
from rkparity.compare.dumps import DumpSet, open_dumps
from rkparity.compare.gaps import list_gaps
from rkparity.compare.input_evidence import gather
from rkparity.compare.inputs import InputProof, prove_input
from rkparity.compare.judge import Incoming, Judgement, Kind, judge
from rkparity.compare.kernels import ShapeMismatch
from rkparity.compare.local_run import OwnJudge, decide
from rkparity.compare.own_error import OwnError
from rkparity.compare.scoring import Scored, Scorer
from rkparity.compare.shape_sets import at_reference_shapes
from rkparity.compare.source import TensorSource
from rkparity.compare.threads import in_threads
from rkparity.compare.thresholds import Thresholds
from rkparity.compare.verdict import Origin, Verdict
from rkparity.compare.versions import collect_versions, fit_model, version_warnings
from rkparity.errors import DataError, UsageError
from rkparity.model.records import Model
from rkparity.runs.store import RunReader

_MOST_THREADS = 2
_INPUT_ROLES = (PairRole.INPUT, PairRole.DUPLICATE_INPUT)
# A ShapeMismatch is a DataError.
_REFUSED = ((ShapeMismatch, "shape-mismatch"), (DataError, "damaged-file"), (UsageError, "type"))


def compare_runs(
    dumps: Path | RunReader,
    reference: TensorSource,
    *,
    model: Model | None = None,
    golden: TensorSource | None = None,
    local: TensorSource | None = None,
    thresholds: Thresholds | None = None,
    per_channel: Sequence[str] = (),
) -> Comparison:
    """Compares a board's dumps with the simulator's run of the same model, layer by layer; see docs/compare-dumps.md.

    `dumps` is a folder of dump files or a board run. With `model` (the `.rknn` the board ran) names, scales, mean/std
    and the graph are known; without it alignment is by name and own errors are told from inherited ones by order alone.
    `golden` is the float run of the same conversion: it tells accumulated quantisation error from a fault.
    `local` is the simulator's run of every layer on the board's own inputs: with it each layer is judged by itself.
    `per_channel` are globs on tensor names whose channels are scored one by one.

    Raises UsageError when the folder holds no dumps, nothing can be compared or `model` is not what made the dumps.
    Damaged and missing dumps do not raise: they are listed as not compared.
    """
    thresholds = thresholds or Thresholds()
    found, several = at_reference_shapes(open_dumps(dumps), reference.manifest, model)
    entries = sorted((*found.entries, *(item.entry for item in found.damaged)), key=lambda entry: entry.file)
    if model is not None:
        model = fit_model(entries, model)
    alignment = align(entries, reference.manifest, model)
    damaged = {item.entry.file for item in found.damaged}
    usable = [pair for pair in alignment.pairs if pair.dump.file not in damaged]
    outcome = _Comparer(found, reference, golden, model, thresholds).run(usable, local)
    if (
        not outcome.results
        and outcome.not_compared
        and all(item.reason == "shape-mismatch" for item in outcome.not_compared)
    ):
        raise UsageError(
            f"{found.folder}: no dump has the shape of its reference tensor: {outcome.not_compared[0].detail}",
            hint="the reference was made for another input size or another model",
        )
    results = _with_channels(outcome.results, per_channel, outcome.scorer, usable)
    layers = [(pair.tensor.name, pair.dump.name.op_type) for pair in alignment.pairs]
    strange = [name for name in found.others if name.endswith(".npy")]
    misfits = sorted(outcome.scorer.golden_misfits)
    warnings = [
        *version_warnings(found.manifest, reference.manifest, model),
        *several,
        *alignment.warnings,
        *(model.warnings if model is not None else ()),
        *([f"{len(strange)} .npy files are not named like dumps, such as {strange[0]}"] if strange else []),
        *([f"golden has another shape for {len(misfits)} tensors, such as {misfits[0]!r}"] if misfits else []),
        *(f"{file}: {text}" for file, text in sorted(found.mismatched.items())),
        *(
            f"{thresholds.source}: the rule match = {rule.match!r}, op = {rule.op!r} fits no layer"
            for rule in thresholds.unused(layers)
        ),
    ]
    return Comparison(
        dumps_path=str(found.folder),
        reference_path=str(reference.path),
        inputs=tuple(result.proof for result in results if result.proof is not None),
        pairs=results,
        not_compared=(*outcome.not_compared, *list_gaps(found, alignment, reference.manifest, model)),
        thresholds=thresholds,
        warnings=tuple(dict.fromkeys(warnings)),
        suggestions=alignment.suggestions,
        versions=collect_versions(found.manifest, reference.manifest, model),
        model_path=str(model.path) if model is not None else None,
        golden_path=str(golden.path) if golden is not None else None,
        local_path=str(local.path) if local is not None else None,
        emulated=bool(found.manifest and found.manifest.emulated),
    )


@dataclass(frozen=True)
class _Looked:
    """A pair's scores end to end, and its own error where there is a local run."""

    scored: Scored
    own: OwnError | None


@dataclass(frozen=True)
class _Outcome:
    results: list[PairResult]
    not_compared: list[NotCompared]
    scorer: Scorer


class _Comparer:
    def __init__(
        self,
        dumps: DumpSet,
        reference: TensorSource,
        golden: TensorSource | None,
        model: Model | None,
        thresholds: Thresholds,
    ) -> None:
        self._dumps = dumps
        self._reference = reference
        self._model = model
        self._thresholds = thresholds
        self._scorer = Scorer(dumps, reference, golden)
        self._ancestry = Ancestry(model)
        self._own: OwnJudge | None = None
        self._discrete = DiscreteCheck(dumps, model, self._scorer, ())

    def run(self, pairs: Sequence[LayerPair], local: TensorSource | None) -> _Outcome:
        self._discrete = DiscreteCheck(self._dumps, self._model, self._scorer, pairs)
        self._own = OwnJudge(self._dumps, local, self._scorer, pairs) if local is not None else None
        results: list[PairResult] = []
        not_compared: list[NotCompared] = []
        # The kernels release the GIL. Reading is most of the work, so the largest go first and none is left to the end.
        by_size = sorted(pairs, key=lambda pair: -self._dumps.headers[pair.dump.file].nbytes)
        found = in_threads(self._look, by_size, min(_MOST_THREADS, os.cpu_count() or 1))
        # Judging needs execution order.
        in_order = sorted(zip(by_size, found), key=lambda item: (item[0].dump.name.index, item[0].dump.file))
        for pair, seen in in_order:
            if isinstance(seen, InputProof):
                results.append(self._input(pair, seen))
            elif isinstance(seen, _Looked):
                results.append(self._layer(pair, seen.scored, seen.own))
            else:
                reason = next(reason for kind, reason in _REFUSED if isinstance(seen, kind))
                not_compared.append(NotCompared(pair.dump.file, pair.tensor.name, reason, seen.message, True))
        not_compared += [_nothing_finite(result) for result in results if _is_nothing_finite(result)]
        not_compared += [
            NotCompared(result.dump, result.tensor, "input-not-proven", result.proof.text, True)
            for result in results
            if result.proof is not None and result.proof.verdict is Verdict.NOT_COMPARED
        ]
        return _Outcome(results, not_compared, self._scorer)

    def _look(self, pair: LayerPair) -> InputProof | _Looked | DataError | UsageError:
        """What the two files say, or why they cannot be compared; called from several threads."""
        try:
            if pair.role in _INPUT_ROLES:
                return prove_input(gather(pair, self._dumps, self._reference, self._model))
            scored = self._scorer.score(pair)
            return _Looked(scored, self._own.judge(pair, scored) if self._own is not None else None)
        except (DataError, UsageError) as error:
            return error

    def _input(self, pair: LayerPair, proof: InputProof) -> PairResult:
        self._ancestry.remember(pair.dump.name.index, pair.dump.name.tensor, Seen(proof.verdict, proof.relative_error))
        reason = f"{proof.text}: {proof.explanation}" if proof.explanation else proof.text
        kind = self._scorer.kind(pair)
        return PairResult(
            pair.dump.file,
            pair.tensor.name,
            pair.match_rule,
            pair.role,
            pair.dump.name.op_type,
            pair.dump.name.index,
            self._dumps.headers[pair.dump.file].shape,
            kind,
            proof.verdict,
            (reason,),
            note=self._note(pair),
            proof=proof,
        )

    def _layer(self, pair: LayerPair, scored: Scored, own: OwnError | None) -> PairResult:
        name = pair.dump.name
        limits = self._thresholds.for_layer(pair.tensor.name, name.op_type)
        above = self._ancestry.inputs_of(name.index)
        incoming = Incoming(
            max((seen.relative_error for seen in above), default=0.0),
            any(seen.verdict is Verdict.FAIL for seen in above),
        )
        judgement = judge(
            scored.stats, scored.kind, limits, scale=scored.scale, incoming=incoming, golden=scored.golden
        )
        follows = ""
        if scored.kind is Kind.INTEGER and judgement.verdict is Verdict.FAIL:
            follows = self._discrete.follows(pair)
        if follows:
            judgement, origin = Judgement(Verdict.WARN, (follows, *judgement.reasons)), Origin.NONE
        elif own is not None:
            decided = decide(judgement, own, incoming, scored.stats, scored.kind)
            judgement, origin = decided.judgement, decided.origin
        else:
            origin = self._ancestry.origin(name.index) if judgement.verdict is Verdict.FAIL else Origin.NONE
        error = scored.stats.relative_euclidean
        self._ancestry.remember(name.index, name.tensor, Seen(judgement.verdict, error if error == error else 0.0))
        return PairResult(
            pair.dump.file,
            pair.tensor.name,
            pair.match_rule,
            pair.role,
            name.op_type,
            name.index,
            self._dumps.headers[pair.dump.file].shape,
            scored.kind,
            judgement.verdict,
            judgement.reasons,
            scored.stats,
            scored.scale,
            scored.scale_source,
            scored.golden,
            origin,
            self._note(pair),
            own=own,
        )

    def _note(self, pair: LayerPair) -> str:
        notes = [pair.note] if pair.note else []
        shape = self._dumps.headers[pair.dump.file].shape
        if pair.role not in _INPUT_ROLES and shape != pair.tensor.shape:
            notes.append(f"shape {list(shape)} against {list(pair.tensor.shape)}: only dimensions of 1 differ")
        if pair.dump.file in self._dumps.mismatched:
            notes.append(self._dumps.mismatched[pair.dump.file])
        return "; ".join(notes)


def _is_nothing_finite(result: PairResult) -> bool:
    """An output that is NaN or Inf throughout, on both sides: equal, and nothing was shown by it."""
    stats = result.stats
    nothing = stats is not None and stats.n > 0 and stats.n_finite == 0 and not stats.nonfinite_mismatch
    return nothing and result.role is PairRole.OUTPUT


def _nothing_finite(result: PairResult) -> NotCompared:
    assert result.stats is not None
    text = (
        f"all {result.stats.n} elements are NaN or Inf, in the simulator as on the board: the model leaves the "
        "range of its numbers before this output"
    )
    return NotCompared(result.dump, result.tensor, "not-finite", text, True)


def _with_channels(
    results: list[PairResult], globs: Sequence[str], scorer: Scorer, pairs: Sequence[LayerPair]
) -> tuple[PairResult, ...]:
    by_file = {pair.dump.file: pair for pair in pairs}
    for glob in globs:
        if not any(_fits(result, glob) for result in results):
            raise UsageError(
                f"--per-channel {glob}: no compared layer has this name",
                hint="give a tensor's name or a dump's file name, or a glob on either; --all lists them",
            )
    return tuple(
        replace(result, channels=scorer.channels(by_file[result.dump], result.scale))
        if result.stats is not None and any(_fits(result, glob) for glob in globs)
        else result
        for result in results
    )


def _fits(result: PairResult, glob: str) -> bool:
    return result.stats is not None and any(
        name == glob or fnmatchcase(name, glob) for name in (result.tensor, result.dump)
    )
