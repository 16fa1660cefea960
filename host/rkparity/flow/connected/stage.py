"""Stage connected: does the board's runtime compute what the simulator computes? Our dumps, the toolkit's analysis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.board.files.progress import PlainReporter
from rkparity.board.runs.job import InputFile, RunSettings, api_of
from rkparity.board.runs.run import RunReport, RunRequest, run_on_board
from rkparity.compare.comparison import Comparison
from rkparity.compare.thresholds import Thresholds, read_thresholds
from rkparity.compare.verdict import Origin, Verdict
from rkparity.diagnose.diagnose import Material, diagnose_comparison
from rkparity.errors import UsageError
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.connected.lite import LiteAnswer, run_lite
from rkparity.flow.deployed import DeployedModel, deploy_model, deployed_settings, local_settings
from rkparity.flow.local_run import Judging, compare_with_local
from rkparity.flow.result import Stage, StageResult, StageVerdict, Table
from rkparity.flow.simulation import run_outputs, score_outputs
from rkparity.flow.store import disk_nbytes, key_of
from rkparity.runs import open_npy
from rkparity.toolkit.board_analysis import TABLE_NAME, analyse_board
from rkparity.toolkit.snapshot_table import PrintedCell, PrintedRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.board.link.transport import Transport
    from rkparity.flow.context import BoardAccess, Context

# What the toolkit prints in yellow, for the column single_sim (rknn-toolkit2 2.5.0's console).
SINGLE_COSINE, SINGLE_DISTANCE = 0.999, 20.0
_VERDICTS = {
    Verdict.PASS: StageVerdict.PASS,
    Verdict.WARN: StageVerdict.WARN,
    Verdict.FAIL: StageVerdict.FAIL,
    Verdict.NOT_COMPARED: StageVerdict.INCOMPLETE,
}


def settings(context: Context) -> dict[str, Any]:
    """The `.rknn` and the board."""
    return dict(deployed_settings(context))


def run(context: Context) -> StageResult:
    """Runs the model on the board with the project's sample, compares, lets the toolkit analyse, gives the verdict."""
    if context.board is None:
        raise UsageError("no board is named", hint="add [board] address to the project, or --board, or --virtual")
    deployed = deploy_model(context)
    folder = context.store.work("connected", key_of(files=[deployed.rknn], sample=_sample_key(deployed)))
    context.say(f"connected: running on {context.board.name}")
    with context.board.connect() as transport:
        report = _run_on(transport, context.board, deployed, folder / "run")
        lite = run_lite(transport, deployed, context.board.work_dir)
    dumps = report.run
    outputs = board_outputs(dumps)
    simulator, golden, thresholds = deployed.simulation.simulator, deployed.simulation.golden, _thresholds(context)
    comparison = compare_with_local(
        dumps, Judging(simulator, deployed.model, golden, thresholds), local_settings(context, deployed)
    )
    # After the local run: the analysis leaves the built model without its simulator.
    context.say("connected: the toolkit's own analysis")
    rows = analyse_board(
        context.worker,
        deployed.built,
        [item.feed for item in deployed.inputs],
        dumps / "dumps",
        outputs,
        folder / TABLE_NAME,
    )
    material = Material(golden=golden, model=deployed.model, thresholds=thresholds)
    diagnosis = diagnose_comparison(comparison, dumps, simulator, material)
    assert diagnosis.comparison is not None
    return _result(context, deployed, report, folder, rows, diagnosis.comparison, diagnosis.findings, lite)


def board_outputs(run: Path) -> list[Path]:
    """The outputs the agent kept (`outputs/outputN.npy`), in the model's order."""
    return sorted((run / "outputs").glob("*.npy"), key=lambda path: (len(path.name), path.name))


def suspicious(rows: Sequence[PrintedRow]) -> list[PrintedRow]:
    """The rows whose single_sim is yellow or red on the toolkit's console."""
    return [row for row in rows if row.runtime_single is not None and _is_bad(row.runtime_single)]


def _is_bad(cell: PrintedCell) -> bool:
    return bool(cell.special) or (
        (cell.cosine is not None and cell.cosine < SINGLE_COSINE)
        or (cell.euclidean is not None and cell.euclidean > SINGLE_DISTANCE)
    )


def _sample_key(deployed: DeployedModel) -> list[str | None]:
    return [item.sha256 for item in deployed.simulation.simulator.manifest.inputs]


def _thresholds(context: Context) -> Thresholds:
    path = context.project.check.thresholds
    return Thresholds() if path is None else read_thresholds(path)


def _run_on(transport: Transport, board: BoardAccess, deployed: DeployedModel, out: Path) -> RunReport:
    inputs = tuple(
        InputFile(path, data_layout=None if item.layout == "UNDEFINED" else item.layout)
        for path, item in zip(deployed.sample_files, deployed.inputs)
    )
    request = RunRequest(
        deployed.model,
        inputs,
        out,
        RunSettings(api_of(deployed.model.platform), library=board.library),
        work_dir=board.work_dir,
        force=True,
    )
    with Path(os.devnull).open("w", encoding="utf-8") as silence:
        return run_on_board(transport, request, PlainReporter(silence))


