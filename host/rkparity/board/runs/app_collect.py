"""What a program left on the board: dumps, traces and captured output into a run, however the program ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rkparity import __version__
from rkparity.board.files.fetch import fetch_verified, local_disk_error
from rkparity.board.files.listing import RemoteFile, list_folder
from rkparity.board.files.progress import Reporter, size_text
from rkparity.board.install.preflight import BoardInfo
from rkparity.board.install.workspace import Workspace
from rkparity.board.link.process import last_line
from rkparity.board.link.transport import Transport
from rkparity.board.runs.app_request import AppReport, AppRequest, Ended
from rkparity.board.runs.app_script import NO_CWD, STDERR, STDOUT
from rkparity.board.runs.dump_records import is_dump, precision_of, records_of
from rkparity.errors import DataError, TransferError
from rkparity.model import Model
from rkparity.runs import Engine, Manifest, ModelRecord, RunWriter, read_npy_header

_MAX_FILES, _MAX_NBYTES = 50_000, 64 << 30
_TRACE = re.compile(r"rkparity-\d{1,10}[A-Za-z0-9-]{0,40}\.(?:jsonl|npy)")
_EMULATED = b"rkparity emulated runtime"


def collect(
    workspace: Workspace,
    folder: str,
    request: AppRequest,
    info: BoardInfo,
    ended: Ended,
    traced: bool,
    warnings: list[str],
    progress: Reporter,
) -> AppReport:
    dumps = _listed(workspace.transport, f"{folder}/dumps", lambda name: is_dump(name) is not None)
    traces = _listed(workspace.transport, f"{folder}/trace", lambda name: _TRACE.fullmatch(name) is not None)
    outputs = _listed(workspace.transport, f"{folder}/outputs", lambda name: name in (STDOUT, STDERR))
    total = sum(file.nbytes for file in (*dumps, *traces, *outputs))
    if len(dumps) + len(traces) > _MAX_FILES or total > _MAX_NBYTES:
        raise TransferError(
            f"the program left {len(dumps) + len(traces)} files with {size_text(total)}; the caps are {_MAX_FILES} "
            "files and "
            f"{size_text(_MAX_NBYTES)}",
            hint="use a smaller --trace-buffers, or run fewer different models at once",
        )
    try:
        with RunWriter(request.out, force=request.force) as writer:
            progress.begin("fetch", total)
            try:
                for sub, target, files in (
                    ("dumps", "dumps", dumps),
                    ("outputs", "logs", outputs),
                    ("trace", "trace", traces),
                ):
                    (writer.folder / target).mkdir()
                    fetch_verified(
                        workspace.transport,
                        f"{folder}/{sub}",
                        files,
                        writer.folder / target,
                        tools=workspace.tools,
                        progress=progress,
                    )
            finally:
                progress.end()
            whole, damaged = _sound(writer.folder, [file.name for file in dumps])
            records = records_of(writer.folder / "dumps", whole, request.model)
            precision, guess = precision_of(records.tensors, request.model)
            logs = [writer.folder / "logs" / file.name for file in outputs]
            problems = _problems(request, ended, logs, len(whole), damaged)
            n_traces = sum(file.name.endswith(".jsonl") for file in traces)
            notes = (
                *warnings,
                *records.warnings,
                *([guess] if guess and whole else []),
                *(["the program made no call of librknnrt that the layer saw"] if traced and not n_traces else []),
                *request.recognise(logs),
            )
            writer.finish(
                Manifest(
                    Engine.APP,
                    precision,
                    _model_record(request.model),
                    (),
                    records.tensors,
                    _versions(info),
                    _settings(workspace.transport, request, info, ended, traced, problems),
                    tuple(
                        [f"logs/{file.name}" for file in outputs]
                        + [f"trace/{file.name}" for file in traces if file.name.endswith(".jsonl")]
                    ),
                    info.chip.startswith("emulated") or any(_mentions(path, _EMULATED) for path in logs),
                    "",
                    (*problems, *notes),
                )
            )
    except OSError as error:
        raise local_disk_error(request.out, error) from error
    return AppReport(
        request.out,
        ended.code,
        ended.signal_name,
        ended.timed_out,
        ended.duration_s,
        len(whole),
        n_traces,
        total,
        problems,
        notes,
        folder if request.keep else None,
    )


def _listed(transport: Transport, folder: str, wanted: Callable[[str], bool]) -> list[RemoteFile]:
    listing = list_folder(transport, folder)
    return [] if listing is None else [file for file in listing.files if wanted(file.name)]


def _sound(folder: Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which dumps are whole; the others, cut off when the program died, are moved to `damaged`."""
    whole, damaged = [], []
    for name in names:
        try:
            read_npy_header(folder / "dumps" / name)
            whole.append(name)
        except DataError as error:
            damaged.append(error.message.rpartition("/")[2])
            (folder / "damaged").mkdir(exist_ok=True)
            (folder / "dumps" / name).rename(folder / "damaged" / name)
    return whole, damaged


def _problems(
    request: AppRequest, ended: Ended, logs: Sequence[Path], dumps: int, damaged: Sequence[str]
) -> tuple[str, ...]:
    said = next((text for path in reversed(logs) if (text := _tail(path))), "")
    tail = f"; its last line: {said}" if said else ""
    found = []
    if ended.timed_out:
        found.append(f"the program did not end within {request.timeout_s or 0:g} s and was stopped{tail}")
    elif ended.signal_name is not None:
        found.append(f"the program was killed by {ended.signal_name}{tail}")
    elif ended.code == NO_CWD and not said:
        found.append(f"the working folder {request.cwd} is not there")
    elif ended.code in (126, 127):
        why = "cannot be executed" if ended.code == 126 else "was not found"
        found.append(f"{request.argv[0]} {why}{tail}")
    elif ended.code != 0:
        found.append(f"the program ended with exit code {ended.code}{tail}")
    if damaged:
        found.append(f"{len(damaged)} dumps are cut off, first {damaged[0]}")
    if not dumps:
        found.append(
            "the program made no dumps: it did not call rknn_run successfully, or it sets RKNN_DUMP_DIR itself"
        )
    return tuple(found)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return last_line(file.read().decode("utf-8", "replace"))[:400]


def _mentions(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return any(text in line for line in iter(lambda: file.readline(65536), b""))


def _model_record(model: Model | None) -> ModelRecord:
    if model is None:
        return ModelRecord("unknown")
    return ModelRecord(model.path.name, model.sha256, model.platform or None, model.compiler_version or None)


def _versions(info: BoardInfo) -> dict[str, str]:
    versions = {"rkparity": __version__, "runtime": info.runtime, "driver": info.driver, "libc": info.libc}
    return {name: text for name, text in versions.items() if text}


def _settings(
    transport: Transport,
    request: AppRequest,
    info: BoardInfo,
    ended: Ended,
    traced: bool,
    problems: Sequence[str],
) -> dict[str, Any]:
    return {
        "command": list(request.argv),
        "cwd": request.cwd,
        "uploads": [path.name for path in request.uploads],
        "exit_code": ended.code,
        "signal": ended.signal_name,
        "timed_out": ended.timed_out,
        "timeout_s": request.timeout_s,
        "duration_s": round(ended.duration_s, 3),
        "dump_quant": request.dump_quant,
        "trace": traced,
        "trace_buffers": request.trace_buffers,
        "problems": list(problems),
        "board": transport.name,
        "chip": info.chip,
    }
