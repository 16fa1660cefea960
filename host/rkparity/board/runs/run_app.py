"""The user's own program on a board: started with dumps and a trace of its calls, ended in time, kept as a run."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rkparity.board.files.progress import Reporter
from rkparity.board.files.push import Outgoing, push_files
from rkparity.board.install.layer import LAYER_NAME, find_layer
from rkparity.board.install.preflight import BoardInfo, check_board, inspect_board
from rkparity.board.install.workspace import Workspace
from rkparity.board.link.process import last_line, lines
from rkparity.board.link.transport import Transport
from rkparity.board.runs.app_collect import collect
from rkparity.board.runs.app_request import AppReport, AppRequest, Ended
from rkparity.board.runs.app_script import (
    ENDED,
    LAUNCHER,
    NO_FOLDER,
    SUPERVISOR,
    can_preload,
    launcher,
    stopper,
    supervisor,
)
from rkparity.errors import BoardError, UsageError
from rkparity.io import check_new_folder

_SPARE_NBYTES = 64 << 20
_GRACE_S = 15.0
_UPLOADS = "app"


def run_app(transport: Transport, request: AppRequest, progress: Reporter) -> AppReport:
    """Runs the program once on the board and keeps what it left as a run, however it ended.

    Raises BoardError (board unfit, nothing could be started), TransferError, ConnectionFailed, UsageError. When it is
    interrupted the program's process group on the board is ended.
    """
    if not request.argv:
        raise UsageError("no program was named", hint="rkparity run-app --board BOARD -o RUN -- ./app arguments")
    check_new_folder(request.out, force=request.force)
    uploads = list(_uploads(request.uploads))
    info = inspect_board(transport, work_dir=request.work_dir)
    warnings = list(check_board(info, needed_nbytes=_needed_nbytes(request, uploads)))
    if "LD_LIBRARY_PATH" in request.environment:
        warnings = [text for text in warnings if "librknnrt.so" not in text]
    with tempfile.TemporaryDirectory(prefix="rkparity-app-") as scratch:
        layer = _layer(request, info, Path(scratch), warnings)
        workspace = Workspace.open(transport, info.work_dir, frozenset(info.tools))
        if layer is not None and not can_preload(workspace.root):
            _tell_untraceable(request, workspace.root, warnings)
            layer = None
        folder = workspace.make_run_folder()
        try:
            _prepare(workspace, folder, request, uploads, layer, progress)
            ended = _run(transport, folder, request)
            return collect(workspace, folder, request, info, ended, layer is not None, warnings, progress)
        finally:
            if not request.keep:
                workspace.remove(folder)


def _uploads(paths: Sequence[Path]) -> list[Outgoing]:
    found: dict[str, Outgoing] = {}
    for path in paths:
        if path.is_dir():
            files = [(f"{path.resolve().name}/{file.relative_to(path)}", file) for file in sorted(path.rglob("*"))]
        else:
            files = [(path.name, path)]
        for name, file in files:
            if file.is_dir():
                continue
            if not file.is_file():
                raise UsageError(f"--upload {file}: no such file")
            if name in found:
                raise UsageError(f"--upload {file}: a file called {name} is uploaded already")
            found[name] = Outgoing(f"{_UPLOADS}/{name}", file, os.access(file, os.X_OK))
    return list(found.values())


def _needed_nbytes(request: AppRequest, uploads: Sequence[Outgoing]) -> int:
    dumps = 0
    for dump in (dump for model in request.models for dump in model.expected_dumps()):
        count = 4
        for size in dump.tensor.shape:
            count *= size
        dumps += count
    return sum(file.nbytes for file in uploads) + dumps * (2 if request.dump_quant == 2 else 1) + _SPARE_NBYTES


def _layer(request: AppRequest, info: BoardInfo, scratch: Path, warnings: list[str]) -> Path | None:
    if request.trace is False:
        return None
    try:
        return find_layer(info.arch, scratch=scratch)
    except BoardError as error:
        if request.trace:
            raise
        warnings.append(f"no trace of the program's calls: {error.message}")
        return None


def _tell_untraceable(request: AppRequest, root: str, warnings: list[str]) -> None:
    why = f"{root}: a library in a folder with a colon or semicolon in its name cannot be preloaded"
    if request.trace:
        raise UsageError(why, hint="name another folder with --work-dir, or use --no-trace")
    warnings.append(f"no trace of the program's calls: {why}")


def _prepare(
    workspace: Workspace,
    folder: str,
    request: AppRequest,
    uploads: Sequence[Outgoing],
    layer: Path | None,
    progress: Reporter,
) -> None:
    environment = {
        **request.environment,
        "RKNN_LOG_LEVEL": "5",
        "RKNN_DUMP_DIR": f"{folder}/dumps",
        "RKNN_DUMP_QUANT": str(request.dump_quant),
    }
    if layer is not None:
        environment["RKPARITY_TRACE_DIR"] = f"{folder}/trace"
        environment["RKPARITY_DUMP_ROOT"] = f"{folder}/dumps"
        environment["RKPARITY_TRACE_BUFFERS"] = str(request.trace_buffers)
        if not request.hashes:
            environment["RKPARITY_TRACE_NO_HASH"] = "1"
    cwd = request.cwd or (f"{folder}/{_UPLOADS}" if uploads else _home(workspace.transport))
    preload = f"{folder}/lib/{LAYER_NAME}" if layer is not None else None
    scripts = {
        LAUNCHER: launcher(request.argv, cwd, environment, preload),
        SUPERVISOR: supervisor(folder, timeout_s=request.timeout_s, watches_stdin=_keeps_stdin(workspace.transport)),
    }
    files = [Outgoing(name, text.encode("utf-8", "surrogateescape")) for name, text in scripts.items()]
    files += uploads
    if layer is not None:
        files.append(Outgoing(f"lib/{LAYER_NAME}", layer))
    made = workspace.transport.run(
        ["mkdir", *(f"{folder}/{sub}" for sub in ("dumps", "outputs", "trace", "lib", _UPLOADS))]
    )
    if made.exit_code != 0:
        raise BoardError(f"{workspace.transport.name}: {folder} cannot be written: {last_line(made.stderr)}")
    progress.begin("send", sum(file.nbytes for file in files))
    try:
        push_files(workspace.transport, folder, files, tools=workspace.tools, on_bytes=progress.advance)
    finally:
        progress.end()


def _keeps_stdin(transport: Transport) -> bool:
    """Whether a command's standard input stays open while it runs; through adb it is a file."""
    return transport.keeps_shell


