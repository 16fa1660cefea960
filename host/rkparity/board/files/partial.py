"""`OUT.part`: what an interrupted pull has brought so far, so that the next one sends only the rest."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from rkparity.board.files.listing import RemoteFile
from rkparity.errors import TransferError, UsageError
from rkparity.io import read_json, write_json

_STATE = "pull.json"
_SCHEMA = "rkparity.pull/1"


class PartialPull:
    """The folder beside a run that is being pulled. Only one process may use it at a time."""

    def __init__(self, path: Path, board: str, directory: str, lock: int) -> None:
        self.path = path
        self.folder = path / "files"
        self._board = board
        self._directory = directory
        self._lock = lock
        self._known: dict[str, tuple[int, int]] = {}

    @classmethod
    def open(cls, out: Path, board: str, directory: str) -> PartialPull:
        """Makes or finds the partial folder of run `out`; what another board or folder left in it is thrown away.

        Raises TransferError when it cannot be made, UsageError when another process is using it or it is not ours.
        """
        path = out.absolute().with_name(f"{out.absolute().name}.part")
        try:
            if path.exists() and not (path / _STATE).is_file() and any(path.iterdir()):
                raise UsageError(f"{path}: is in the way and was not made by a pull", hint="move it away")
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise TransferError(
                f"{path}: cannot be made: {error.strerror}", hint="choose another folder with -o"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise UsageError(f"{path}: another pull into {out} is running") from error
        partial = cls(path, board, directory, lock)
        partial._load()
        return partial

    def has(self, file: RemoteFile) -> bool:
        """Whether a file of that name and size is here."""
        path = self.folder / file.name
        return path.is_file() and not path.is_symlink() and path.stat().st_size == file.nbytes

    def remembers(self, file: RemoteFile) -> bool:
        """Whether the board's file had the same size and time when it was copied."""
        return file.mtime != 0 and self._known.get(file.name) == (file.nbytes, file.mtime)

    def remember(self, files: Iterable[RemoteFile]) -> None:
        """Writes down what is being copied."""
        value = {
            "schema": _SCHEMA,
            "board": self._board,
            "directory": self._directory,
            "files": {file.name: [file.nbytes, file.mtime] for file in files},
        }
        write_json(
            self.path / _STATE,
            value,
            failure=TransferError,
            hint="free some space or choose another folder with -o",
        )

    def keep_only(self, names: Iterable[str]) -> None:
        """Removes every file not named."""
        kept = set(names)
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink()

    def count(self) -> int:
        """How many files are here."""
        return sum(1 for path in self.folder.iterdir() if not path.name.startswith("."))

    def discard(self) -> None:
        """Removes the folder: the run is whole."""
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> PartialPull:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A pull that brought nothing leaves nothing.
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.discard()
        os.close(self._lock)

    def _load(self) -> None:
        state: object = None
        with contextlib.suppress(TransferError):
            state = read_json(self.path / _STATE, unreadable=TransferError, damaged=TransferError)
        ours = (
            isinstance(state, dict)
            and state.get("schema") == _SCHEMA
            and state.get("board") == self._board
            and state.get("directory") == self._directory
            and isinstance(state.get("files"), dict)
        )
        try:
            if not ours and self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise TransferError(f"{self.folder}: cannot be made: {error.strerror}") from error
        if ours and isinstance(state, dict):
            self._known = {
                name: (entry[0], entry[1])
                for name, entry in state["files"].items()
                if isinstance(entry, list) and len(entry) == 2
            }
        else:
            self.remember(())
