"""Files from this machine into a folder on the board: one tar stream, or `cat` file by file where there is no tar."""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.board.files.fetch import Digests, can_hash
from rkparity.board.files.listing import list_folder
from rkparity.board.link.process import RemoteProcess
from rkparity.board.link.transport import Transport
from rkparity.errors import BoardError, TransferError

_CHUNK_NBYTES = 1 << 20
_END_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Outgoing:
    """A file to send: from `source` (a path, or the bytes themselves) to `name`, a relative path on the board."""

    name: str
    source: Path | bytes
    executable: bool = False

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


def push_files(
    transport: Transport,
    directory: str,
    files: Sequence[Outgoing],
    *,
    tools: frozenset[str],
    on_bytes: Callable[[int], None] = lambda nbytes: None,
) -> None:
    """Sends `files` into `directory`, which must exist, and verifies the flat ones by size.

    Raises BoardError when the board cannot store them (disk full, read-only), TransferError when they did not arrive
    whole, ConnectionFailed when the connection is lost.
    """
    if "tar" in tools:
        _push_tar(transport, directory, files, on_bytes)
    else:
        for file in files:
            _push_cat(transport, f"{directory}/{file.name}", file, on_bytes)
    flat = {file.name: file.nbytes for file in files if "/" not in file.name}
    if flat:
        listing = list_folder(transport, directory)
        there = {file.name: file.nbytes for file in listing.files} if listing is not None else {}
        wrong = [name for name, nbytes in flat.items() if there.get(name) != nbytes]
        if wrong:
            raise TransferError(
                f"{transport.name}: {directory}/{wrong[0]} has {there.get(wrong[0], 'no')} bytes on the board, "
                f"not {flat[wrong[0]]}"
            )


def verify_pushed(transport: Transport, directory: str, hashes: dict[str, str], *, tools: frozenset[str]) -> bool:
    """Compares files on the board with their SHA-256; False when it cannot hash; TransferError when one differs."""
    if not can_hash(tools):
        return False
    board = Digests(transport, directory, list(hashes), tools).result(timeout_s=300)
    wrong = [name for name, digest in hashes.items() if board[name] != digest]
    if wrong:
        raise TransferError(
            f"{transport.name}: {directory}/{wrong[0]} is damaged on the board",
            hint="try again; if it happens again, check the board's storage",
        )
    return True


class _Pipe(io.RawIOBase):
    """What tarfile writes to: the command's standard input."""

    def __init__(self, process: RemoteProcess, on_bytes: Callable[[int], None]) -> None:
        self._process = process
        self._on_bytes = on_bytes

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._process.write(bytes(data))
        self._on_bytes(len(data))
        return len(data)


def _push_tar(transport: Transport, directory: str, files: Sequence[Outgoing], on_bytes: Callable[[int], None]) -> None:
    with transport.start(["tar", "-xof", "-", "-C", directory]) as process:
        try:
            pipe = _Pipe(process, on_bytes)
            with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT, bufsize=_CHUNK_NBYTES) as archive:
                for file in files:
                    _add(archive, file)
            process.close_stdin()
        except BrokenPipeError:
            process.close_stdin()
        _finish(transport, process, directory)


def _add(archive: tarfile.TarFile, file: Outgoing) -> None:
    member = tarfile.TarInfo(file.name)
    member.mode = 0o755 if file.executable else 0o644
    member.size = file.nbytes
    if isinstance(file.source, bytes):
        archive.addfile(member, io.BytesIO(file.source))
    else:
        with file.source.open("rb") as source:
            archive.addfile(member, source)


def _push_cat(transport: Transport, path: str, file: Outgoing, on_bytes: Callable[[int], None]) -> None:
    quoted = shlex.quote(path)
    mode = "755" if file.executable else "644"
    command = f"mkdir -p {shlex.quote(path.rpartition('/')[0])} && cat > {quoted} && chmod {mode} {quoted}"
    with transport.start(["sh", "-c", command]) as process:
        try:
            if isinstance(file.source, bytes):
                process.write(file.source)
                on_bytes(len(file.source))
            else:
                with file.source.open("rb") as source:
                    while data := source.read(_CHUNK_NBYTES):
                        process.write(data)
                        on_bytes(len(data))
            process.close_stdin()
        except BrokenPipeError:
            process.close_stdin()
        _finish(transport, process, path)


def _finish(transport: Transport, process: RemoteProcess, where: str) -> None:
    try:
        while process.read(timeout_s=_END_TIMEOUT_S):
            pass
        code = process.wait(timeout_s=_END_TIMEOUT_S)
    except TimeoutError as error:
        raise TransferError(f"{transport.name}: writing {where} did not end within {_END_TIMEOUT_S:g} s") from error
    if code != 0:
        # tar's last line only says that there were errors before; GNU tar calls a full disk "Wrote only N of M bytes".
        said = [line.strip() for line in process.stderr_tail().splitlines() if line.strip()] or [f"exit code {code}"]
        full = next((line for line in said if "space" in line.lower() or "wrote only" in line.lower()), None)
        hint = (
            "the board's disk is full: free some space (`rkparity board clean BOARD`), or use --work-dir"
            if full
            else "choose a folder that can be written with --work-dir"
        )
        raise BoardError(f"{transport.name}: {where} cannot be written: {full or said[0]}", hint=hint)