def _home(transport: Transport) -> str:
    home = transport.run_script('printf %s "$HOME"\n').text
    return home if home.startswith("/") else "/"


def _run(transport: Transport, folder: str, request: AppRequest) -> Ended:
    deadline = None if request.timeout_s is None else time.monotonic() + request.timeout_s + _GRACE_S
    start = time.monotonic()
    with transport.start(["sh", f"{folder}/{SUPERVISOR}"]) as process:
        try:
            if not _keeps_stdin(transport):
                process.close_stdin()
            for line in lines(process, deadline=deadline):
                word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                if word == ENDED:
                    return _ended(rest, time.monotonic() - start)
            code = process.wait(timeout_s=30)
        except TimeoutError as error:
            stop_app(transport, folder)
            raise BoardError(
                f"{transport.name}: the program did not end within {request.timeout_s or 0:g} s and its supervisor "
                "did not "
                "end it either",
                hint="look at the board with `top`",
            ) from error
        except BaseException:
            stop_app(transport, folder)
            raise
        said = last_line(process.stderr_tail())
        what = "its run folder is gone" if code == NO_FOLDER else said or f"exit code {code}"
        raise BoardError(f"{transport.name}: the program could not be supervised: {what}")


def _ended(rest: str, duration_s: float) -> Ended:
    words = rest.split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise BoardError(f"the board's shell said {rest!r} where the program's exit code should be")
    code, timed_out = int(words[0]), words[1] == "1"
    # A shell reports death by a signal as 128 plus its number.
    killed = code - 128 if 128 < code < 128 + 65 else None
    return Ended(None if killed is not None else code, killed, timed_out, duration_s)


def stop_app(transport: Transport, folder: str) -> None:
    """Ends the program started in `folder` with everything it started. A lost connection is passed over."""
    try:
        transport.run_script(stopper(folder), timeout_s=20)
    except BoardError:
        # The supervisor's standard input has ended with the connection; it ends the program by itself.
        return
