"""Stage fp16: is the conversion right? Original against golden against the FP16 simulator, on the same sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.errors import ToolkitError, UsageError
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.fp16.causes import name_causes
from rkparity.flow.fp16.fit import Explanation, fit_input, search
from rkparity.flow.fp16.half_range import out_of_range, range_findings
from rkparity.flow.fp16.layers import (
    GOLDEN_LIMIT,
    LayerScore,
    common_layers,
    concentration,
    golden_wrong,
    input_unexplained,
    simulator_layers,
    simulator_wrong,
)
from rkparity.flow.fp16.no_answer import no_answer, nothing_judged, silent_outputs
from rkparity.flow.fp16.reference_outputs import (
    ReferenceOutputs,
    Source,
    find_reference_outputs,
    framework_input,
    graph_inputs_of,
    normalised,
)
from rkparity.flow.fp16.structure import Structure, check_structure
from rkparity.flow.fp16.tables import (
    Scores,
    comparison_tables,
    trained_differs,
    trained_tables,
    unproven,
)
from rkparity.flow.result import Stage, StageResult, StageVerdict
from rkparity.flow.simulation import (
    prepared_inputs,
    run_outputs,
    score,
    score_outputs,
    simulated,
)
from rkparity.flow.store import disk_nbytes
from rkparity.original.engine import describe_onnx, run_original

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.flow.context import Context
    from rkparity.original.engine import OnnxGraph
    from rkparity.runs import RunReader
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.inputs import PreparedInput
    from rkparity.toolkit.simulate import Simulation
    from rkparity.toolkit.spec import BuildSpec

GOLDEN_COSINE = 0.99995
"""Golden and the original are both float32: a right conversion agrees to 1e-5, a wrong setting is off by far more."""
SAME_INPUT = 1e-4
"""Two float32 computations of (x - mean) / std are closer than this."""
NOTED_COSINE = 0.9995
"""Below this FP16's rounding is told, though it passes."""


def settings(context: Context) -> dict[str, Any]:
    """Nothing beyond the project."""
    return {}


def run(context: Context) -> StageResult:
    """Builds as FP16, simulates, runs the original, compares; if they differ, says why."""
    project, worker = context.project, context.worker
    spec = project.build_spec(do_quantization=False)
    graph = describe_onnx(worker, project.model.file) if spec.framework.value == "onnx" else None
    structure = check_structure(project, spec, graph, worker.scratch / "batched")
    context.say("fp16: building")
    try:
        built = worker.build(structure.spec)
    except ToolkitError:
        if not structure.findings:
            raise
        return _failed_structure(structure, "the model cannot be built even with the shapes and names corrected")
    inputs = prepared_inputs(context, built, structure.files, name="fp16-inputs")
    context.say("fp16: simulating, running the original")
    simulation = simulated(context, built, inputs, name="fp16")
    fixed = _corrected(context, structure.spec)
    reference = find_reference_outputs(fixed, built, inputs)
    comparison = _Comparison(context, built, inputs, simulation, reference, structure, graph)
    return comparison.trained_result() if simulation.golden is None else comparison.result()


def _corrected(context: Context, spec: BuildSpec) -> Context:
    """The context with the names and shapes of the corrected build, so that the original runs as well."""
    model = replace(
        context.project.model, inputs=spec.inputs, outputs=spec.outputs, input_size_list=spec.input_size_list
    )
    return context if model == context.project.model else context.with_project(replace(context.project, model=model))


def _failed_structure(structure: Structure, fact: str) -> StageResult:
    first = structure.findings[0]
    return StageResult(Stage.FP16, StageVerdict.FAIL, (first.title, fact), first.fix, structure.findings)


