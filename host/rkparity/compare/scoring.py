"""Scoring one aligned pair: what the values are, in what step to count, and which files to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import LayerPair
from rkparity.compare.dumps import DumpSet
from rkparity.compare.file_scores import TensorFile, begin_apart, score_files, score_together
from rkparity.compare.input_rules import grid_step
from rkparity.compare.judge import Golden, Kind
from rkparity.compare.kernels import (
    Quantization,
    ScoreOptions,
    grid_ends,
    score_arrays,
    score_channels,
)
from rkparity.compare.source import TensorSource
from rkparity.compare.statistics import PairStatistics
from rkparity.errors import DataError, UsageError
from rkparity.runs.dump_names import DumpSuffix
from rkparity.runs.manifest import Precision, TensorRecord
from rkparity.runs.npy import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTIZED_DTYPES = ("int4", "int8", "uint8", "int16")
_INTEGER_DTYPES = ("int32", "int64", "uint32", "uint64", "bool")
_RAW_SUFFIXES = (DumpSuffix.INT8, DumpSuffix.UINT8)


@dataclass(frozen=True)
class Scored:
    """A pair's scores, and in what terms they were counted."""

    stats: PairStatistics
    kind: Kind
    scale: float | None
    scale_source: str
    golden: Golden | None


class Scorer:
    """Reads and scores pairs of one comparison; safe to use from several threads."""

    def __init__(self, dumps: DumpSet, reference: TensorSource, golden: TensorSource | None) -> None:
        self._dumps = dumps
        self._reference = reference
        self._golden = golden
        self.golden_misfits: list[str] = []
        self._golden_tensors = {record.name: record for record in golden.manifest.tensors} if golden is not None else {}

    def kind(self, pair: LayerPair) -> Kind:
        """What the tensor's values are on the NPU, as far as names and manifests tell."""
        if pair.native_dtype:
            if pair.native_dtype in _INTEGER_DTYPES:
                return Kind.INTEGER
            return Kind.QUANTIZED if pair.native_dtype in _QUANTIZED_DTYPES and pair.scale else Kind.FLOAT
        if pair.tensor.dtype in _INTEGER_DTYPES or pair.dump.name.suffix in (DumpSuffix.INT32, DumpSuffix.INT64):
            return Kind.INTEGER
        return Kind.QUANTIZED if pair.scale else Kind.FLOAT

    def score(self, pair: LayerPair) -> Scored:
        """Scores one pair. Raises DataError for damaged files, ShapeMismatch, UsageError for values it cannot read."""
        test = TensorFile(self._dumps.path(pair.dump), self.quantization(pair))
        reference = TensorFile(self._reference_file(self._reference, pair.tensor))
        kind = self.kind(pair)
        scale, source = _step(pair), ""
        if scale is not None:
            source = "model" if pair.native_dtype else "reference"
        elif kind is Kind.FLOAT and not pair.native_dtype and self._is_quantized_run():
            scale = grid_step(open_npy(reference.path))
            if scale is not None:
                kind, source = Kind.QUANTIZED, "values"
        options = ScoreOptions(scale=scale if kind is Kind.QUANTIZED else None)
        stats, golden = self._scores(test, reference, pair.tensor, options, with_golden=kind is not Kind.INTEGER)
        if kind is Kind.QUANTIZED and scale is not None and _leaves_grid(stats, pair, scale):
            stats = self._on_grid(test, reference, pair, options)
        return Scored(stats, kind, options.scale, source, golden)

    @staticmethod
    def _on_grid(test: TensorFile, reference: TensorFile, pair: LayerPair, options: ScoreOptions) -> PairStatistics:
        """The scores against the reference cut to the tensor's grid, which is all the NPU can hold."""
        assert options.scale is not None
        board = open_npy(test.path)
        expected = on_grid(open_npy(reference.path).reshape(board.shape), pair, options.scale)
        return score_arrays(board, expected, options, test_quantization=test.quantization)

    def channels(self, pair: LayerPair, scale: float | None) -> tuple[PairStatistics, ...]:
        """The scores of every channel (axis 1 of a tensor of two or more dimensions; the whole otherwise)."""
        test = open_npy(self._dumps.path(pair.dump))
        reference = open_npy(self._reference_file(self._reference, pair.tensor)).reshape(test.shape)
        axis = 1 if test.ndim > 1 else 0
        options = ScoreOptions(scale=scale)
        return score_channels(test, reference, axis, options, test_quantization=self.quantization(pair))

    def _is_quantized_run(self) -> bool:
        return self._reference.manifest.precision is Precision.QUANTIZED

    def quantization(self, pair: LayerPair) -> Quantization | None:
        """How a raw dump's integers become values; None for a dump of values. UsageError when no scale is known."""
        if pair.dump.name.suffix not in _RAW_SUFFIXES or self.kind(pair) is Kind.INTEGER:
            return None
        if len(pair.scale) != 1 or len(pair.zero_point) != 1:
            raise UsageError(
                f"{pair.dump.file}: holds raw {pair.dump.name.suffix.value} values and the tensor's scale is not known"
            )
        return Quantization(pair.scale[0], pair.zero_point[0])

    @staticmethod
    def _reference_file(source: TensorSource, record: TensorRecord) -> Path:
        path = source.file(record.file)
        if not path.is_file():
            raise DataError(f"{path}: the reference's tensor {record.name!r} is missing")
        return path

    def _scores(
        self, test: TensorFile, reference: TensorFile, record: TensorRecord, options: ScoreOptions, *, with_golden: bool
    ) -> tuple[PairStatistics, Golden | None]:
        """Golden is looked at only for a pair that differs; one that begins to at once is read once for all of it."""
        if with_golden and self._golden is not None and begin_apart(test, reference, ignore_unit_dims=True):
            golden = self._golden_file(self._golden, record)
            if golden is not None:
                pairs = [(0, 1, options), (0, 2, options), (1, 2, options)]
                stats, board, simulator = score_together([test, reference, golden], pairs, ignore_unit_dims=True)
                return stats, _golden(board, simulator)
            return score_files(test, reference, options, ignore_unit_dims=True), None
        stats = score_files(test, reference, options, ignore_unit_dims=True)
        if not with_golden or self._golden is None or stats.equal == stats.n:
            return stats, None
        golden = self._golden_file(self._golden, record)
        if golden is None:
            return stats, None
        board, simulator = score_together(
            [test, reference, golden], [(0, 2, options), (1, 2, options)], ignore_unit_dims=True
        )
        return stats, _golden(board, simulator)

    def _golden_file(self, source: TensorSource, record: TensorRecord) -> TensorFile | None:
        golden = self._golden_tensors.get(record.name)
        # A tensor cut to the next operator's range in the simulator and on the board is whole in golden.
        if golden is None or record.not_comparable:
            return None
        if [dim for dim in golden.shape if dim != 1] != [dim for dim in record.shape if dim != 1]:
            self.golden_misfits.append(record.name)
            return None
        return TensorFile(self._reference_file(source, golden))


