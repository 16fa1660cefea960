"""What a program left on the board: dumps, traces and captured output into a run, however the program ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rkparity.board.files.progress import Reporter
from rkparity.board.install.preflight import BoardInfo
from rkparity.board.install.workspace import Workspace
from rkparity.board.link.process import last_line
from rkparity.board.link.transport import Transport
from rkparity.board.runs.app_models import MODEL_DUMPS, first_model, write_model_runs
from rkparity.board.runs.app_request import AppReport, AppRequest, Ended
from rkparity.board.runs.app_script import NO_CWD, STDERR, STDOUT
from rkparity.board.runs.collect import (
    Left,
    check_caps,
    fetch_left,
    find_folders,
    find_left,
    model_record,
    versions_of,
    writing_run,
)
from rkparity.board.runs.dump_records import is_dump, precision_of, records_of
from rkparity.errors import DataError
from rkparity.runs import Engine, Manifest, read_npy_header
from rkparity.runs.void_values import VOID_MARK, VOID_WARNING

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
    dumps = find_left(workspace, f"{folder}/dumps", "dumps", lambda name: is_dump(name) is not None)
    traces = find_left(workspace, f"{folder}/trace", "trace", lambda name: _TRACE.fullmatch(name) is not None)
    outputs = find_left(workspace, f"{folder}/outputs", "logs", lambda name: name in (STDOUT, STDERR))
    apart = [
        find_left(workspace, f"{folder}/dumps/{sub}", f"dumps/{sub}", lambda name: is_dump(name) is not None)
        for sub in find_folders(workspace, f"{folder}/dumps")
        if MODEL_DUMPS.fullmatch(sub)
    ]
    total = check_caps(
        (dumps, *apart, traces, outputs),
        "the program",
        hint="use a smaller --trace-buffers, or run fewer different models at once",
    )
    with writing_run(request.out, force=request.force) as writer:
        fetch_left(workspace, (dumps, *apart, outputs, traces), writer.folder, progress)
        sound, damaged = _sound(writer.folder, (dumps, *apart))
        whole = sound[""] if len(sound) == 1 else []
        recorded = [file.name for file in traces.files if file.name.endswith(".jsonl")]
        traced_here = request.traced_models([writer.folder / "trace" / name for name in recorded])
        model, _ = first_model(request.models, traced_here, [item for item in sound if item])
        records = records_of(writer.folder / "dumps", whole, model)
        precision, guess = precision_of(records.tensors, model)
        logs = [writer.folder / "logs" / file.name for file in outputs.files]
        problems = _problems(request, ended, logs, sum(map(len, sound.values())), damaged)
        told = [*logs, *(writer.folder / "trace" / name for name in recorded)]
        is_void = any(_mentions(path, VOID_MARK.encode("ascii")) for path in told)
        notes = (
            *([VOID_WARNING] if is_void else []),
            *warnings,
            *records.warnings,
            *([guess] if guess and whole else []),
            *(["the program made no call of librknnrt that the layer saw"] if traced and not recorded else []),
            *request.recognise(logs),
        )
        manifest = Manifest(
            engine=Engine.APP,
            precision=precision,
            model=model_record(model),
            inputs=(),
            tensors=records.tensors,
            versions=versions_of(info),
            settings=_settings(workspace.transport, request, info, ended, traced, problems),
            logs=(*(f"logs/{file.name}" for file in outputs.files), *(f"trace/{name}" for name in recorded)),
            emulated=info.chip.startswith("emulated") or any(_mentions(path, _EMULATED) for path in logs),
            void_values=is_void,
            warnings=(*problems, *notes),
        )
        runs: dict[str, str] = {}
        if len(sound) > 1:
            runs = write_model_runs(writer.folder, manifest, sound, request.models, traced_here)
            manifest = replace(manifest, settings={**manifest.settings, "models": runs})
        writer.finish(manifest)
    return AppReport(
        run=request.out,
        exit_code=ended.code,
        signal=ended.signal_name,
        timed_out=ended.timed_out,
        duration_s=ended.duration_s,
        dumps=sum(map(len, sound.values())),
        traces=len(recorded),
        nbytes=total,
        problems=problems,
        warnings=notes,
        kept=folder if request.keep else None,
        models=tuple(request.out / run for run in runs.values()),
    )


def _sound(folder: Path, left: Sequence[Left]) -> tuple[dict[str, list[str]], list[str]]:
    """Which dumps are whole, by subfolder of `dumps`; the others, cut off when the program died, go to `damaged`."""
    whole: dict[str, list[str]] = {}
    damaged = []
    for part in left:
        sub = part.target.partition("/")[2]
        names = whole.setdefault(sub, [])
        for name in (file.name for file in part.files):
            try:
                read_npy_header(folder / part.target / name)
                names.append(name)
            except DataError as error:
                damaged.append(error.message.rpartition("/")[2])
                (folder / "damaged" / sub).mkdir(parents=True, exist_ok=True)
                (folder / part.target / name).rename(folder / "damaged" / sub / name)
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
        found.append(f"{request.argv[0]} {_start_failure(ended.code, said)}{tail}")
    elif ended.code != 0:
        found.append(f"the program ended with exit code {ended.code}{tail}")
    if damaged:
        found.append(f"{len(damaged)} dumps are cut off, first {damaged[0]}")
    if not dumps:
        found.append(
            "the program made no dumps: it did not call rknn_run successfully, or it sets RKNN_DUMP_DIR itself"
        )
    return tuple(found)


def _start_failure(code: int | None, said: str) -> str:
    """A shell's 127 is also the dynamic loader's, for a program that is there."""
    if "undefined symbol" in said or "symbol lookup error" in said:
        return "was not started: a library lacks a function it needs"
    if "error while loading shared libraries" in said:
        return "was not started: a library it needs is not there"
    return "cannot be executed" if code == 126 else "was not found"


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return last_line(file.read().decode("utf-8", "replace"))[:400]


def _mentions(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return any(text in line for line in iter(lambda: file.readline(65536), b""))


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
