"""Everything that can be said about a run that departs from its reference: findings in the order data goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.comparison import Comparison
from rkparity.compare.dumps import DumpSet, open_dumps
from rkparity.compare.pipeline import compare_runs
from rkparity.compare.shape_sets import at_reference_shapes
from rkparity.compare.source import TensorSource
from rkparity.compare.thresholds import Thresholds
from rkparity.compare.verdict import Verdict
from rkparity.diagnose.explain_inputs import input_findings, not_taken
from rkparity.diagnose.explain_outputs import output_findings
from rkparity.diagnose.layers.checks import check_layers
from rkparity.diagnose.layers.facts import measure_layers
from rkparity.diagnose.log_lines import log_findings
from rkparity.diagnose.repeat.compare import Repetition, compare_repeats
from rkparity.diagnose.repeat.findings import repeat_findings
from rkparity.diagnose.versions import version_findings
from rkparity.errors import ExitCode, UsageError
from rkparity.findings.finding import Finding, FindingStage, Severity, diagnosis_json
from rkparity.model.records import Model
from rkparity.runs import RunReader
from rkparity.runs.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.trace import Trace

_STAGES = tuple(FindingStage)
_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFO)
# A difference is a difference, whether or not its cause is certain.
_ALWAYS_WRONG = ("output.", "repeat.")


@dataclass(frozen=True)
class Diagnosis:
    """The findings, the most upstream first; `notes` say what could not be looked at and why.

    `comparison` is the comparison behind them, None for runs compared with each other (`repetition`).
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    comparison: Comparison | None = None
    repetition: Repetition | None = None

    @property
    def exit_code(self) -> ExitCode:
        """DIVERGENCE when something is wrong, else what the comparison returns."""
        failed = self.comparison is not None and self.comparison.verdict is Verdict.FAIL
        wrong = any(
            finding.severity is Severity.ERROR
            or (finding.severity is Severity.WARNING and finding.id.startswith(_ALWAYS_WRONG))
            for finding in self.findings
        )
        if failed or wrong:
            return ExitCode.DIVERGENCE
        return self.comparison.exit_code if self.comparison is not None else ExitCode.PASS

    def to_json(self) -> dict[str, Any]:
        """The document of docs/diagnosis-json.md."""
        context: dict[str, object] = {"notes": list(self.notes), "exit_code": int(self.exit_code)}
        if self.comparison is not None:
            context.update(
                {
                    "dumps": self.comparison.dumps_path,
                    "reference": self.comparison.reference_path,
                    "model": self.comparison.model_path,
                    "verdict": self.comparison.verdict.value,
                    "headline": self.comparison.headline,
                    "emulated": self.comparison.emulated,
                }
            )
        if self.repetition is not None:
            context["runs"] = [str(run.path) for run in self.repetition.runs]
            context["groups"] = [list(group) for group in self.repetition.groups]
        return diagnosis_json(self.findings, **context)


@dataclass(frozen=True)
class Material:
    """What is known besides dumps and reference; all of it may be missing.

    `outputs` are files the application wrote, one per model output. `folder` is where pictures go.
    """

    golden: TensorSource | None = None
    model: Model | None = None
    traces: Sequence[Trace] = ()
    picture: NDArray[Any] | None = None
    resimulated: RunReader | None = None
    outputs: Sequence[Path] = ()
    folder: Path | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)


def diagnose(dumps: Path, reference: TensorSource, material: Material | None = None) -> Diagnosis:
    """Compares `dumps` with `reference` and names the causes of what differs.

    Raises what `compare_runs` raises, UsageError for a resimulated run that is of another board run.
    """
    material = material or Material()
    if material.resimulated is not None:
        _check_resimulated(material.resimulated, open_dumps(dumps))
    comparison = compare_runs(
        dumps,
        reference,
        model=material.model,
        golden=material.golden,
        local=material.resimulated,
        thresholds=material.thresholds,
    )
    return diagnose_comparison(comparison, dumps, reference, material)


def diagnose_comparison(comparison: Comparison, dumps: Path, reference: TensorSource, material: Material) -> Diagnosis:
    """The findings about a comparison that has been made already; `dumps` and `reference` are what it compared."""
    found, _ = at_reference_shapes(open_dumps(dumps), reference.manifest, material.model)
    if material.model is not None:
        material = replace(material, model=material.model.for_dumps(entry.name.raw for entry in found.entries))
    notes: list[str] = []
    findings = [*version_findings(comparison), *_logs(dumps), *not_taken(found, material.model, material.traces)]
    findings += input_findings(
        comparison,
        found,
        reference,
        material.model,
        picture=material.picture,
        traces=material.traces,
        folder=material.folder,
    )
    findings += _layers(comparison, found, reference, material, notes)
    findings += output_findings(comparison, dumps, found, reference, material, notes)
    return Diagnosis(_ordered(findings), tuple(notes), comparison)


def diagnose_repeats(runs: Sequence[Path]) -> Diagnosis:
    """Compares runs of one model with each other; see `compare_repeats`."""
    repetition = compare_repeats(runs)
    notes = []
    if repetition.same_given is None:
        notes.append("a run does not say what inputs it was given; equal InputOperator dumps count as equal inputs")
    return Diagnosis(_ordered(list(repeat_findings(repetition))), tuple(notes), None, repetition)


def _layers(
    comparison: Comparison, dumps: DumpSet, reference: TensorSource, material: Material, notes: list[str]
) -> Iterable[Finding]:
    if comparison.blamed_input is not None:
        notes.append("the layers are not judged: the input is not the simulator's")
    if material.golden is None:
        notes.append("without a golden run nothing is said about FP16's range and about quantisation")
    if material.model is None:
        notes.append("without --model the graph, scales and outputs are not known")
    facts = measure_layers(comparison, reference, material.golden, material.model)
    return check_layers(facts)


def _check_resimulated(run: RunReader, dumps: DumpSet) -> None:
    told = run.manifest.settings.get("resimulated")
    if not isinstance(told, dict):
        raise UsageError(
            f"{run.path}: was not made by `rkparity resimulate`", hint="rkparity resimulate RUN --model M.rknn -o OUT"
        )
    of = Path(str(told.get("of", ""))).absolute()
    if dumps.folder.absolute() not in (of, of / "dumps"):
        raise UsageError(
            f"{run.path}: was computed from {of}, not from {dumps.folder}",
            hint="run `rkparity resimulate` on this run",
        )


def _logs(dumps: Path) -> Iterable[Finding]:
    if not (dumps / MANIFEST_NAME).is_file():
        return ()
    run = RunReader.open(dumps)
    found = log_findings([run.file(name) for name in run.manifest.logs], run.manifest.warnings)
    # The emulated runtime gives a version of its own choice.
    return [item for item in found if not (run.manifest.emulated and item.stage is FindingStage.VERSIONS)]


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(
        sorted(
            findings,
            key=lambda item: (_STAGES.index(item.stage), _SEVERITIES.index(item.severity), -item.confidence),
        )
    )
