"""The whole troubleshooting order on one project: stage by stage, stopping where it breaks."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity import __version__
from rkparity.errors import ExitCode, RkparityError, ToolkitError, UsageError
from rkparity.flow.registry import ORDER, module_of
from rkparity.flow.result import Stage, StageResult, StageVerdict
from rkparity.flow.sample_check import check_sample
from rkparity.flow.store import disk_nbytes, key_of

if TYPE_CHECKING:
    from rkparity.flow.context import Context
    from rkparity.flow.store import Store
    from rkparity.project import Project

SCHEMA = "rkparity.check/1"
_NEEDS_BOARD = (Stage.CONNECTED, Stage.RUNTIME)
_WORST = (
    StageVerdict.FAIL,
    StageVerdict.INCOMPLETE,
    StageVerdict.NOT_JUDGED,
    StageVerdict.WARN,
    StageVerdict.PASS,
    StageVerdict.NOT_RUN,
)


@dataclass(frozen=True)
class CheckReport:
    """What a check came to: one result for every stage, in order."""

    project: str
    output: Path
    results: tuple[StageResult, ...]
    versions: Mapping[str, str]
    seconds: float
    disk_nbytes: int
    board: str | None = None

    @property
    def verdict(self) -> StageVerdict:
        """The worst stage's verdict; stages that did not run count only when none did."""
        found = {result.verdict for result in self.results}
        return next(verdict for verdict in _WORST if verdict in found)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the worst stage."""
        return self.verdict.exit_code

    @property
    def title(self) -> str:
        """The verdict in words; it is no plain PASS while stages have not run."""
        undone = [item.stage.value for item in self.results if item.verdict is StageVerdict.NOT_RUN]
        passes = self.verdict in (StageVerdict.PASS, StageVerdict.WARN)
        said = self.verdict.value.upper()
        return f"{said} so far, not run: {', '.join(undone)}" if passes and undone else said

    @property
    def next_action(self) -> str:
        """What to do first: the next action of the first stage that is not fine."""
        troubled = [item for item in self.results if item.verdict in (StageVerdict.FAIL, StageVerdict.INCOMPLETE)]
        warned = [item for item in self.results if item.verdict is StageVerdict.WARN]
        undone = [item for item in self.results if item.verdict is StageVerdict.NOT_RUN]
        return next((item.next_action for item in [*troubled, *warned, *undone]), "nothing: every stage passes")

    def to_json(self) -> dict[str, Any]:
        """The document of docs/check.md."""
        return {
            "schema": SCHEMA,
            "project": self.project,
            "verdict": self.verdict.value,
            "exit_code": int(self.exit_code),
            "next_action": self.next_action,
            "output": str(self.output),
            "board": self.board,
            "versions": dict(self.versions),
            "seconds": round(self.seconds, 3),
            "disk_nbytes": self.disk_nbytes,
            "stages": [result.to_json() for result in self.results],
        }


def check(context: Context, *, only: Stage | None = None, resume: bool = False) -> CheckReport:
    """Walks the stages and keeps each one's result; a kept one is taken when nothing it depends on has changed.

    A stage after one that fails is not run. `only` runs one stage whatever came before it: of the others the kept
    results are shown, it does not pass while an earlier one fails, and it is INCOMPLETE when it does not run. `resume`
    insists on there being kept results. An expected failure inside a stage makes that stage INCOMPLETE; one before any
    stage (a project that cannot be read, no toolkit) is raised.
    """
    started = time.monotonic()
    if resume and not any(context.store.result(stage) for stage in ORDER):
        raise UsageError(
            f"{context.store.folder}: there is no check to resume", hint="run `rkparity check` without --resume"
        )
    project = context.project
    spec = project.build_spec(do_quantization=False)
    for files in (project.input.files, *project.input.more):
        check_sample(context.worker, spec, files, resize=project.input.resize)
    key = project_key(context)
    results: list[StageResult] = []
    for stage in ORDER:
        if only is not None and stage is not only:
            known = context.store.result(stage) is not None
            kept = context.store.result(stage, _stage_key(context, stage, key)) if known else None
            results.append(kept or _not_run(stage, f"only stage {only.value} was asked for"))
        else:
            results.append(_run_stage(context, stage, key, forced=only is not None))
            if only is not None and results[-1].verdict is StageVerdict.NOT_RUN:
                # Asked for by name: that it did not run is no success.
                results[-1] = replace(results[-1], verdict=StageVerdict.INCOMPLETE, facts=("it was not run",))
        context.results[stage] = results[-1]
    return CheckReport(
        context.project.name,
        context.store.folder,
        tuple(_judged(results)),
        {name: str(value) for name, value in context.versions().items()},
        time.monotonic() - started,
        disk_nbytes(context.store.folder),
        None if context.board is None else context.board.name,
    )


def kept_report(project: Project, store: Store) -> CheckReport:
    """The report of what is kept, whether or not it is still up to date."""
    results = [store.result(stage) or _not_run(stage, "not run yet") for stage in ORDER]
    return CheckReport(
        project.name, store.folder, tuple(_judged(results)), {"rkparity": __version__}, 0.0, disk_nbytes(store.folder)
    )


def project_key(context: Context) -> str:
    """What every stage's result depends on: the project's settings, its files' bytes, versions."""
    project = context.project
    return key_of(
        files=[*project.named_files(), *_dataset_files(project)],
        project=settings_text(project),
        versions=context.versions(),
    )


