"""Files from a folder on the board to a folder here: one tar stream, verified; one by one where there is no tar."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rkparity.board.files.listing import RemoteFile
from rkparity.board.files.progress import Reporter
from rkparity.board.files.tar_reader import Received, TarReceiver
from rkparity.board.link.process import RemoteProcess, last_line
from rkparity.board.link.transport import Transport
from rkparity.errors import TransferError

# Nothing for a minute means the connection or the board is gone.
IDLE_TIMEOUT_S = 60.0
# Far below the smallest limit of a Linux kernel for a command's arguments.
_NAMES_NBYTES = 96 * 1024
_TOOLS = ("tar", "sha256sum", "openssl")


def tools_of(transport: Transport) -> frozenset[str]:
    """Which of the programs used here the board has."""
    script = "".join(f"command -v {tool} >/dev/null 2>&1 && echo {tool}\n" for tool in _TOOLS) + "exit 0\n"
    return frozenset(transport.run_script(script).text.split()) & set(_TOOLS)


def fetch_files(
    transport: Transport,
    directory: str,
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    tools: frozenset[str],
    on_bytes: Callable[[int], None],
    on_file: Callable[[Received], None],
) -> None:
    """Copies `files` of `directory` into `folder`; each appears under its name when it is whole.

    Raises TransferError when the board sends something else, ConnectionFailed when the connection is lost; files that
    arrived before stay. An error of this machine's disk is a TransferError too.
    """
    try:
        if "tar" in tools:
            for batch in _batches(files, transport.bulk_limit_nbytes):
                _fetch_batch(transport, directory, batch, folder, on_bytes, on_file)
        else:
            for file in files:
                on_file(_fetch_one(transport, f"{directory}/{file.name}", file, folder, on_bytes))
    except TimeoutError as error:
        raise TransferError(
            f"{transport.name}: nothing came for {IDLE_TIMEOUT_S:g} s",
            hint="is the board still alive? Pull again: what has arrived is kept",
        ) from error
    except OSError as error:
        raise local_disk_error(folder, error) from error


def fetch_verified(
    transport: Transport,
    directory: str,
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    tools: frozenset[str],
    progress: Reporter,
) -> None:
    """Copies `files` as `fetch_files` does and compares their SHA-256 with the board's, where the board can hash.

    Raises TransferError when one differs, and as `fetch_files` does.
    """
    if not files:
        return
    received: dict[str, str] = {}

    def arrived(file: Received) -> None:
        received[file.name] = file.sha256

    digests = Digests(transport, directory, [file.name for file in files], tools) if can_hash(tools) else None
    try:
        fetch_files(transport, directory, files, folder, tools=tools, on_bytes=progress.advance, on_file=arrived)
        wrong = mismatches(received, digests.result(timeout_s=600)) if digests is not None else []
    finally:
        if digests is not None:
            digests.cancel()
    if wrong:
        raise TransferError(
            f"{transport.name}: {len(wrong)} files differ from the board's after the transfer, first {wrong[0]!r}",
            hint="run again",
        )


def local_disk_error(folder: Path, error: OSError) -> TransferError:
    """The error for this machine's disk being full, read-only or too small a quota."""
    return TransferError(
        f"{folder}: cannot be written: {error.strerror or error}",
        hint="free some space or choose another folder, then pull again: what has arrived is kept",
    )


class Digests:
    """SHA-256 of files, computed on the board while they are being transferred."""

    def __init__(self, transport: Transport, directory: str, names: Sequence[str], tools: frozenset[str]) -> None:
        self._transport = transport
        self._directory = directory
        self._names = list(names)
        # OpenSSL uses the processor's SHA instructions; coreutils' own code takes four times as long.
        program = "openssl dgst -sha256 -r" if "openssl" in tools else "sha256sum"
        script = f"cd {shlex.quote(directory)} || exit 66\n"
        for start in range(0, len(self._names), 200):
            batch = " ".join(shlex.quote(f"./{name}") for name in self._names[start : start + 200])
            script += f"{program} {batch} || exit 1\n"
        self._process = transport.start(["sh", "-s"])
        try:
            self._process.write(script.encode("utf-8", "surrogateescape"))
            self._process.close_stdin()
        except BaseException:
            self._process.close()
            raise

    def result(self, *, timeout_s: float) -> dict[str, str]:
        """Each file's hash; TransferError when the board could not compute them all."""
        with self._process as process:
            data = bytearray()
            try:
                while True:
                    piece = process.read(timeout_s=timeout_s)
                    if not piece:
                        break
                    data += piece
                code = process.wait(timeout_s=timeout_s)
            except TimeoutError as error:
                raise TransferError(
                    f"{self._transport.name}: the board did not hash its files within {timeout_s:g} s"
                ) from error
        # In the order asked for, one line each; sha256sum puts a backslash before lines with escaped names.
        hashes = [line.lstrip(b"\\")[:64].decode("ascii", "replace") for line in bytes(data).split(b"\n") if line]
        if code != 0 or len(hashes) != len(self._names):
            raise TransferError(
                f"{self._transport.name}: {self._directory}: the files could not be hashed on the board: "
                f"{last_line(process.stderr_tail()) or f'exit code {code}'}"
            )
        return dict(zip(self._names, hashes))

    def cancel(self) -> None:
        """Stops waiting for them."""
        self._process.close()


