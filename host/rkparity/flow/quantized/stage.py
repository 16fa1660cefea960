"""Stage quantized: int8 against float32 at the outputs; if short, which setting, which layers, and the repair."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import ToolkitTimeoutError, UsageError
from rkparity.findings.finding import Finding, Severity
from rkparity.flow.quantized import causes, layer_causes, tables
from rkparity.flow.quantized.budget import Budget
from rkparity.flow.quantized.given import hybrid_in_use, judge_hybrid, measure_original
from rkparity.flow.quantized.hybrid import Hybrid, contributions_of, search_hybrid
from rkparity.flow.quantized.measure import References, measure_each, together
from rkparity.flow.quantized.outputs import erased_findings
from rkparity.flow.quantized.samples import (
    Sample,
    add_samples,
    calibration_lines,
    calibration_samples,
    check_one_shape,
    has_pictures,
    real_samples,
    unscaled_inputs,
)
from rkparity.flow.quantized.trials import Trial, Trials, candidates, combination, helping
from rkparity.flow.result import Stage, StageResult, StageVerdict, Table
from rkparity.flow.simulation import trained_quantizers
from rkparity.flow.store import disk_nbytes, key_of
from rkparity.toolkit.build import build_model
from rkparity.toolkit.hybrid import Contribution, MixedModel, OutputError, TensorCoverage
from rkparity.toolkit.spec import BuildSpec

if TYPE_CHECKING:
    from rkparity.flow.context import Context
    from rkparity.toolkit.built_model import BuiltModel

FAST_SHARE, SLOW_SHARE = 0.4, 0.4
MORE_TIME = "give the search more time: raise budget_s in [check] and run `rkparity check --resume`"
_SEVERITY = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def settings(context: Context) -> dict[str, Any]:
    """Nothing beyond the project."""
    return {}


def run(context: Context) -> StageResult:
    """Builds quantised, measures, and looks for causes and repairs when an output falls short of the limit."""
    project = context.project
    quantizers = trained_quantizers(context)
    if not project.build.do_quantization and not quantizers:
        return StageResult(
            Stage.QUANTIZED,
            StageVerdict.NOT_RUN,
            ("do_quantization is false in [build]: the model runs in float16",),
            "set do_quantization = true and dataset in [build] to have int8 examined",
        )
    spec = hybrid_in_use(project) or project.build_spec(do_quantization=quantizers == 0)
    return _Examination(context, spec, quantizers).result()


class _Examination:
    """What is learnt about one quantised build, step by step."""

    def __init__(self, context: Context, spec: BuildSpec, quantizers: int) -> None:
        self.context = context
        self.spec = spec
        self.quantizers = quantizers
        self.budget = Budget(context.project.check.budget_s)
        self.limit = context.project.check.quantized_cosine
        self.figures: list[Table] = []
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.kept: Path | None = None

    def result(self) -> StageResult:
        """Measures; when that is short of the limit, searches until it is met or the budget ends."""
        context, worker = self.context, self.context.worker
        context.say("quantized: building")
        clock = Budget(0.0)
        built = build_model(worker, self.spec)
        build_s = clock.spent
        if self.quantizers:
            return self._trained(built)
        if self.spec.hybrid is not None:
            return self._finish(*judge_hybrid(context, built, self.limit))
        folder = worker.new_folder("quantized")
        samples: Sequence[Sample] = real_samples(context.project, built, worker, folder)
        mixed = MixedModel(worker, built, samples[0].feeds)
        try:
            references: References = mixed.golden([sample.feeds for sample in samples])
            clock = Budget(0.0)
            each = measure_each(worker, built, samples, references)
            base = together(each)
            expected_s = build_s + clock.spent
            context.say(f"quantized: output cosine {base.cosine:.5f}, asked for {self.limit}")
            order = sorted(range(len(each)), key=lambda index: each[index].cosine)
            if base.cosine < self.limit and order[0] != 0:
                # The sample that fares worst is the one to look at.
                samples, references = [samples[i] for i in order], [references[i] for i in order]
                mixed.close()
                mixed = MixedModel(worker, built, samples[0].feeds)
            self.figures.append(tables.columns_table(mixed.operators))
            pattern = layer_causes.read_pattern(mixed.operators)
            calibration, coverage = self._coverage(built, mixed, samples, folder)
            dataset = Path(str(self.spec.dataset))
            lines = len(calibration_lines(dataset))
            stated = context.project.original.channel_order
            pictures = has_pictures(dataset)
            if stated is not None:
                self.findings += causes.stated_order(stated, self.spec.quant_img_RGB2BGR, pictures)
            inputs = [item.name for item in built.inputs]
            unscaled = unscaled_inputs(built, calibration, samples)
            erased = erased_findings(worker, built, samples, references, mixed.operators)
            self.findings += erased
            if erased and base.cosine >= self.limit:
                said = f"output cosine {base.cosine:.5f}, {self.limit} asked for, and yet: {erased[0].cause}"
                return self._finish(StageVerdict.FAIL, [said], erased[0].fix)
            if base.cosine >= self.limit:
                self.findings += causes.dataset_findings(coverage, inputs, lines, (), base, unscaled_inputs=unscaled)
                return self._passed(base)
            self.findings += causes.wrong_finding(base)
            trials, contributions = self._examined(
                built, mixed, samples, references, base, expected_s, folder, pictures, calibration
            )
            self.figures.insert(0, tables.trials_table(trials, base))
            known = {item.id for item in self.findings}
            self.findings += [item for item in causes.setting_findings(trials, base) if item.id not in known]
            swapped = any(item.id == "quantized.channels" for item in self.findings)
            self.findings += causes.dataset_findings(
                coverage, inputs, lines, trials, base, unscaled_inputs=unscaled, channels_explain=swapped
            )
            self.figures.append(tables.contributions_table(mixed.operators, contributions))
            self.findings += layer_causes.layer_findings(mixed.operators, contributions, built.outputs)
            best = next((item for item in helping(trials, base) if not item.candidate.diagnostic), None)
            if best is not None and best.error is not None and best.error.cosine >= self.limit:
                return self._failed(base, pattern, best, None)
            if causes.data_first(self.findings, trials, base, self.limit):
                self.notes.append("hybrid quantisation: the calibration data come first")
                alone = next(item for item in trials if item.candidate.kind == "dataset")
                return self._failed(base, pattern, best, None, alone)
            share = self.budget if best is None else self.budget.part(0.5)
            plain = self._hybrid("hybrid", self.spec, mixed, contributions, samples, references, share)
        finally:
            mixed.close()
            if worker.is_gone:
                context.restart_worker()
        hybrids: list[tuple[Trial | None, Hybrid | None]] = [(None, plain)]
        if best is not None:
            hybrids.append((best, self._hybrid_on_best(best, samples, references, calibration)))
        best, hybrid = self._better(hybrids)
        for _, other in hybrids:
            if other is not None and other is not hybrid and other.files is not None:
                shutil.rmtree(other.files.folder, ignore_errors=True)
        return self._failed(base, pattern, best, hybrid)

    def _examined(
        self,
        built: BuiltModel,
        mixed: MixedModel,
        samples: Sequence[Sample],
        references: References,
        base: OutputError,
        expected_s: float,
        folder: Path,
        pictures: bool,
        calibration: Sequence[Sample],
    ) -> tuple[list[Trial], list[Contribution]]:
        """The settings tried, and what each layer alone does to the output; slow algorithms run beside the latter."""
        alone = folder / "test-input.txt"
        alone.write_text("\n".join(" ".join(map(str, sample.feeds)) for sample in samples) + "\n", encoding="utf-8")
        wanted = candidates(self.spec, one_picture=alone, pictures=pictures)

        def runner(share: float) -> Trials:
            return Trials(
                self.context.toolkit_python,
                samples,
                references,
                self.budget.part(share),
                expected_s=expected_s,
                say=self.context.say,
            )

        self.context.say(f"quantized: trying {len(wanted)} settings, {self.budget.left:.0f} s are left")
        # Level 0 has every optimisation off: when it does not help, those between cannot.
        between = [item for item in wanted if item.kind == "level" and item.spec.optimization_level != 0]
        trials = runner(FAST_SHARE).run([item for item in wanted if item not in between and not item.is_slow])
        level = [item for item in trials if item.candidate.kind == "level"]
        if not level or level[0].error is None or level[0].helps(base):
            trials += runner(FAST_SHARE).run([item for item in between if not item.is_slow])
        else:
            trials += [Trial(item, None, 0.0, "not tried: optimization_level=0 does not help") for item in between]
        slow = [item for item in wanted if item.is_slow and item not in between]
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(runner(SLOW_SHARE).run, slow)
            contributions: list[Contribution] = []
            note = "layers were not examined alone: the time budget ended"
            if self.budget.left > 0:
                try:
                    with self.context.worker.ending_at(self.budget.deadline):
                        add_samples(mixed, samples, calibration)
                        contributions, note = contributions_of(mixed, self.budget.part(SLOW_SHARE), self.context.say)
                except ToolkitTimeoutError:
                    note = "the examination of layers was ended: the time budget was over"
            self.notes += [note] if note else []
            trials += waiting.result()
        together_ = combination(trials, base, self.spec)
        return trials + (runner(FAST_SHARE).run([together_]) if together_ is not None else []), contributions

    def _better(self, hybrids: Sequence[tuple[Trial | None, Hybrid | None]]) -> tuple[Trial | None, Hybrid | None]:
        """The hybrid that meets the limit with the fewest float tensors, or the most accurate one."""

        def rank(item: tuple[Trial | None, Hybrid | None]) -> tuple[bool, float]:
            _, hybrid = item
            if hybrid is None or hybrid.ours is None:
                return True, float("inf")
            meets = hybrid.meets(self.limit)
            return not meets, float(len(hybrid.ours.layers)) if meets else hybrid.ours.error.squared

        return min(hybrids, key=rank)

    def _hybrid_on_best(
        self, best: Trial, samples: Sequence[Sample], references: References, calibration: Sequence[Sample]
    ) -> Hybrid | None:
        """Hybrid quantisation on top of the best settings found."""
        worker = self.context.worker
        if self.budget.left < 2 * best.seconds:
            self.notes.append("hybrid quantisation with the best settings was not tried: not enough time")
            return None
        try:
            with worker.ending_at(self.budget.deadline):
                better = worker.build(best.candidate.spec)
                with MixedModel(worker, better, samples[0].feeds) as mixed:
                    add_samples(mixed, samples, calibration)
                    contributions, note = contributions_of(mixed, self.budget.part(0.3), self.context.say)
                    self.notes += [note] if note else []
                    spec = best.candidate.spec
                    return self._hybrid("hybrid-settings", spec, mixed, contributions, samples, references, self.budget)
        except ToolkitTimeoutError:
            self.notes.append("hybrid quantisation with the best settings was ended: the time budget was over")
            return None
        finally:
            if worker.is_gone:
                self.context.restart_worker()

    def _coverage(
        self, built: BuiltModel, mixed: MixedModel, samples: Sequence[Sample], folder: Path
    ) -> tuple[tuple[Sample, ...], tuple[TensorCoverage, ...]]:
        self.context.say("quantized: comparing the calibration set with the real inputs")
        try:
            calibration = calibration_samples(Path(str(self.spec.dataset)), built, self.context.worker, folder)
            check_one_shape(calibration, samples)
        except UsageError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self.notes.append(f"nothing is said about the calibration data: {error.message}{hint}")
            return (), ()
        coverage = mixed.coverage([item.feeds for item in calibration], [item.feeds for item in samples])
        self.figures.append(tables.coverage_table(coverage))
        return calibration, coverage

    def _hybrid(
        self,
        name: str,
        spec: BuildSpec,
        mixed: MixedModel,
        contributions: Sequence[Any],
        samples: Sequence[Sample],
        references: References,
        budget: Budget,
    ) -> Hybrid | None:
        """Searches within `budget`; `name` is the folder that keeps the configuration and the model."""
        if self.budget.left <= 0:
            self.notes.append("hybrid quantisation was not tried: the time budget ended (check.budget_s)")
            return None
        folder = self._folder(name)
        self.context.say(f"quantized: choosing float layers, {self.budget.left:.0f} s are left")
        try:
            with self.context.worker.ending_at(self.budget.deadline):
                hybrid = search_hybrid(
                    self.context.worker,
                    self.context.toolkit_python,
                    spec,
                    mixed,
                    contributions,
                    samples,
                    references,
                    cosine=self.limit,
                    budget=budget,
                    folder=folder,
                    say=self.context.say,
                )
        except ToolkitTimeoutError:
            self.notes.append("hybrid quantisation was ended: the time budget was over (check.budget_s)")
            shutil.rmtree(folder, ignore_errors=True)
            return None
        if hybrid.note:
            self.notes.append(f"hybrid quantisation: {hybrid.note}")
        settings_text = "the project's settings" if name == "hybrid" else "the best settings"
        self.figures.append(tables.hybrid_table(hybrid, settings_text))
        self.figures.append(tables.curve_table(hybrid.selection, mixed.operators, settings_text))
        return hybrid

    def _folder(self, name: str) -> Path:
        return self.context.store.work(name, key_of(spec=self.spec.to_json(), limit=self.limit))

    def _trained(self, built: BuiltModel) -> StageResult:
        """A QAT model against its original; accuracy_analysis refuses such models without a board (2.5.0)."""
        base = measure_original(self.context, built)
        self.findings.append(causes.qat_model(self.quantizers))
        good, asked = base.cosine >= self.limit, self.context.project.build.do_quantization
        return self._finish(
            StageVerdict.FAIL if not good else (StageVerdict.WARN if asked else StageVerdict.PASS),
            [
                f"the model is quantised by training: {self.quantizers} QuantizeLinear operators; built with "
                "do_quantization=False",
                f"output cosine {base.cosine:.5f} against the original, {self.limit} asked for",
            ],
            "set do_quantization = false in [build]" if asked else "go on to the board",
        )

    def _passed(self, base: OutputError) -> StageResult:
        self._sort()
        doubts = [item for item in self.findings if item.severity is not Severity.INFO]
        verdict = StageVerdict.WARN if doubts else StageVerdict.PASS
        return self._finish(
            verdict,
            [f"every output keeps cosine {base.cosine:.5f} against float32, {self.limit} asked for"]
            + [item.title for item in doubts[:1]],
            doubts[0].fix if doubts else "go on to the board; verify the accuracy on the data set",
        )

    def _failed(
        self,
        base: OutputError,
        pattern: layer_causes.QuantizationPattern,
        best: Trial | None,
        hybrid: Hybrid | None,
        alone: Trial | None = None,
    ) -> StageResult:
        """`alone`: the trial that calibrates with the test input, when the calibration data are the cause."""
        facts = [f"output cosine {base.cosine:.5f}, {self.limit} asked for; {pattern.text(base)}"]
        reached = base
        action = ""
        if best is not None and best.error is not None:
            reached = best.error
            facts.append(f"best settings: {best.candidate.change}: cosine {best.error.cosine:.5f}")
            action = f"set {best.candidate.change} in [build]"
        if alone is not None and alone.error is not None:
            facts.append(f"calibrated with the test input alone: cosine {alone.error.cosine:.5f}")
        fact, advice = ("", "") if hybrid is None else tables.hybrid_advice(hybrid, reached, self.limit)
        if hybrid is not None and hybrid.files is not None and fact:
            facts.append(fact)
            action = f"{action}; {advice}" if action else advice
            self.kept = None if hybrid.proposal_serves(self.limit) else hybrid.files.folder
            if hybrid.ours is not None and hybrid.ours.error.squared < reached.squared:
                reached = hybrid.ours.error
                self.findings.append(tables.hybrid_finding(hybrid, base, self.limit))
            if hybrid.proposal is not None and hybrid.proposal_serves(self.limit):
                reached = hybrid.proposal.error
        unfinished = (self.budget.left <= 0 or (hybrid is not None and hybrid.note)) and alone is None
        unfinished = unfinished and (hybrid is None or hybrid.ours is None)
        short = unfinished and reached.cosine < self.limit
        if short:
            action = action or MORE_TIME
            self.notes.append("the search ended before a hybrid model was built")
        elif hybrid is not None and (reached.cosine < self.limit or hybrid.is_most_of_it):
            layers = 0 if hybrid.ours is None else len(hybrid.ours.layers)
            self.findings.append(causes.qat_advice(reached, self.limit, layers, hybrid.float_share))
        self._sort()
        errors = [item for item in self.findings if item.severity is Severity.ERROR and item.id.startswith(_FIRST)]
        if errors:
            action = errors[0].fix if not action or best is None else action
        return self._finish(StageVerdict.FAIL, facts, action or causes.qat_advice(reached, self.limit).fix)

    def _sort(self) -> None:
        self.findings.sort(key=lambda item: (_SEVERITY[item.severity], -item.confidence))

    def _finish(self, verdict: StageVerdict, facts: Sequence[str], action: str) -> StageResult:
        self._sort()
        self.figures.append(tables.cost_table(self.budget, self.notes))
        folder = self.kept
        kept = [] if folder is None else sorted(path for path in folder.glob("*") if path.is_file())
        return replace(
            StageResult(Stage.QUANTIZED, verdict, tuple(facts[:3]), action),
            findings=tuple(self.findings),
            figures=tuple(self.figures),
            artefacts={path.name: self.context.store.relative(path) for path in kept},
            disk_nbytes=0 if folder is None else disk_nbytes(folder),
        )


_FIRST = ("quantized.dataset", "quantized.channels", "quantized.configuration")
