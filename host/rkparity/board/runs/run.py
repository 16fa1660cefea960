"""One run of a model on a board: deploy, send model and inputs, run the agent, fetch all it left into a run."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rkparity.board.files.progress import Reporter, size_text
from rkparity.board.files.push import Outgoing, push_files
from rkparity.board.install.deploy import check_kit, interpreter, uses_agent
from rkparity.board.install.find_kit import find_kit
from rkparity.board.install.kit import Kit
from rkparity.board.install.preflight import BoardInfo, check_board, inspect_board
from rkparity.board.install.workspace import Workspace
from rkparity.board.link.transport import Transport
from rkparity.board.runs.collect import check_caps, fetch_left, find_left, model_record, versions_of, writing_run
from rkparity.board.runs.dump_records import is_dump, precision_of, records_of
from rkparity.board.runs.job import InputFile, RunSettings
from rkparity.board.runs.launch import run_agent
from rkparity.board.runs.runner import runner_command
from rkparity.board.runs.runtime_log import fetched_lines, raise_refusal
from rkparity.board.runs.samples import for_runtime
from rkparity.errors import AgentError, BoardError, ConnectionFailed, TransferError
from rkparity.findings.log_findings import log_warnings
from rkparity.findings.runtime_log import read_logs
from rkparity.io import check_new_folder
from rkparity.model import Model, nhwc_shape
from rkparity.runs import Engine, InputForm, InputRecord, Manifest, RunWriter
from rkparity.runs.void_values import VOID_MARK

# A program of a few megabytes beside the model, and room for the board's own logs.
_SPARE_NBYTES = 32 << 20
_OUTPUT = re.compile(r"[A-Za-z0-9][\w.+-]{0,120}\.npy")
_LOG = re.compile(r"[A-Za-z0-9][\w.+-]{0,100}\.(?:log|txt)")
_GRACE_S = 5.0


@dataclass(frozen=True)
class RunRequest:
    """What to run and where to put the run."""

    model: Model
    inputs: tuple[InputFile, ...]
    out: Path
    settings: RunSettings = field(default_factory=RunSettings)
    work_dir: str | None = None
    force: bool = False
    keep: bool = False


@dataclass(frozen=True)
class RunReport:
    """What came of it. `run_us` holds each repetition's time as the agent measured it; `kept` is the board's folder."""

    run: Path
    dumps: int
    outputs: int
    nbytes: int
    run_us: tuple[float, ...]
    runtime: str
    emulated: bool
    warnings: tuple[str, ...]
    kept: str | None


def run_on_board(transport: Transport, request: RunRequest, progress: Reporter) -> RunReport:
    """Runs the model once on the board and keeps everything as a run.

    Raises BoardError (board unfit, disk full), AgentError, TransferError, ConnectionFailed, DataError, UsageError.
    The run appears only when it is whole; the folder on the board is removed in any case unless `keep` is set.
    """
    check_new_folder(request.out, force=request.force)
    for given in request.inputs:
        given.check()
    if request.model.is_dynamic:
        shapes = [given.shape() for given in request.inputs]
        request = replace(request, model=request.model.for_input_shapes(shapes))
    with tempfile.TemporaryDirectory(prefix="rkparity-inputs-") as folder:
        prepared, notes = for_runtime(request.inputs, request.model, Path(folder))
        for note in notes:
            progress.note(note)
        return _run_prepared(transport, replace(request, inputs=prepared), progress)


def _run_prepared(transport: Transport, request: RunRequest, progress: Reporter) -> RunReport:
    info = inspect_board(transport, work_dir=request.work_dir)
    warnings = list(check_board(info, needed_nbytes=_needed_nbytes(request)))
    with tempfile.TemporaryDirectory(prefix="rkparity-kit-") as scratch:
        kit = find_kit(info.arch, scratch=Path(scratch))
        check_kit(info, kit)
        workspace = Workspace.open(transport, info.work_dir, frozenset(info.tools))
        where = workspace.deploy(kit)
    size = request.model.path.stat().st_size
    progress.begin("send", size)
    model = workspace.put_model(request.model.path, request.model.sha256, progress.advance)
    progress.end()
    folder = workspace.make_run_folder()
    try:
        result = _run(workspace, folder, where, kit, info, model, request, progress)
        return _collect(workspace, folder, request, info, result, warnings, progress)
    except ConnectionFailed as error:
        raise TransferError(
            f"{error.message}",
            hint=f"the board's folder of this run is {folder}; if the run had ended, "
            f"`rkparity pull --from {folder}/dumps` still gets its dumps",
        ) from error
    finally:
        if not request.keep:
            workspace.remove(folder)


def _needed_nbytes(request: RunRequest) -> int:
    """The model, the inputs, and every layer dumped as float32 (twice when both forms are asked for)."""
    dumps = 0
    for dump in request.model.expected_dumps():
        count = 4
        for size in dump.tensor.shape:
            count *= size
        dumps += count
    return (
        request.model.path.stat().st_size
        + sum(given.path.stat().st_size for given in request.inputs)
        + dumps * (2 if request.settings.dump_quant == 2 else 1)
        + _SPARE_NBYTES
    )


def _run(
    workspace: Workspace,
    folder: str,
    where: str,
    kit: Kit,
    info: BoardInfo,
    model: str,
    request: RunRequest,
    progress: Reporter,
) -> dict[str, Any]:
    placed = [(f"{folder}/input{index}{given.path.suffix}", given) for index, given in enumerate(request.inputs)]
    job = request.settings.job(model, placed, folder, _input_shapes(request.model))
    files = [Outgoing(path.rpartition("/")[2], given.path) for path, given in placed]
    files.append(Outgoing("job.json", json.dumps(job, indent=1).encode()))
    push_files(workspace.transport, folder, files, tools=workspace.tools)
    if uses_agent(info, kit):
        argv = [*interpreter(workspace.transport, kit, info), f"{where}/agent.py", "run", "--job", f"{folder}/job.json"]
    else:
        progress.note(f"the board has {f'only Python {info.python}' if info.python else 'no Python'}: rkrun is used")
        argv = runner_command(f"{where}/bin/rkrun", job)
    # The agent stops the run itself and says so; the host steps in when the agent does not.
    timeout_s = None if request.settings.timeout_s is None else request.settings.timeout_s + _GRACE_S
    try:
        result = run_agent(workspace.transport, folder, argv, progress, timeout_s=timeout_s)
    except AgentError as error:
        # A call that fails after a failure the library answered with success fails because of it.
        raise_refusal(fetched_lines(workspace.transport, folder), error)
        raise
    _check_dumps(result)
    return result


def _input_shapes(model: Model) -> list[tuple[int, ...]] | None:
    return [nhwc_shape(tensor.shape) for tensor in model.input_tensors] if model.is_dynamic else None


def _check_dumps(result: Mapping[str, Any]) -> None:
    if VOID_MARK in str(result.get("sdk")):
        raise BoardError(
            "this virtual board has no values for the model, which has no build record",
            hint="build it with `rkparity build`; without a record only the calls of a program can be judged: "
            "`rkparity run-app`, then `rkparity lint`",
        )
    hint = "is the board's disk full? See `rkparity board info BOARD`"
    missing = result.get("missing_dumps")
    if isinstance(missing, list) and missing:
        raise AgentError(f"the runtime did not write {len(missing)} dumps, first {missing[0]!r}", hint=hint)
    problems = result.get("dump_problems")
    if isinstance(problems, list) and problems:
        first = problems[0] if isinstance(problems[0], dict) else {}
        said = f"{first.get('file')}: {first.get('problem')}"
        raise AgentError(f"{len(problems)} dumps are damaged on the board, first {said}", hint=hint)


def _collect(
    workspace: Workspace,
    folder: str,
    request: RunRequest,
    info: BoardInfo,
    result: Mapping[str, Any],
    warnings: list[str],
    progress: Reporter,
) -> RunReport:
    start = time.monotonic()
    dumps = find_left(workspace, f"{folder}/dumps", "dumps", lambda name: is_dump(name) is not None)
    if not dumps.files:
        raise_refusal(fetched_lines(workspace.transport, folder))
        raise AgentError(
            "the run left no dump on the board", hint="the runtime writes dumps at RKNN_LOG_LEVEL 5; see its log"
        )
    results = find_left(
        workspace, f"{folder}/outputs", "outputs", lambda name: bool(_OUTPUT.fullmatch(name) or _LOG.fullmatch(name))
    )
    total = check_caps((dumps, results), "the run")
    with writing_run(request.out, force=request.force) as writer:
        fetch_left(workspace, (dumps, results), writer.folder, progress)
        logs = [file.name for file in results.files if not _OUTPUT.fullmatch(file.name)]
        (writer.folder / "logs").mkdir()
        for name in logs:
            (writer.folder / "outputs" / name).rename(writer.folder / "logs" / name)
        said = read_logs(writer.folder / "logs" / name for name in logs)
        raise_refusal(said)
        records = records_of(writer.folder / "dumps", [file.name for file in dumps.files], request.model)
        precision, _ = precision_of(records.tensors, request.model)
        notes = (*warnings, *records.warnings, *request.model.warnings, *log_warnings(said))
        manifest = Manifest(
            engine=Engine.BOARD,
            precision=precision,
            model=model_record(request.model),
            inputs=_input_records(writer, request, result),
            tensors=records.tensors,
            versions=_versions(result, info),
            settings={
                **request.settings.for_manifest(),
                "board": workspace.transport.name,
                "chip": info.chip,
                "outputs": _outputs(result),
                "run_us": list(_run_us(result)),
            },
            logs=tuple(f"logs/{name}" for name in logs),
            emulated=bool(result.get("emulated")) or info.chip.startswith("emulated"),
            warnings=notes,
        )
        writer.finish(manifest)
    progress.note(f"{size_text(total)} fetched in {time.monotonic() - start:.1f} s")
    return RunReport(
        run=request.out,
        dumps=len(dumps.files),
        outputs=len(results.files) - len(logs),
        nbytes=total,
        run_us=_run_us(result),
        runtime=manifest.versions.get("runtime", ""),
        emulated=manifest.emulated,
        warnings=notes,
        kept=folder if request.keep else None,
    )


def _input_records(writer: RunWriter, request: RunRequest, result: Mapping[str, Any]) -> tuple[InputRecord, ...]:
    attrs = result.get("inputs") if isinstance(result.get("inputs"), list) else []
    records = []
    for index, given in enumerate(request.inputs):
        attr = attrs[index] if isinstance(attrs, list) and index < len(attrs) else {}
        name = str(attr.get("name") or f"input{index}") if isinstance(attr, dict) else f"input{index}"
        records.append(writer.add_input(name, given.load(), layout=given.layout(), form=InputForm.RAW))
    return tuple(records)


def _versions(result: Mapping[str, Any], info: BoardInfo) -> dict[str, str]:
    sdk = result.get("sdk")
    sdk = sdk if isinstance(sdk, dict) else {}
    told = {
        "runtime": str(sdk.get("api_version") or ""),
        "driver": str(sdk.get("driver_version") or ""),
        "python": info.python,
    }
    return versions_of(info, told)


def _outputs(result: Mapping[str, Any]) -> list[Any]:
    outputs = result.get("outputs")
    return outputs if isinstance(outputs, list) else []


def _run_us(result: Mapping[str, Any]) -> tuple[float, ...]:
    times = result.get("run_us")
    return tuple(float(value) for value in times if isinstance(value, (int, float))) if isinstance(times, list) else ()
