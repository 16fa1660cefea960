"""What a run left on the board, collected into a run here: listed, capped, fetched, verified, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rkparity import __version__
from rkparity.board.files.fetch import fetch_verified, local_disk_error
from rkparity.board.files.listing import FOLDER, RemoteFile, list_folder
from rkparity.board.files.progress import Reporter, size_text
from rkparity.board.install.preflight import BoardInfo
from rkparity.board.install.workspace import Workspace
from rkparity.errors import TransferError
from rkparity.model import Model
from rkparity.runs import ModelRecord, RunWriter

_MAX_FILES, _MAX_NBYTES = 50_000, 64 << 30


@dataclass(frozen=True)
class Left:
    """Files in one folder on the board, `source`, and the run's folder they go to, `target`."""

    source: str
    target: str
    files: tuple[RemoteFile, ...]

    @property
    def nbytes(self) -> int:
        """The size of all of them."""
        return sum(file.nbytes for file in self.files)


def find_left(workspace: Workspace, source: str, target: str, is_wanted: Callable[[str], bool]) -> Left:
    """The files of a folder on the board whose names are wanted; none where there is no such folder."""
    listing = list_folder(workspace.transport, source)
    files = listing.files if listing is not None else ()
    return Left(source, target, tuple(file for file in files if is_wanted(file.name)))


def find_folders(workspace: Workspace, source: str) -> tuple[str, ...]:
    """The names of the folders in a folder on the board."""
    listing = list_folder(workspace.transport, source)
    return () if listing is None else tuple(name for name, what in listing.others if what == FOLDER)


def check_caps(left: Sequence[Left], who: str, *, hint: str = "") -> int:
    """The size of everything `who` ("the run") left; TransferError when that is more than anyone could mean."""
    count, nbytes = sum(len(part.files) for part in left), sum(part.nbytes for part in left)
    if count > _MAX_FILES or nbytes > _MAX_NBYTES:
        raise TransferError(
            f"{who} left {count} files with {size_text(nbytes)}; the caps are {_MAX_FILES} files and "
            f"{size_text(_MAX_NBYTES)}",
            hint=hint,
        )
    return nbytes


def fetch_left(workspace: Workspace, left: Sequence[Left], folder: Path, progress: Reporter) -> None:
    """Copies everything into `folder`, each part into its own target, verified; raises as `fetch_verified` does."""
    progress.begin("fetch", sum(part.nbytes for part in left))
    try:
        for part in left:
            (folder / part.target).mkdir()
            fetch_verified(
                workspace.transport,
                part.source,
                part.files,
                folder / part.target,
                tools=workspace.tools,
                progress=progress,
            )
    finally:
        progress.end()


@contextmanager
def writing_run(path: Path, *, force: bool) -> Iterator[RunWriter]:
    """A RunWriter whose disk errors are TransferErrors that say what to do."""
    try:
        with RunWriter(path, force=force) as writer:
            yield writer
    except OSError as error:
        raise local_disk_error(path, error) from error


def model_record(model: Model | None) -> ModelRecord:
    """What a manifest says about the model; "unknown" where none was given."""
    if model is None:
        return ModelRecord("unknown")
    return ModelRecord(model.path.name, model.sha256, model.platform or None, model.compiler_version or None)


def versions_of(info: BoardInfo, told: Mapping[str, str] | None = None) -> dict[str, str]:
    """The versions a manifest names: the board's, or better what the run itself told; empty ones left out."""
    versions = {"rkparity": __version__, "runtime": info.runtime, "driver": info.driver, "libc": info.libc}
    versions.update({name: text for name, text in (told or {}).items() if text})
    return {name: text for name, text in versions.items() if text}