def settings_text(project: Project) -> dict[str, str]:
    """Each table of the project as text, paths and all."""
    return {item.name: repr(getattr(project, item.name)) for item in dataclasses.fields(project) if item.name != "path"}


def _dataset_files(project: Project) -> list[Path]:
    dataset = project.build.dataset
    if dataset is None:
        return []
    names = dataset.read_text(encoding="utf-8", errors="replace").split()
    return [dataset.parent / name for name in names if (dataset.parent / name).is_file()]


def _stage_key(context: Context, stage: Stage, project: str) -> str:
    if stage in _NEEDS_BOARD and context.board is None:
        return ""
    return key_of(project=project, stage=stage.value, own=module_of(stage).settings(context))


def _run_stage(context: Context, stage: Stage, project: str, *, forced: bool) -> StageResult:
    failing = context.earlier_failures(stage)
    if failing and not forced:
        return _not_run(stage, f"stage {failing[0].stage.value} fails; {failing[0].next_action}")
    if stage in _NEEDS_BOARD and context.board is None:
        return _not_run(stage, "no board is named: add [board] address to the project, or --board, or --virtual")
    started = time.monotonic()
    try:
        key = _stage_key(context, stage, project)
        kept = context.store.result(stage, key)
        if kept is not None and kept.verdict is not StageVerdict.INCOMPLETE:
            context.say(f"{stage.value}: nothing has changed, {kept.verdict.value} as before")
            return kept
        context.say(f"{stage.value}: starts")
        result = replace(module_of(stage).run(context), seconds=time.monotonic() - started)
    except RkparityError as error:
        if isinstance(error, ToolkitError):
            # The worker may be dead; the next stage gets a new one.
            context.restart_worker()
        facts = (error.message,)
        result = StageResult(
            stage,
            StageVerdict.INCOMPLETE,
            facts,
            error.hint or "see the message, then run `rkparity check --resume`",
            seconds=time.monotonic() - started,
        )
        key = ""
    context.store.keep(result, key)
    return result


def _not_run(stage: Stage, why: str) -> StageResult:
    return StageResult(stage, StageVerdict.NOT_RUN, (), why)


def _judged(results: Sequence[StageResult]) -> list[StageResult]:
    """A stage behind one that fails does not pass: its verdict is "not judged"."""
    judged: list[StageResult] = []
    failing: Stage | None = None
    for result in results:
        if failing is not None and result.verdict in (StageVerdict.PASS, StageVerdict.WARN):
            judged.append(
                replace(
                    result,
                    verdict=StageVerdict.NOT_JUDGED,
                    next_action=f"first mend stage {failing.value}: this one means nothing while that fails",
                )
            )
        else:
            judged.append(result)
        if failing is None and result.verdict is StageVerdict.FAIL:
            failing = result.stage
    return judged