def can_hash(tools: frozenset[str]) -> bool:
    """Whether the board has a program for SHA-256."""
    return bool(tools & {"sha256sum", "openssl"})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file of this machine."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            data = file.read(1 << 20)
            if not data:
                return digest.hexdigest()
            digest.update(data)


def mismatches(received: Mapping[str, str], board: Mapping[str, str]) -> list[str]:
    """The names whose hash here and on the board differ."""
    return sorted(name for name, digest in board.items() if received.get(name) != digest)


def _batches(files: Sequence[RemoteFile], limit_nbytes: int | None) -> Iterator[list[RemoteFile]]:
    batch: list[RemoteFile] = []
    names_nbytes = data_nbytes = 0
    for file in files:
        name_nbytes = len(os.fsencode(shlex.quote(f"./{file.name}"))) + 1
        too_much = limit_nbytes is not None and data_nbytes + file.nbytes > limit_nbytes
        if batch and (too_much or names_nbytes + name_nbytes > _NAMES_NBYTES):
            yield batch
            batch, names_nbytes, data_nbytes = [], 0, 0
        batch.append(file)
        names_nbytes += name_nbytes
        data_nbytes += file.nbytes
    if batch:
        yield batch


def _fetch_batch(
    transport: Transport,
    directory: str,
    batch: Sequence[RemoteFile],
    folder: Path,
    on_bytes: Callable[[int], None],
    on_file: Callable[[Received], None],
) -> None:
    names = " ".join(shlex.quote(f"./{file.name}") for file in batch)
    script = f"cd {shlex.quote(directory)} || exit 66\nexec tar -cf - {names}\n"
    with transport.start_bulk_script(script) as process:
        receiver = TarReceiver(
            lambda: process.read(timeout_s=IDLE_TIMEOUT_S), {file.name: file.nbytes for file in batch}, folder, on_bytes
        )
        arrived = 0
        for received in receiver.files():
            arrived += 1
            on_file(received)
        if arrived == len(batch):
            receiver.drain()
        code = process.wait(timeout_s=IDLE_TIMEOUT_S)
        _check_sender(transport, process, code, arrived, batch)


def _check_sender(
    transport: Transport, process: RemoteProcess, code: int | None, arrived: int, batch: Sequence[RemoteFile]
) -> None:
    said = last_line(process.stderr_tail())
    if arrived < len(batch):
        raise TransferError(
            f"{transport.name}: {len(batch) - arrived} of {len(batch)} files did not come{f': {said}' if said else ''}",
            hint="were they removed meanwhile? Pull again",
        )
    if code != 0:
        raise TransferError(
            f"{transport.name}: tar on the board ended with {code}: {said}",
            hint="a file changed while it was read: is a program still writing dumps? Pull again when it is done",
        )


def _fetch_one(
    transport: Transport, path: str, file: RemoteFile, folder: Path, on_bytes: Callable[[int], None]
) -> Received:
    temporary = folder / f".receiving-{os.getpid()}.part"
    digest = hashlib.sha256()
    total = 0
    try:
        with temporary.open("wb") as target:
            for data in transport.fetch(path):
                total += len(data)
                if total > file.nbytes:
                    break
                digest.update(data)
                target.write(data)
                on_bytes(len(data))
        if total != file.nbytes:
            raise TransferError(
                f"the board announced {file.name!r} with {file.nbytes} bytes and sent {total}",
                hint="the file changed meanwhile: is a program still writing dumps? Pull again when it is done",
            )
        temporary.replace(folder / file.name)
    finally:
        temporary.unlink(missing_ok=True)
    return Received(file.name, total, digest.hexdigest())
