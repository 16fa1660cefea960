"""Simulations and samples that several stages need, kept in the project's store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError, UsageError
from rkparity.flow.store import key_of
from rkparity.runs import Role, RunReader
from rkparity.toolkit.hybrid import source_operators
from rkparity.toolkit.inputs import PreparedInput, prepare_inputs
from rkparity.toolkit.simulate import GOLDEN_NAME, QAT_NOTE, SIMULATOR_NAME, Simulation, simulate
from rkparity.toolkit.spec import Framework

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.flow.context import Context
    from rkparity.toolkit.built_model import BuiltModel, GraphInput
    from rkparity.toolkit.spec import BuildSpec


@dataclass(frozen=True)
class OutputScore:
    """One output against its reference: `cosine` over the finite part, `relative` = |difference| / |reference|."""

    name: str
    cosine: float
    relative: float
    max_abs_error: float
    nonfinite: int

    def passes(self, cosine: float) -> bool:
        """Finite, and no further from the reference than `cosine` allows: |d|/|r| <= sqrt(2 (1 - cosine)).

        The second says more than the cosine, which does not see a wrong scale.
        """
        return self.nonfinite == 0 and self.cosine >= cosine and self.relative <= math.sqrt(2 * (1 - cosine)) + 1e-6


def prepared_inputs(
    context: Context, built: BuiltModel, files: Sequence[Path] = (), *, name: str = "inputs"
) -> tuple[PreparedInput, ...]:
    """The project's sample (or `files`) as `built` takes it; raises as `prepare_inputs` does."""
    settings = context.project.input
    chosen = list(files or settings.files)
    return prepare_inputs(
        chosen,
        built.inputs,
        context.worker,
        context.worker.scratch / name,
        layout=_layout(chosen, built.inputs, settings.layout),
        resize=settings.resize,
    )


def _layout(files: Sequence[Path], graph: Sequence[GraphInput], layout: str | None) -> str | None:
    """The setting is for 4-D inputs; it must not be held against pictures, which are NHWC."""
    return layout if any(file.suffix == ".npy" for file in files) and any(len(i.shape) == 4 for i in graph) else None


def simulated(
    context: Context,
    built: BuiltModel,
    inputs: Sequence[PreparedInput],
    *,
    name: str,
) -> Simulation:
    """The golden and simulator runs of `built` on `inputs`, kept as step `name`; made when not there already."""
    key = key_of(
        files=[item.feed for item in inputs],
        spec=built.spec.to_json(),
        model=_model_key(built.spec),
        toolkit=built.toolkit_version,
    )
    folder = context.store.work(name, key)
    if (folder / SIMULATOR_NAME).is_dir():
        simulator = RunReader.open(folder / SIMULATOR_NAME)
        if (folder / GOLDEN_NAME).is_dir():
            return Simulation(RunReader.open(folder / GOLDEN_NAME), simulator)
        if QAT_NOTE in simulator.manifest.warnings:
            return Simulation(None, simulator)
    return simulate(context.worker, built, inputs, folder, force=True)


def trained_quantizers(context: Context) -> int:
    """How many QuantizeLinear operators an ONNX model brings: with some it was trained with quantisation (QAT)."""
    if context.project.model.framework != Framework.ONNX.value:
        return 0
    return source_operators(context.worker, context.project.model.file).get("QuantizeLinear", 0)


def _model_key(spec: BuildSpec) -> str:
    paths = [Path(path) for path in (spec.model, spec.weights, spec.dataset) if path is not None]
    return key_of(files=paths)


def run_outputs(run: RunReader, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The tensors `names` of a run; DataError when one is missing."""
    by_name = {record.name: record for record in run.manifest.tensors}
    found = {}
    for name in names:
        if name not in by_name:
            raise DataError(f"{run.path}: has no tensor {name!r}", hint="run `rkparity check --fresh`")
        found[name] = run.tensor(by_name[name])
    return found


def score_outputs(test: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]) -> tuple[OutputScore, ...]:
    """Scores outputs pairwise in their order. UsageError when their number or their sizes differ.

    The toolkit gives outputs other shapes than the framework (a Gemm's is (1, N, 1, 1)); the order of elements is the
    same, so only the number of elements must agree.
    """
    if len(test) != len(reference):
        raise UsageError(
            f"the build has {len(test)} outputs ({', '.join(test)}), the reference {len(reference)} "
            f"({', '.join(reference)})",
            hint="model.outputs must name the same tensors as the reference outputs",
        )
    scores = []
    for (name, array), (other, wanted) in zip(test.items(), reference.items()):
        if array.size != wanted.size:
            raise UsageError(
                f"output {name} has shape {array.shape}, the reference {other} has {wanted.shape}",
                hint="model.outputs must name the same tensors, in the same order, as the reference outputs",
            )
        scores.append(score(name, array, wanted))
    return tuple(scores)


def score(name: str, test: NDArray[Any], reference: NDArray[Any]) -> OutputScore:
    """Scores two arrays of as many elements."""
    import numpy as np

    from rkparity.compare.kernels import score_arrays

    def plain(array: NDArray[Any]) -> NDArray[Any]:
        flat = np.asarray(array).reshape(-1)
        return flat.astype(np.uint8) if flat.dtype.kind == "b" else np.ascontiguousarray(flat)

    found = score_arrays(plain(test), plain(reference))
    return OutputScore(name, found.cosine, found.relative_euclidean, found.max_abs_error, found.nonfinite_mismatch)


def output_names(run: RunReader) -> list[str]:
    """The names of a run's outputs, in execution order."""
    return [record.name for record in run.manifest.tensors if record.role is Role.OUTPUT]
