"""Accuracy of one build at its outputs, against the float32 outputs of the same model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rkparity.flow.quantized.samples import Sample
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.hybrid import OutputError
from rkparity.toolkit.worker_client import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

References = Sequence[Sequence["NDArray[Any]"]]


def measure(worker: Worker, built: BuiltModel, samples: Sequence[Sample], references: References) -> OutputError:
    """Runs every sample: squared relative error averaged over outputs and samples, smallest cosine of all."""
    return together(measure_each(worker, built, samples, references))


def measure_each(
    worker: Worker, built: BuiltModel, samples: Sequence[Sample], references: References
) -> list[OutputError]:
    """The same for each sample by itself."""
    return [
        together([output_error(*pair) for pair in zip(worker.outputs(built.model_id, sample.values), reference)])
        for sample, reference in zip(samples, references)
    ]


def together(errors: Sequence[OutputError]) -> OutputError:
    """Several errors as one: the mean of the squares, the smallest cosine."""
    return OutputError(math.fsum(item.squared for item in errors) / len(errors), min(item.cosine for item in errors))


def output_error(found: NDArray[Any], expected: NDArray[Any]) -> OutputError:
    """One output. Values that are NaN or infinite give an infinite error and cosine 0; float64 sums."""
    import numpy as np

    a, b = np.ravel(found).astype(np.float64), np.ravel(expected).astype(np.float64)
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if a.size != b.size or not (math.isfinite(norm_a) and math.isfinite(norm_b)):
        return OutputError(math.inf, 0.0)
    if norm_b == 0.0:
        return OutputError(0.0 if norm_a == 0.0 else math.inf, 1.0 if norm_a == 0.0 else 0.0)
    cosine = float(a @ b) / (norm_a * norm_b) if norm_a else 0.0
    return OutputError((float(np.linalg.norm(a - b)) / norm_b) ** 2, cosine)


def sqnr_db(error: OutputError) -> float:
    """Signal to quantisation noise in dB; infinite for no error."""
    return math.inf if error.squared == 0 else -10 * math.log10(error.squared)
