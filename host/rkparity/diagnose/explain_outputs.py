"""The outputs an application has, from every source there is, explained one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.comparison import Comparison
from rkparity.compare.dumps import DumpSet, open_dumps
from rkparity.compare.levels import erased_group
from rkparity.compare.source import TensorSource
from rkparity.diagnose.outputs.explain import explain_output
from rkparity.diagnose.outputs.findings import finding_of
from rkparity.diagnose.outputs.records import ExpectedOutput, ObservedOutput
from rkparity.diagnose.outputs.sources import expected_outputs, file_outputs, run_outputs, trace_outputs
from rkparity.errors import UsageError
from rkparity.findings.finding import Finding
from rkparity.model.records import Model
from rkparity.runs import RunReader
from rkparity.runs.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.diagnose.diagnose import Material


def output_findings(
    comparison: Comparison,
    dumps_path: Path,
    dumps: DumpSet,
    reference: TensorSource,
    material: Material,
    notes: list[str],
) -> Iterable[Finding]:
    """A finding for every output that the application does not have as the runtime's OutputOperator dump has it.

    Without such dumps the simulator's outputs are the measure, as long as the input is the simulator's.
    """
    sources = _sources(dumps_path, material)
    if material.model is None:
        if sources:
            notes.append("the outputs are not looked at: --model says what they should be")
        return
    if not sources:
        return
    expected = expected_outputs(dumps, reference, material.model)
    known = {item.index: item for item in expected}
    untold = [item.name for item in expected if not item.exact]
    if untold and comparison.blamed_input is not None:
        notes.append("the outputs are not looked at: no OutputOperator dump, and the input is not the simulator's")
        return
    reported: set[tuple[int, str]] = set()
    for outputs, earlier in sources:
        for observed in outputs:
            target = known.get(observed.index)
            if target is None:
                notes.append(
                    f"{observed.source}: the model has no output {observed.index}, or nothing to compare it with"
                )
                continue
            finding = _explain(observed, target, expected, earlier)
            if finding is not None and (observed.index, finding.id) not in reported:
                reported.add((observed.index, finding.id))
                yield finding


def with_erased_outputs(
    comparison: Comparison, reference: TensorSource, golden: TensorSource | None, model: Model | None
) -> Comparison:
    """The comparison with the outputs of which the simulator, and so the board, has lost a part to one common scale."""
    if golden is None or model is None:
        return comparison
    simulated = {item.name: item for item in reference.manifest.tensors}
    known = {item.name: item for item in golden.manifest.tensors}
    faults = []
    for tensor in model.output_tensors:
        found, wanted = simulated.get(tensor.name), known.get(tensor.name)
        if found is None or wanted is None or not tensor.is_quantized or len(tensor.scale) != 1:
            continue
        group = erased_group(golden.tensor(wanted), reference.tensor(found), tensor.scale[0])
        if group is not None:
            faults.append(f"output {tensor.name} of the simulator and the board alike: {group.text}")
    return replace(comparison, output_faults=(*comparison.output_faults, *faults))


def with_run_outputs(comparison: Comparison, dumps: Path, reference: TensorSource, model: Model | None) -> Comparison:
    """The comparison with what is wrong in the outputs that the run itself kept (`outputs/`), element by element."""
    if model is None or not (dumps / MANIFEST_NAME).is_file():
        return comparison
    kept = run_outputs(RunReader.open(dumps))
    if not kept:
        return comparison
    found = open_dumps(dumps)
    expected = expected_outputs(found, reference, model.for_dumps(entry.name.raw for entry in found.entries))
    exact = {item.index: item for item in expected if item.exact}
    findings = [_explain(item, exact[item.index], expected, ()) for item in kept if item.index in exact]
    faults = [f"kept {item.title}" for item in findings if item is not None]
    return replace(comparison, output_faults=(*comparison.output_faults, *faults))


def _explain(
    observed: ObservedOutput,
    target: ExpectedOutput,
    expected: Sequence[ExpectedOutput],
    earlier: Sequence[tuple[str, int, NDArray[Any]]],
) -> Finding | None:
    others = [item for item in expected if item.index != target.index]
    before = [(name, array) for name, index, array in earlier if index == observed.index]
    return finding_of(explain_output(observed, target, others, before))


_Source = tuple[Sequence[ObservedOutput], Sequence[tuple[str, int, "NDArray[Any]"]]]


def _sources(dumps_path: Path, material: Material) -> list[_Source]:
    """Outputs to explain, each with what earlier runs of the same program gave."""
    found: list[_Source] = []
    if (dumps_path / MANIFEST_NAME).is_file():
        kept = run_outputs(RunReader.open(dumps_path))
        if kept:
            found.append((kept, ()))
    for trace in material.traces:
        runs = trace_outputs(trace)
        if runs:
            # Dumps are of the last run; what earlier runs gave tells a stale output.
            earlier = [(item.source, item.index, item.values) for run in runs[:-1] for item in run]
            found.append((runs[-1], earlier))
    if material.outputs:
        given = file_outputs(material.outputs)
        if material.model is not None and len(given) > len(material.model.outputs):
            raise UsageError(
                f"{len(given)} output files for a model with {len(material.model.outputs)} outputs",
                hint="give one file per model output, in the model's order",
            )
        found.append((given, ()))
    return found
