"""Opening and making run folders."""

from __future__ import annotations

import datetime
import hashlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError, UsageError
from rkparity.io import check_new_folder, read_json, write_json
from rkparity.runs.manifest import MANIFEST_NAME, InputForm, InputRecord, Manifest, Role, TensorRecord
from rkparity.runs.npy import open_npy, write_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RunReader:
    """A run on disk, read-only; tensors are mapped when asked for."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path) -> RunReader:
        """Opens the run at `path`; UsageError if it is no run folder, DataError if its manifest is damaged."""
        manifest_path = path / MANIFEST_NAME
        if not manifest_path.is_file():
            raise UsageError(
                f"{path}: is not a run: it has no {MANIFEST_NAME}",
                hint="give the folder that `rkparity run`, `simulate`, `pull` or `import-snapshot` wrote",
            )
        value = read_json(manifest_path, unreadable=DataError, damaged=DataError)
        return cls(path, Manifest.from_json(value, source=str(manifest_path)))

    def file(self, name: str) -> Path:
        """The path of a file of this run; DataError if the name leads out of the run's folder."""
        if not is_confined(name):
            raise DataError(f"{self.path / MANIFEST_NAME}: file name {name!r} leads out of the folder")
        return self.path / name

    def tensor(self, record: TensorRecord) -> NDArray[Any]:
        """Maps one tensor; DataError if its file is damaged or is not what the manifest says."""
        path = self.file(record.file)
        array = open_npy(path)
        if array.shape != record.shape or array.dtype.name != record.dtype:
            raise DataError(
                f"{path}: holds {array.dtype.name} {array.shape}, its manifest says {record.dtype} {record.shape}"
            )
        return array


class RunWriter:
    """Makes a run in a temporary folder beside `path` and renames it into place when the block ends without an error.

    An existing run is never touched unless `force` is true, and then replaced only after the new one is whole.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        check_new_folder(path, force=force)
        self.path = path
        self._manifest: Manifest | None = None
        self._tensor_count = 0
        self._input_count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
            self.folder.chmod(0o755)
        except OSError as error:
            raise UsageError(f"{path}: cannot be made: {error.strerror}") from error

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or self._manifest is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        if self.path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".old", dir=self.path.parent))
            self.path.replace(old / "run")
            self.folder.replace(self.path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            self.folder.replace(self.path)

    def add_tensor(
        self,
        name: str,
        array: NDArray[Any],
        *,
        order: int,
        op_type: str,
        role: Role = Role.LAYER,
        scale: tuple[float, ...] = (),
        zero_point: tuple[int, ...] = (),
        not_comparable: str = "",
    ) -> TensorRecord:
        """Writes one tensor and returns its record. Files are numbered, so odd tensor names cannot collide."""
        folder = self.folder / "tensors"
        folder.mkdir(exist_ok=True)
        # Numbered by arrival, not by `order`: an operator may have several outputs.
        file = f"tensors/{self._tensor_count:04d}.npy"
        self._tensor_count += 1
        write_npy(self.folder / file, array)
        return TensorRecord(
            name, file, array.dtype.name, tuple(array.shape), order, op_type, role, scale, zero_point, not_comparable
        )

    def add_input(self, name: str, array: NDArray[Any], *, layout: str, form: InputForm) -> InputRecord:
        """Writes one input as given to the engine and returns its record."""
        folder = self.folder / "inputs"
        folder.mkdir(exist_ok=True)
        file = f"inputs/{self._input_count}.npy"
        self._input_count += 1
        write_npy(self.folder / file, array)
        return InputRecord(
            name, file, hashlib.sha256(array.tobytes()).hexdigest(), array.dtype.name, tuple(array.shape), layout, form
        )

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest; the run appears under its name when the `with` block ends."""
        created = manifest.created or datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self._manifest = replace(manifest, created=created)
        write_json(self.folder / MANIFEST_NAME, self._manifest.to_json(), failure=DataError)


def confined(name: str, *, source: str) -> PurePosixPath:
    """`name` as a relative path that stays inside its folder; DataError naming `source` otherwise."""
    if not is_confined(name):
        raise DataError(f"{source}: file name {name!r} leads out of the folder")
    return PurePosixPath(name)


def is_confined(name: str) -> bool:
    """Whether `name`, joined to a folder, stays inside it."""
    return bool(name) and name[0] != "/" and "\0" not in name and ".." not in name.split("/")