def _result(
    context: Context,
    deployed: DeployedModel,
    report: RunReport,
    folder: Path,
    rows: Sequence[PrintedRow],
    comparison: Comparison,
    diagnosed: Sequence[Finding],
    lite: LiteAnswer,
) -> StageResult:
    bad = suspicious(rows)
    verdict = _VERDICTS[comparison.verdict]
    findings = list(diagnosed)
    bug = _runtime_bug(comparison, bad)
    if bug is not None:
        findings.insert(0, bug)
    compared = sum(row.runtime_entire is not None for row in rows)
    facts = [
        comparison.headline,
        f"the toolkit's own analysis: {compared} of {len(rows)} layers have a board tensor, "
        + (
            f"single_sim is bad at {len(bad)}, first {bad[0].name}"
            if bad
            else "no single_sim is yellow or red: no runtime bug"
        ),
        f"{report.dumps} dumps from runtime {report.runtime}{' (EMULATED)' if report.emulated else ''}; {lite.text}",
    ]
    if comparison.end_to_end_only:
        facts[0] += f"; {comparison.end_to_end_only}"
    if verdict is StageVerdict.PASS and (bad or lite.verdict is Verdict.FAIL):
        verdict = StageVerdict.WARN
    store = context.store
    return StageResult(
        Stage.CONNECTED,
        verdict,
        tuple(facts),
        _next(verdict, bug, findings),
        tuple(findings),
        (_table(rows), *_outputs_table(deployed, report, lite)),
        {
            "error_analysis": store.relative(folder / TABLE_NAME),
            "board run": store.relative(report.run),
            "model": store.relative(deployed.rknn),
        },
        disk_nbytes=disk_nbytes(folder),
    )


def _runtime_bug(comparison: Comparison, bad: Sequence[PrintedRow]) -> Finding | None:
    """A layer that goes wrong by itself although its inputs are right; None when the input differs or all agree."""
    if comparison.verdict is not Verdict.FAIL or comparison.blamed_input is not None:
        return None
    first = comparison.first_divergence
    if first is None or first.origin in (Origin.INHERITED, Origin.INHERITED_BY_ORDER):
        return None
    printed = {row.name: row for row in bad}.get(first.tensor)
    numbers = {}
    if printed is not None and printed.runtime_single is not None:
        cell = printed.runtime_single
        numbers = {"single_sim_cosine": cell.cosine or 0.0, "single_sim_euclidean": cell.euclidean or 0.0}
    confirmed = "the toolkit's own single_sim says so too" if printed else "the toolkit's single_sim does not show it"
    return Finding(
        id="runtime.layer",
        stage=FindingStage.LAYER,
        severity=Severity.ERROR,
        # On dumps alone rounding that adds up can look like a fault.
        confidence=0.95 if first.own is not None else 0.6,
        title=f"the board's runtime computes {first.tensor} ({first.op_type}) wrongly",
        cause=f"The input and every layer before agree with the simulator, {first.tensor} does not: "
        f"{'; '.join(first.reasons)}. {confirmed[0].upper()}{confirmed[1:]}.",
        evidence=(Evidence("statistics", confirmed, numbers),),
        fix="make `rkparity bundle` and hand it to the vendor; until then keep the layer out of the NPU or use another "
        "runtime version that fits the toolkit's",
        reference="RKNN manual 7.2.1",
        subject=first.tensor,
    )


def _next(verdict: StageVerdict, bug: Finding | None, findings: Sequence[Finding]) -> str:
    if bug is not None:
        return bug.fix
    if verdict is StageVerdict.FAIL:
        first = next((item for item in findings if item.severity is Severity.ERROR and item.fix), None)
        return first.fix if first else "look at the first divergence, then make `rkparity bundle` for the vendor"
    if verdict is StageVerdict.INCOMPLETE:
        return "find out why dumps are missing: `rkparity board info`, then run the stage again"
    return "no runtime bug: go on with stage runtime, your own program"


def _table(rows: Sequence[PrintedRow]) -> Table:
    def cells(cell: PrintedCell | None) -> tuple[Any, Any]:
        return (None, None) if cell is None else (cell.special or cell.cosine, cell.euclidean)

    return Table(
        "error_analysis.txt of rknn-toolkit2 (simulator entire, single; runtime entire, single_sim)",
        ("layer", "operator", "cos", "euc", "single cos", "euc", "runtime cos", "euc", "single_sim cos", "euc"),
        tuple(
            (
                row.name,
                row.op_type,
                *cells(row.entire),
                *cells(row.single),
                *cells(row.runtime_entire),
                *cells(row.runtime_single),
            )
            for row in rows
        ),
    )


def _outputs_table(deployed: DeployedModel, report: RunReport, lite: LiteAnswer) -> tuple[Table, ...]:
    """The outputs of the board's C API (and of rknn-toolkit-lite2) against the simulator's."""
    wanted = run_outputs(deployed.simulation.simulator, deployed.built.outputs)
    rows: list[tuple[Any, ...]] = []
    sides: list[tuple[str, list[NDArray[Any]]]] = [("C API", [open_npy(path) for path in board_outputs(report.run)])]
    if lite.outputs:
        sides.append(("rknn-toolkit-lite2", list(lite.outputs)))
    for side, arrays in sides:
        if [array.size for array in arrays] == [array.size for array in wanted.values()]:
            scores = score_outputs(dict(zip(wanted, arrays)), wanted)
            rows += [(side, item.name, item.cosine, item.relative, item.nonfinite) for item in scores]
    if not rows:
        return ()
    return (Table("outputs against the simulator", ("by", "output", "cos", "rel. error", "not finite"), tuple(rows)),)
