"""A Comparison as JSON: the contract documented in docs/comparison-json.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rkparity.compare.comparison import Comparison, NotCompared, PairResult
from rkparity.compare.inputs import InputProof
from rkparity.compare.judge import Golden
from rkparity.compare.statistics import PairStatistics
from rkparity.compare.verdict import Verdict
from rkparity.errors import DataError, UsageError
from rkparity.io import check_output, is_standard_output, json_text, write_output

SCHEMA = "rkparity.comparison/1"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON values in a fixed order; null for NaN and Inf, which `special` then names."""
    first = comparison.first_divergence
    return {
        "schema": SCHEMA,
        "verdict": comparison.verdict.value,
        "exit_code": int(comparison.exit_code),
        "headline": comparison.headline,
        "emulated": comparison.emulated,
        "dumps": comparison.dumps_path,
        "reference": comparison.reference_path,
        "golden": comparison.golden_path,
        "local": comparison.local_path,
        "end_to_end_only": comparison.end_to_end_only,
        "model": comparison.model_path,
        "counts": {
            **{verdict.value: comparison.count(verdict) for verdict in Verdict},
            "pairs": len(comparison.pairs),
            "left_out": len(comparison.not_compared),
            "missing_expected": len(comparison.incomplete),
        },
        "first_divergence": None
        if first is None
        else {
            "dump": first.dump,
            "tensor": first.tensor,
            "op_type": first.op_type,
            "order": first.order,
            "role": first.role.value,
            "own_or_inherited": first.origin.value,
            "reasons": list(first.reasons),
        },
        "output_faults": list(comparison.output_faults),
        "input_proof": [_proof(proof) for proof in comparison.inputs],
        "pairs": [_pair(pair) for pair in comparison.pairs],
        "not_compared": [_not_compared(item) for item in comparison.not_compared],
        "suggestions": [
            {"dump": item.dump.file, "tensor": item.tensor.name, "text": item.text} for item in comparison.suggestions
        ],
        "thresholds": comparison.thresholds.to_json(),
        "versions": {side: dict(values) for side, values in comparison.versions.items()},
        "warnings": list(comparison.warnings),
    }


def check_writable(path: Path, *, force: bool) -> None:
    """Raises UsageError when the result could not be written to `path`; to be asked before the work is done."""
    if is_standard_output(path):
        return
    check_output(path, force=force, option="--json")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--json {path}: the folder {path.absolute().parent} does not exist", hint="make it first")


def write_json(comparison: Comparison, path: Path) -> None:
    """Writes the result under a temporary name and renames it: `path` is whole or untouched. Raises DataError."""
    write_document(to_json(comparison), path)


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Writes a JSON document whole, or leaves `path` untouched. Raises DataError."""
    write_output(path, json_text(document), failure=DataError)


def _pair(pair: PairResult) -> dict[str, Any]:
    return {
        "dump": pair.dump,
        "tensor": pair.tensor,
        "match_rule": pair.match_rule.value,
        "role": pair.role.value,
        "op_type": pair.op_type,
        "order": pair.order,
        "shape": list(pair.shape),
        "kind": pair.kind.value,
        "scale": pair.scale,
        "scale_source": pair.scale_source,
        "verdict": pair.verdict.value,
        "own_or_inherited": pair.origin.value,
        "reasons": list(pair.reasons),
        "note": pair.note,
        "scores": _scores(pair.stats),
        "own": None
        if pair.own is None
        else {
            "verdict": pair.own.verdict.value,
            "reasons": list(pair.own.reasons),
            "family": pair.own.family.value,
            "place": pair.own.place,
            "scores": _scores(pair.own.stats),
        },
        "against_golden": _golden(pair.golden),
        "channels": [_scores(channel) for channel in pair.channels],
    }


def _scores(stats: PairStatistics | None) -> dict[str, Any] | None:
    return None if stats is None else stats.to_json()


def _golden(golden: Golden | None) -> dict[str, Any] | None:
    if golden is None:
        return None
    numbers = {
        "board_relative_euclidean": golden.board_relative,
        "simulator_relative_euclidean": golden.simulator_relative,
        "simulator_max_abs_error": golden.simulator_max_abs,
        "ratio": golden.ratio,
    }
    return _plain(numbers)


def _proof(proof: InputProof) -> dict[str, Any]:
    return {
        "dump": proof.dump,
        "tensor": proof.tensor,
        "method": proof.method.value,
        "verdict": proof.verdict.value,
        "text": proof.text,
        "explanation": proof.explanation,
        "differing": proof.differing,
        "n": proof.n,
        "exact": proof.exact,
        "unit": proof.unit,
        **_plain({"max_error": proof.max_error, "relative_error": proof.relative_error}),
        "fit": [[_number(value) for value in pair] for pair in proof.fit],
    }


def _not_compared(item: NotCompared) -> dict[str, Any]:
    return {
        "dump": item.dump,
        "tensor": item.tensor,
        "reason": item.reason,
        "detail": item.detail,
        "expected": item.expected,
    }


def _plain(numbers: dict[str, float | None]) -> dict[str, Any]:
    special = {name: str(value) for name, value in numbers.items() if value is not None and not math.isfinite(value)}
    return {**{name: _number(value) for name, value in numbers.items()}, "special": special}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