def _golden(board: PairStatistics, simulator: PairStatistics) -> Golden:
    defined = simulator.euclidean > 0 and board.euclidean == board.euclidean
    ratio = board.euclidean / simulator.euclidean if defined else None
    return Golden(board.relative_euclidean, simulator.relative_euclidean, simulator.max_abs_error, ratio)


def _step(pair: LayerPair) -> float | None:
    return pair.scale[0] if len(pair.scale) == 1 and pair.scale[0] > 0 else None


def _ends(pair: LayerPair, scale: float) -> tuple[float, float] | None:
    """The ends of the tensor's grid, None when its type or zero point is not known."""
    if pair.native_dtype not in ("int8", "uint8", "int16") or len(pair.zero_point) != 1:
        return None
    return grid_ends(pair.native_dtype, Quantization(scale, pair.zero_point[0]))


def _leaves_grid(stats: PairStatistics, pair: LayerPair, scale: float) -> bool:
    ends = _ends(pair, scale)
    if ends is None or stats.equal == stats.n:
        return False
    return stats.reference.minimum < ends[0] - scale or stats.reference.maximum > ends[1] + scale


def on_grid(values: NDArray[Any], pair: LayerPair, scale: float) -> NDArray[Any]:
    """`values` on the grid of the pair's tensor: cut at its ends, rounded to its steps. NaN stays."""
    import numpy as np

    ends = _ends(pair, scale)
    steps: NDArray[Any] = np.rint(values / np.float32(scale)) * np.float32(scale)
    # What is on the grid already keeps its very float.
    rounded = np.where(np.abs(steps - values) < 1e-3 * scale, values, steps)
    return rounded if ends is None else np.clip(rounded, np.float32(ends[0]), np.float32(ends[1]))