class _Comparison:
    """The evidence of the stage and what follows from it."""

    def __init__(
        self,
        context: Context,
        built: BuiltModel,
        inputs: Sequence[PreparedInput],
        simulation: Simulation,
        reference: ReferenceOutputs,
        structure: Structure,
        graph: OnnxGraph | None,
    ) -> None:
        self.context = context
        self.built = built
        self.inputs = inputs
        self.simulation = simulation
        self.reference = reference
        self.structure = structure
        self.graph = graph
        self.limit = context.project.check.fp16_cosine

    @property
    def golden(self) -> RunReader:
        """The golden run, which all but QAT models have."""
        assert self.simulation.golden is not None
        return self.simulation.golden

    def trained_result(self) -> StageResult:
        """A QAT model has no float run: its int8 simulator is held against the original, which is int8 as well."""
        self.limit = self.context.project.check.quantized_cosine
        simulator = run_outputs(self.simulation.simulator, self.built.outputs)
        findings = list(self.structure.findings)
        try:
            scores = score_outputs(simulator, self.reference.outputs)
        except UsageError as error:
            return self._wrong_outputs(error)
        own = {} if self.reference.run is None else self.reference.run.layers
        # What QuantizeLinear makes is integers there and dequantised here.
        values = {name: array for name, array in own.items() if array.dtype.kind == "f"}
        layers = list(common_layers(self.simulation.simulator, values))
        good = all(item.passes(self.limit) for item in scores)
        worst = min(scores, key=lambda item: item.cosine if item.nonfinite == 0 else -2)
        if not good:
            first = next((item for item in layers if not item.score.passes(self.limit)), None)
            findings += self._order_of_outputs(simulator) or self._configuration() or [trained_differs(worst, first)]
        failed = not good or bool(self.structure.findings)
        verdict = StageVerdict.FAIL if failed else StageVerdict.PASS
        if not failed and not self.reference.independent and any(item.mean or item.std for item in self.built.inputs):
            findings.append(unproven())
        facts = [
            "the model is trained with quantisation (QAT): built with do_quantization=False, it has no FP16 run",
            f"int8 simulator against the original: worst output {worst.name} cos {worst.cosine:.6f}, relative error "
            f"{worst.relative:.3g}; {self.limit} asked for (quantized_cosine)",
            f"the original's side rests on {self.reference.source.value}",
        ]
        return StageResult(
            Stage.FP16,
            verdict,
            tuple(([findings[0].title] if failed else []) + facts)[:3],
            self._next(verdict, findings),
            tuple(findings),
            trained_tables(scores, layers),
            {"simulator": self.context.store.relative(self.simulation.simulator.path)},
            disk_nbytes=disk_nbytes(self.simulation.simulator.path),
        )

    def result(self) -> StageResult:
        golden = run_outputs(self.golden, self.built.outputs)
        simulator = run_outputs(self.simulation.simulator, self.built.outputs)
        findings = list(self.structure.findings)
        try:
            golden_scores = score_outputs(golden, self.reference.outputs)
        except UsageError as error:
            return self._wrong_outputs(error)
        simulator_scores = score_outputs(simulator, self.reference.outputs)
        silent = silent_outputs(self.reference.outputs, golden, simulator)
        if silent:
            golden_scores = tuple(item for item in golden_scores if item.name not in silent)
            simulator_scores = tuple(item for item in simulator_scores if item.name not in silent)
        if not golden_scores:
            return nothing_judged(no_answer(silent), findings, self._paths(), self._disk_nbytes())
        golden_good = all(item.passes(GOLDEN_COSINE) for item in golden_scores)
        good = golden_good and all(item.passes(self.limit) for item in simulator_scores)
        exact = good and all(item.passes(max(self.limit, NOTED_COSINE)) for item in simulator_scores)
        ranges = out_of_range(self.golden)
        layers = self._common_layers()
        if not golden_good:
            findings += self._order_of_outputs(golden) or self._configuration() or [self._golden(golden_scores, layers)]
        range_found = range_findings(ranges, outputs_wrong=golden_good and not good)
        findings += range_found
        if golden_good and not exact and not range_found:
            findings.append(self._simulator(simulator_scores, fails=not good))
        if silent:
            findings.append(no_answer(silent))
        failed = not good or bool(self.structure.findings)
        verdict = StageVerdict.FAIL if failed else StageVerdict.WARN if findings else StageVerdict.PASS
        if not failed and not self.reference.independent and any(item.mean or item.std for item in self.built.inputs):
            findings.append(unproven())
        return StageResult(
            Stage.FP16,
            verdict,
            self._facts(findings, golden_scores, simulator_scores, layers)[:3],
            self._next(verdict, findings),
            tuple(findings),
            comparison_tables(golden_scores, simulator_scores, layers, ranges),
            self._paths(),
            disk_nbytes=self._disk_nbytes(),
        )

    def _paths(self) -> dict[str, str]:
        runs = {"golden": self.golden, "simulator": self.simulation.simulator}
        return {name: self.context.store.relative(run.path) for name, run in runs.items()}

    def _disk_nbytes(self) -> int:
        return disk_nbytes(self.golden.path, self.simulation.simulator.path)

    def _facts(
        self,
        findings: Sequence[Finding],
        golden: Scores,
        simulator: Scores,
        layers: Sequence[LayerScore],
    ) -> tuple[str, ...]:
        worst = min(simulator, key=lambda item: item.cosine if item.nonfinite == 0 else -2)
        engine = self.reference.run.engine if self.reference.run is not None else "the given outputs"
        spoilt = f", {worst.nonfinite} values not finite" if worst.nonfinite else ""
        facts = [
            f"FP16 simulator against {engine}: worst output {worst.name} cos {worst.cosine:.6f}, relative error "
            f"{worst.relative:.3g}{spoilt}",
            f"golden against {engine}: relative error {max(item.relative for item in golden):.3g} at most; "
            f"{len(layers)} layers agree by name, {sum(item.score.relative > GOLDEN_LIMIT for item in layers)} of them "
            "differ",
        ]
        errors = [item for item in findings if item.severity is not Severity.INFO]
        if errors:
            facts.insert(0, errors[0].title)
        else:
            facts.append(f"the original's side rests on {self.reference.source.value}")
        return tuple(facts)

    def _next(self, verdict: StageVerdict, findings: Sequence[Finding]) -> str:
        if findings and verdict in (StageVerdict.FAIL, StageVerdict.WARN):
            return findings[0].fix
        if not self.reference.independent:
            return "go on with stage quantized; to prove mean and std too, give [original] inputs or outputs"
        return "go on with stage quantized"

    def _common_layers(self) -> list[LayerScore]:
        if self.reference.run is None or not self.reference.run.layers:
            return []
        return list(common_layers(self.golden, self.reference.run.layers))

    def _order_of_outputs(self, golden: Mapping[str, NDArray[Any]]) -> list[Finding]:
        """Whether the outputs are right but in another order than the reference's."""
        if len(golden) < 2:
            return []
        wanted = dict(self.reference.outputs)
        order = []
        for reference in wanted.values():
            fitting = [
                name
                for name, array in golden.items()
                if array.size == reference.size
                and score_outputs({name: array}, {name: reference})[0].passes(GOLDEN_COSINE)
                and name not in order
            ]
            if not fitting:
                return []
            order.append(fitting[0])
        listed = "[" + ", ".join(f'"{name}"' for name in order) + "]"
        return [
            Finding(
                id="config.outputs",
                stage=FindingStage.OUTPUT,
                severity=Severity.ERROR,
                confidence=0.98,
                title="the outputs come in another order than the reference's",
                cause=f"Each output agrees with one of the reference's, in the order {', '.join(order)}.",
                fix=f"set outputs = {listed} in [model]",
                fix_code=f"[model]\noutputs = {listed}",
                reference="RKNN manual 7.1.1",
            )
        ]

    def _configuration(self) -> list[Finding]:
        """The configuration that explains the difference, input by input; nothing when none does."""
        framework = self.built.spec.framework.value
        wanted = graph_inputs_of(self.reference, self.built, framework)
        current = [normalised(item, graph) for item, graph in zip(self.inputs, self.built.inputs)]
        explained: dict[int, Explanation] = {}
        if wanted is not None:
            for index, (item, graph) in enumerate(zip(self.inputs, self.built.inputs)):
                same = score_outputs({graph.name: current[index]}, {graph.name: wanted[index]})[0]
                if same.relative > SAME_INPUT:
                    found = fit_input(item, wanted[index])
                    if found is not None:
                        explained[index] = found
        elif len(self.inputs) == 1 or self.reference.source is Source.OUTPUTS:
            self.context.say("fp16: trying configurations")
            trained = self.context.project.original
            more = [(trained.mean, trained.std)] if trained.mean or trained.std else []
            for index, (item, graph) in enumerate(zip(self.inputs, self.built.inputs)):
                found = search(item, graph, self._error_of(current, index), limit=0.02, more=more)
                if found is not None:
                    explained[index] = found
                    break
        if not explained:
            return []
        arrays = [explained[index].array if index in explained else array for index, array in enumerate(current)]
        confirmed = self._confirmed(arrays)
        return [
            finding
            for index, found in explained.items()
            for finding in name_causes(self.inputs[index], self.built.inputs[index], index, found, confirmed)
        ]

    def _error_of(self, current: Sequence[NDArray[Any]], index: int) -> Callable[[NDArray[Any]], float]:
        """The original's relative output error when input `index` is replaced; ONNX Runtime where it can be used."""
        framework = self.built.spec.framework.value

        def error(array: NDArray[Any]) -> float:
            arrays = [array if at == index else other for at, other in enumerate(current)]
            if framework == "onnx":
                found = run_original(
                    self.context.worker,
                    self.built.spec,
                    [framework_input(item, framework) for item in arrays],
                    outputs=self.built.spec.outputs,
                ).outputs
            else:
                found = dict(zip(self.built.outputs, self.context.worker.outputs(self.built.model_id, arrays)))
            scores = score_outputs(found, self.reference.outputs)
            return max(item.relative if item.nonfinite == 0 else float("inf") for item in scores)

        return error

    def _confirmed(self, arrays: Sequence[NDArray[Any]]) -> Evidence:
        """The simulator's outputs with the graph's inputs as explained, against the original's."""
        outputs = self.context.worker.outputs(
            self.built.model_id, [array.astype("float32") if array.dtype.kind == "f" else array for array in arrays]
        )
        scores = score_outputs(dict(zip(self.built.outputs, outputs)), self.reference.outputs)
        worst = min(scores, key=lambda item: item.cosine)
        return Evidence(
            "statistics",
            "FP16 simulator with these settings against the original: worst output",
            {"cosine": worst.cosine, "relative_error": worst.relative},
        )

    def _golden(self, scores: Scores, layers: Sequence[LayerScore]) -> Finding:
        """Golden differs and no configuration explains it: another input, or does the toolkit compute wrongly?"""
        framework = self.built.spec.framework.value
        current = [normalised(item, graph) for item, graph in zip(self.inputs, self.built.inputs)]
        wanted = graph_inputs_of(self.reference, self.built, framework)
        proven = wanted is not None and all(
            score(graph.name, ours, theirs).relative <= SAME_INPUT
            for graph, ours, theirs in zip(self.built.inputs, current, wanted)
        )
        worst = max(scores, key=lambda item: item.relative)
        if not proven and framework == "onnx":
            # What the original makes of OUR input tells the two apart.
            own = run_original(
                self.context.worker, self.built.spec, current, outputs=self.built.spec.outputs, layers=True
            )
            golden = run_outputs(self.golden, self.built.outputs)
            if all(item.passes(GOLDEN_COSINE) for item in score_outputs(golden, own.outputs)):
                return input_unexplained(worst)
            proven, layers = True, list(common_layers(self.golden, own.layers))
        first = next((item for item in layers if item.score.relative > GOLDEN_LIMIT), None)
        return golden_wrong(first, worst, self.graph, proven)

    def _simulator(self, scores: Scores, *, fails: bool) -> Finding:
        limit = 10 * GOLDEN_LIMIT
        pairs = simulator_layers(self.golden, self.simulation.simulator)
        first = next((item for item in pairs if item.score.relative > limit or item.score.nonfinite), None)
        worst = max(scores, key=lambda item: item.relative)
        outputs = run_outputs(self.simulation.simulator, self.built.outputs)
        index = list(outputs).index(worst.name)
        held = concentration(outputs[worst.name], list(self.reference.outputs.values())[index])
        return simulator_wrong(first, worst, held, fails=fails)

    def _wrong_outputs(self, error: UsageError) -> StageResult:
        own = [] if self.graph is None else [value.name for value in self.graph.outputs]
        listed = "[" + ", ".join(f'"{name}"' for name in own) + "]"
        finding = Finding(
            id="config.outputs",
            stage=FindingStage.OUTPUT,
            severity=Severity.ERROR,
            confidence=0.95,
            title="the build's outputs are not those of the reference",
            cause=error.message,
            fix=f"name the reference's tensors in model.outputs; the source model's own are {', '.join(own)}"
            if own
            else "name the reference's tensors in model.outputs",
            fix_code=f"[model]\noutputs = {listed}" if own else "",
            reference="RKNN manual 7.1.1",
        )
        return StageResult(
            Stage.FP16,
            StageVerdict.FAIL,
            (finding.title, error.message),
            finding.fix,
            (*self.structure.findings, finding),
        )
