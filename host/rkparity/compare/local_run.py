"""The local run: every layer computed by the simulator on the board's own inputs, and what it says of each dump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import LayerPair, PairRole
from rkparity.compare.dumps import DumpSet
from rkparity.compare.file_scores import TensorFile, score_files
from rkparity.compare.judge import Incoming, Judgement, Kind
from rkparity.compare.kernels import Quantization, ScoreOptions, ShapeMismatch, score_arrays
from rkparity.compare.operator_rules import OPERATOR_RULES, rule_of
from rkparity.compare.own_error import OwnError, judge_own
from rkparity.compare.scoring import Scored, Scorer, on_grid
from rkparity.compare.source import TensorSource
from rkparity.compare.statistics import PairStatistics
from rkparity.compare.verdict import Origin, Verdict
from rkparity.errors import DataError, UsageError
from rkparity.runs.npy import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOVES = OPERATOR_RULES[0]


class OwnJudge:
    """Judges dumps by a local run; safe to use from several threads.

    An OutputOperator is judged by the layer's dump of its tensor, which is what it read.
    """

    def __init__(self, dumps: DumpSet, local: TensorSource, scorer: Scorer, pairs: Sequence[LayerPair]) -> None:
        self._dumps = dumps
        self._local = local
        self._scorer = scorer
        self._records = {item.name: item for item in local.manifest.tensors if not item.not_comparable}
        self._layers = {pair.tensor.name: pair for pair in pairs if pair.role is PairRole.LAYER}

    def judge(self, pair: LayerPair, scored: Scored) -> OwnError | None:
        """What the layer adds by itself; None where the local run has nothing to say about it."""
        expected = self._expected(pair)
        if expected is None:
            return None
        test = TensorFile(self._dumps.path(pair.dump), self._scorer.quantization(pair))
        options = ScoreOptions(scale=scored.scale)
        try:
            stats = score_files(test, expected, options, ignore_unit_dims=True)
        except (ShapeMismatch, DataError, UsageError):
            return None
        is_output = pair.role is PairRole.OUTPUT
        rule = _MOVES if is_output and pair.tensor.name in self._layers else rule_of(pair.dump.name.op_type)
        if stats.equal == stats.n:
            return OwnError(Verdict.PASS, (), stats, rule.family)
        board = _values(test)
        values = _values(expected).reshape(board.shape)
        if scored.kind is Kind.QUANTIZED and scored.scale:
            # The simulator keeps some tensors that it fuses as floats; the NPU has them on their grid.
            values = on_grid(values, pair, scored.scale)
            stats = score_arrays(board, values, options)
        return judge_own(stats, scored.kind, rule, scored.scale, board, values)

    def _expected(self, pair: LayerPair) -> TensorFile | None:
        if pair.role is PairRole.OUTPUT and pair.tensor.name in self._layers:
            layer = self._layers[pair.tensor.name]
            return TensorFile(self._dumps.path(layer.dump), self._scorer.quantization(layer))
        record = self._records.get(pair.tensor.name)
        if record is None:
            return None
        path = self._local.file(record.file)
        return TensorFile(path) if path.is_file() else None


def _values(file: TensorFile) -> NDArray[Any]:
    import numpy as np

    array: NDArray[Any] = open_npy(file.path)
    if file.quantization is not None:
        known: Quantization = file.quantization
        array = (array.astype(np.float32) - np.float32(known.zero_point)) * np.float32(known.scale)
    return array


@dataclass(frozen=True)
class LayerVerdict:
    """What own and end-to-end error make of a layer together."""

    judgement: Judgement
    origin: Origin


def decide(end_to_end: Judgement, own: OwnError, incoming: Incoming, total: PairStatistics, kind: Kind) -> LayerVerdict:
    """Own error decides about a layer; the end-to-end error only says whether a fault above still shows.

    A layer whose dump is nearer to the simulator's run than to what its own inputs' dumps give has read something else
    than these dumps: one of them is stale or of another layout, and the layer is not accused.
    """
    if own.verdict is Verdict.FAIL:
        if incoming.failed and total.relative_euclidean < 0.5 * own.stats.relative_euclidean:
            text = "agrees with the simulator and not with its inputs' dumps: a dump before it is not what it read"
            return LayerVerdict(Judgement(Verdict.WARN, (text, *own.reasons)), Origin.NONE)
        return LayerVerdict(Judgement(Verdict.FAIL, (*own.reasons, *end_to_end.reasons)), Origin.OWN)
    if end_to_end.verdict is Verdict.FAIL:
        error = f"own error {own.stats.relative_euclidean:.2g}" if kind is not Kind.INTEGER else "no own error"
        if incoming.failed:
            text = f"passes on what it read ({error}): {end_to_end.reasons[0]}"
            return LayerVerdict(Judgement(Verdict.FAIL, (text, *end_to_end.reasons[1:])), Origin.INHERITED)
        text = f"accumulated rounding: right on the board's own inputs ({error}); end to end {end_to_end.reasons[0]}"
        return LayerVerdict(Judgement(Verdict.WARN, (text, *end_to_end.reasons[1:])), Origin.NONE)
    if own.verdict is Verdict.WARN:
        return LayerVerdict(Judgement(Verdict.WARN, (*own.reasons, *end_to_end.reasons)), Origin.NONE)
    return LayerVerdict(end_to_end, Origin.NONE)
