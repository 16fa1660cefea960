"""Stage runtime: the user's own program on the board, its input, its calls, its layers and its outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.board.files.progress import PlainReporter
from rkparity.board.runs.app_request import AppReport, AppRequest
from rkparity.board.runs.run_app import run_app
from rkparity.compare.thresholds import Thresholds, read_thresholds
from rkparity.compare.verdict import Verdict
from rkparity.diagnose.diagnose import Diagnosis, Material, diagnose_comparison
from rkparity.errors import BoardError, UsageError
from rkparity.findings.finding import Finding, Severity
from rkparity.flow.deployed import DeployedModel, deploy_model, deployed_settings, local_settings
from rkparity.flow.local_run import Judging, compare_with_local
from rkparity.flow.result import Stage, StageResult, StageVerdict, Table
from rkparity.flow.store import disk_nbytes, file_digest, key_of
from rkparity.lint import lint
from rkparity.lint.check import Lint
from rkparity.trace import find_traces, read_trace

if TYPE_CHECKING:
    from rkparity.flow.context import Context


def settings(context: Context) -> dict[str, Any]:
    """The `.rknn`, the board and the program's files."""
    uploads = [file_digest(path) for path in context.project.board.uploads if path.is_file()]
    return {**deployed_settings(context), "uploads": uploads}


def run(context: Context) -> StageResult:
    """Runs the program with dumps and trace, lints its calls, compares its layers, diagnoses."""
    board = context.project.board
    if not board.application:
        return StageResult(
            Stage.RUNTIME,
            StageVerdict.NOT_RUN,
            (),
            'name your program: [board] application = ["./app", "{model}", "{input}"], uploads = ["app"]',
        )
    if context.board is None:
        raise UsageError("no board is named", hint="add [board] address to the project, or --board, or --virtual")
    deployed = deploy_model(context)
    folder = context.store.work("runtime", key_of(files=[deployed.rknn], application=board.application))
    context.say(f"runtime: running {board.application[0]} on {context.board.name}")
    argv, uploads = _command(context, deployed)
    request = AppRequest(
        argv, folder / "run", (deployed.model,), uploads, board.cwd, work_dir=context.board.work_dir, force=True
    )
    with context.board.connect() as transport, Path(os.devnull).open("w", encoding="utf-8") as silence:
        report = run_app(transport, request, PlainReporter(silence))
    if not report.dumps:
        problems = "; ".join(report.problems) or "it made no dumps"
        raise BoardError(f"{board.application[0]}: {problems}", hint=f"its output is in {report.run}/logs")
    context.say("runtime: comparing and diagnosing")
    checked = lint(report.run, model=deployed.model) if report.traces else None
    diagnosis = _diagnose(context, deployed, report, folder)
    return _result(context, deployed, report, folder, checked, diagnosis)


def _command(context: Context, deployed: DeployedModel) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The program's arguments with `{model}` and `{input}` filled in, and everything that is copied to the board."""
    board = context.project.board
    uploads = list(board.uploads)
    argv: list[str] = []
    for part in board.application:
        if part == "{input}":
            uploads += context.project.input.files
            argv += [path.name for path in context.project.input.files]
        elif "{model}" in part:
            uploads.append(deployed.rknn)
            argv.append(part.replace("{model}", deployed.rknn.name))
        else:
            argv.append(part)
    return tuple(argv), tuple(dict.fromkeys(uploads))


def _diagnose(context: Context, deployed: DeployedModel, report: AppReport, folder: Path) -> Diagnosis:
    path = context.project.check.thresholds
    pictures = folder / "diagnosis"
    pictures.mkdir(exist_ok=True)
    simulator = deployed.simulation.simulator
    material = Material(
        golden=deployed.simulation.golden,
        model=deployed.model,
        traces=tuple(read_trace(file) for file in find_traces(report.run)) if report.traces else (),
        folder=pictures,
        thresholds=Thresholds() if path is None else read_thresholds(path),
    )
    judging = Judging(simulator, deployed.model, material.golden, material.thresholds)
    comparison = compare_with_local(report.run, judging, local_settings(context, deployed))
    return diagnose_comparison(comparison, report.run, simulator, material)


def _result(
    context: Context,
    deployed: DeployedModel,
    report: AppReport,
    folder: Path,
    checked: Lint | None,
    diagnosis: Diagnosis,
) -> StageResult:
    comparison = diagnosis.comparison
    assert comparison is not None
    linted = () if checked is None else checked.findings
    findings = [*diagnosis.findings, *linted]
    findings.sort(key=lambda item: list(Severity).index(item.severity))
    errors = [item for item in findings if item.severity is Severity.ERROR]
    if comparison.verdict is Verdict.FAIL or errors:
        verdict = StageVerdict.FAIL
    elif comparison.verdict is Verdict.NOT_COMPARED or report.problems:
        verdict = StageVerdict.INCOMPLETE
    elif comparison.verdict is Verdict.WARN or any(item.severity is Severity.WARNING for item in findings):
        verdict = StageVerdict.WARN
    else:
        verdict = StageVerdict.PASS
    calls = "no trace of its calls (no layer for this board)"
    if checked is not None:
        traced = sum(count for _, _, count in checked.processes)
        calls = f"{traced} calls traced, {len(linted)} things to say about them"
    proofs = ", ".join(f"{proof.tensor}: {proof.verdict.value}" for proof in comparison.inputs) or "not provable"
    facts = (comparison.headline, f"input proof: {proofs}; {calls}", *report.problems)[:3]
    if not report.problems:
        facts = (*facts[:2], f"the program ended with {report.exit_code} after {report.duration_s:.1f} s")
    store = context.store
    return StageResult(
        Stage.RUNTIME,
        verdict,
        facts,
        _next(verdict, findings),
        tuple(findings),
        (
            Table(
                "layers",
                ("layer", "operator", "verdict", "why"),
                tuple(
                    (pair.tensor, pair.op_type, pair.verdict.value, "; ".join(pair.reasons))
                    for pair in comparison.pairs
                ),
            ),
        ),
        {"run": store.relative(report.run), "model": store.relative(deployed.rknn)},
        disk_nbytes=disk_nbytes(folder),
    )


def _next(verdict: StageVerdict, findings: Sequence[Finding]) -> str:
    fix = next((item.fix for item in findings if item.fix and item.severity is not Severity.INFO), "")
    if verdict in (StageVerdict.FAIL, StageVerdict.WARN) and fix:
        return fix
    if verdict is StageVerdict.FAIL:
        return "inputs and calls are right and the outputs are not: hand `rkparity bundle` to the vendor"
    if verdict is StageVerdict.INCOMPLETE:
        return "see what was not compared, mend that, and run the stage again"
    return "the deployment computes what the simulator computes; measure the accuracy on your data set"
