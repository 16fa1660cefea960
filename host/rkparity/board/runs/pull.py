"""Dumps from a board, or from a folder here, into a run: resumable, verified, whole or not at all."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity import __version__
from rkparity.board.files.fetch import (
    Digests,
    can_hash,
    fetch_files,
    mismatches,
    sha256_of,
    tools_of,
)
from rkparity.board.files.listing import Listing, RemoteFile, list_folder
from rkparity.board.files.partial import PartialPull
from rkparity.board.files.progress import Reporter, size_text
from rkparity.board.files.tar_reader import Received
from rkparity.board.link.transport import Transport
from rkparity.board.runs.collect import model_record, writing_run
from rkparity.board.runs.dump_records import is_dump, precision_of, records_of
from rkparity.errors import BoardError, ConnectionFailed, TransferError, UsageError
from rkparity.io import check_new_folder
from rkparity.runs import Engine, Manifest, Precision

if TYPE_CHECKING:
    from rkparity.model import Model

# Where rknn_server puts dumps on Linux and Android (RKNN manual 7.2.2) and on RV1103/1106.
DEFAULT_SOURCES = ("/userdata/dumps", "/data/dumps", "/tmp/dumps")  # noqa: S108
MAX_FILES = 20_000
MAX_NBYTES = 16 << 30
_LOG = re.compile(r"[A-Za-z0-9][\w.+-]{0,100}\.(?:log|txt)")
# A slow board hashes 20 MB/s; the base covers starting the program.
_HASH_BASE_S, _HASH_NBYTES_PER_S = 60.0, 5e6


@dataclass(frozen=True)
class PullRequest:
    """What to pull and into which run. `source` None tries the default folders."""

    out: Path
    source: str | None = None
    max_files: int = MAX_FILES
    max_nbytes: int = MAX_NBYTES
    force: bool = False
    engine: Engine = Engine.BOARD
    model: Model | None = None
    precision: Precision | None = None


@dataclass(frozen=True)
class PullResult:
    """What was pulled. `kept_files` were here already from an interrupted pull; `skipped` is (name, reason)."""

    run: Path
    source: str
    files: int
    nbytes: int
    kept_files: int
    seconds: float
    verified_by: str
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass
class _Selection:
    dumps: list[RemoteFile] = field(default_factory=list)
    logs: list[RemoteFile] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def files(self) -> list[RemoteFile]:
        return [*self.dumps, *self.logs]


def pull_dumps(transport: Transport, request: PullRequest, progress: Reporter) -> PullResult:
    """Copies the dumps in one folder of the board into a new run.

    Raises BoardError (no such folder, no rights, nothing in it), TransferError (connection lost, files changed, this
    machine's disk full; what has arrived is kept in `OUT.part` for the next try), DataError (damaged dumps) or
    UsageError.
    """
    check_new_folder(request.out, force=request.force)
    start = time.monotonic()
    transport.warm_bulk()
    listing = _find_source(transport, request.source)
    selection = _select(listing)
    _check_caps(transport, listing, selection, request)
    tools = tools_of(transport)
    with PartialPull.open(request.out, transport.name, listing.directory) as partial:
        partial.keep_only({file.name for file in selection.files})
        kept = _kept(transport, listing, selection, partial, tools)
        missing = [file for file in selection.files if file.name not in kept]
        partial.remember(selection.files)
        total = sum(file.nbytes for file in selection.files)
        progress.begin("pull", total, done_nbytes=sum(file.nbytes for file in selection.files if file.name in kept))
        try:
            verified_by = _transfer(transport, listing.directory, missing, partial.folder, tools, progress)
            _check_unchanged(transport, listing, selection)
        except ConnectionFailed as error:
            raise TransferError(
                f"{error.message}; {partial.count()} of {len(selection.files)} files are here",
                hint=f"run the same command again: it goes on from {partial.path}",
            ) from error
        finally:
            progress.end()
        seconds = time.monotonic() - start
        skipped = tuple(selection.skipped)
        warnings: tuple[str, ...] = (
            ()
            if verified_by == "sha256"
            else ("the board has neither sha256sum nor openssl: the files were verified by their sizes only",)
        )
        warnings = _write_run(
            request,
            partial.folder,
            [file.name for file in selection.dumps],
            [file.name for file in selection.logs],
            skipped,
            warnings,
            {"source": listing.directory, "board": transport.name, "verified_by": verified_by},
        )
        partial.discard()
    return PullResult(
        request.out, listing.directory, len(selection.files), total, len(kept), seconds, verified_by, skipped, warnings
    )


def import_folder(folder: Path, request: PullRequest) -> PullResult:
    """Copies dumps that are in a folder of this machine into a new run; raises as `pull_dumps` does."""
    check_new_folder(request.out, force=request.force)
    start = time.monotonic()
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    names, logs, skipped = [], [], []
    total = 0
    for path in sorted(folder.iterdir()):
        regular = path.is_file() and not path.is_symlink()
        if regular and is_dump(path.name):
            names.append(path.name)
            total += path.stat().st_size
        elif regular and _LOG.fullmatch(path.name):
            logs.append(path.name)
        else:
            skipped.append((path.name, _why_not(path.name) if regular else "not a regular file"))
    if not names:
        raise UsageError(f"{folder}: holds no dump of librknnrt", hint=_HINT_NO_DUMPS)
    if len(names) > request.max_files or total > request.max_nbytes:
        raise _cap_error(str(folder), len(names), total, request)
    warnings = _write_run(request, folder, names, logs, tuple(skipped), (), {"source": str(folder)}, move=False)
    return PullResult(
        request.out,
        str(folder),
        len(names) + len(logs),
        total,
        0,
        time.monotonic() - start,
        "copy",
        tuple(skipped),
        warnings,
    )


_HINT_NO_DUMPS = (
    "dumps are written at RKNN_LOG_LEVEL=5 or more, into RKNN_DUMP_DIR, or into ./dumps of the program's working "
    "directory when that is not set; the folder must exist beforehand. Name it with --from"
)


def _find_source(transport: Transport, source: str | None) -> Listing:
    candidates = DEFAULT_SOURCES if source is None else (source,)
    found: Listing | None = None
    for candidate in candidates:
        listing = list_folder(transport, candidate)
        if listing is not None and any(is_dump(file.name) for file in listing.files):
            return listing
        found = found or listing
    if found is None:
        raise BoardError(f"{transport.name}: there is no folder {' or '.join(candidates)}", hint=_HINT_NO_DUMPS)
    raise BoardError(
        f"{transport.name}: {found.directory} holds no dump of librknnrt ({len(found.files)} other files)",
        hint=_HINT_NO_DUMPS,
    )


def _select(listing: Listing) -> _Selection:
    selection = _Selection(skipped=list(listing.others))
    for file in listing.files:
        if is_dump(file.name):
            selection.dumps.append(file)
        elif _LOG.fullmatch(file.name):
            selection.logs.append(file)
        else:
            selection.skipped.append((file.name, _why_not(file.name)))
    return selection


def _why_not(name: str) -> str:
    if name.endswith(".tensor"):
        return "a text dump (RKNN_DUMP_TXT_TENSOR); the .npy beside it holds the same values"
    return "not the name of a dump or a log"


def _check_caps(transport: Transport, listing: Listing, selection: _Selection, request: PullRequest) -> None:
    total = sum(file.nbytes for file in selection.files)
    if len(selection.files) > request.max_files or total > request.max_nbytes:
        raise _cap_error(f"{transport.name}: {listing.directory}", len(selection.files), total, request)
    folder = request.out.absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if total > free:
        raise TransferError(
            f"{folder}: the dumps need {size_text(total)}, the disk has {size_text(free)} left",
            hint="free some space or choose another folder with -o",
        )


def _cap_error(where: str, files: int, nbytes: int, request: PullRequest) -> TransferError:
    return TransferError(
        f"{where} holds {files} files with {size_text(nbytes)}; the caps are {request.max_files} files and "
        f"{size_text(request.max_nbytes)}: nothing was copied",
        hint="raise --max-files or --max-bytes if that is what you expect",
    )


def _kept(
    transport: Transport, listing: Listing, selection: _Selection, partial: PartialPull, tools: frozenset[str]
) -> frozenset[str]:
    """The files an interrupted pull has brought already and that are still the same on the board."""
    here = [file for file in selection.files if partial.has(file)]
    if not here:
        return frozenset()
    if can_hash(tools):
        board = Digests(transport, listing.directory, [file.name for file in here], tools).result(
            timeout_s=_hash_time(here)
        )
        same = {name for name, digest in board.items() if sha256_of(partial.folder / name) == digest}
    else:
        same = {file.name for file in here if partial.remembers(file)}
    partial.keep_only(same)
    return frozenset(same)


def _transfer(
    transport: Transport,
    directory: str,
    files: Sequence[RemoteFile],
    folder: Path,
    tools: frozenset[str],
    progress: Reporter,
) -> str:
    """Fetches and verifies; returns how the files were verified."""
    hashing = can_hash(tools)
    if not files:
        return "sha256" if hashing else "size"
    received: dict[str, str] = {}

    def arrived(file: Received) -> None:
        received[file.name] = file.sha256

    digests = Digests(transport, directory, [file.name for file in files], tools) if hashing else None
    try:
        fetch_files(transport, directory, files, folder, tools=tools, on_bytes=progress.advance, on_file=arrived)
        if digests is None:
            return "size"
        wrong = mismatches(received, digests.result(timeout_s=_hash_time(files)))
    finally:
        if digests is not None:
            digests.cancel()
    if wrong:
        for name in wrong:
            (folder / name).unlink(missing_ok=True)
        raise TransferError(
            f"{transport.name}: {len(wrong)} files differ from the board's after the transfer, first {wrong[0]!r}",
            hint="is a program still writing dumps? Pull again when it is done",
        )
    return "sha256"


def _hash_time(files: Sequence[RemoteFile]) -> float:
    return _HASH_BASE_S + sum(file.nbytes for file in files) / _HASH_NBYTES_PER_S


def _check_unchanged(transport: Transport, before: Listing, selection: _Selection) -> None:
    after = list_folder(transport, before.directory)
    now = {file.name: file for file in after.files} if after is not None else {}
    changed = [file.name for file in selection.dumps if now.get(file.name) != file]
    if changed:
        raise TransferError(
            f"{transport.name}: {len(changed)} dumps changed while they were pulled, first {changed[0]!r}",
            hint="a program is still running the model; pull again when it is done",
        )


def _write_run(
    request: PullRequest,
    folder: Path,
    dumps: Sequence[str],
    logs: Sequence[str],
    skipped: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    settings: Mapping[str, object],
    *,
    move: bool = True,
) -> tuple[str, ...]:
    records = records_of(folder, dumps, request.model)
    precision, guess = precision_of(records.tensors, request.model)
    if request.precision is not None:
        precision, guess = request.precision, ""
    notes = [
        *warnings,
        *records.warnings,
        *([guess] if guess else []),
        *(f"not copied: {name}: {reason}" for name, reason in skipped),
    ]
    with writing_run(request.out, force=request.force) as writer:
        for name, sub in (*((name, "dumps") for name in dumps), *((name, "logs") for name in logs)):
            (writer.folder / sub).mkdir(exist_ok=True)
            if move:
                (folder / name).rename(writer.folder / sub / name)
            else:
                shutil.copyfile(folder / name, writer.folder / sub / name)
        writer.finish(
            Manifest(
                engine=request.engine,
                precision=precision,
                model=model_record(request.model),
                inputs=(),
                tensors=records.tensors,
                versions={"rkparity": __version__},
                settings=dict(settings),
                logs=tuple(f"logs/{name}" for name in logs),
                warnings=tuple(notes),
            )
        )
    return tuple(notes)
