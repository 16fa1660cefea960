"""A folder of dumps as found: which files are dumps, which are damaged, which are something else."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from rkparity.compare.alignment import DumpEntry
from rkparity.errors import DataError, UsageError
from rkparity.runs.dump_names import parse_dump_name
from rkparity.runs.manifest import MANIFEST_NAME, MODEL_RUNS, Engine, Manifest
from rkparity.runs.npy import NpyHeader, read_npy_header
from rkparity.runs.store import RunReader

_MAX_FILES = 100_000
_RUN_DUMPS = "dumps"


@dataclass(frozen=True)
class DamagedDump:
    """A dump file that cannot be used: what is wrong with it."""

    entry: DumpEntry
    text: str


@dataclass(frozen=True)
class DumpSet:
    """The dumps of one run. `entries` are the usable ones and `headers` what their files say, both by file name.

    `others` are files that are no dumps. `absent` are dumps the run's manifest promises and the folder lacks.
    `manifest` is the run's, None for a plain folder. `mismatched` maps a file to how its content contradicts its name.
    """

    folder: Path
    entries: tuple[DumpEntry, ...]
    headers: dict[str, NpyHeader]
    damaged: tuple[DamagedDump, ...]
    others: tuple[str, ...]
    absent: tuple[str, ...]
    mismatched: dict[str, str]
    manifest: Manifest | None

    def path(self, entry: DumpEntry) -> Path:
        """Where a dump's file is."""
        return self.folder / entry.file


def open_dumps(source: Path | RunReader) -> DumpSet:
    """Lists the dumps of a run, or of a folder that holds dump files itself or in its subfolder `dumps`.

    Headers are read and checked against the files' sizes; no values are read. Raises UsageError when there is no such
    folder or nothing in it is named like a dump, DataError when the folder cannot be read.
    """
    manifest: Manifest | None = None
    if isinstance(source, RunReader):
        path, manifest = source.path, source.manifest
    else:
        path = source
        if not path.is_dir():
            what = "is a file, not a folder" if path.exists() else "does not exist"
            raise UsageError(
                f"{path}: dump folder {what}",
                hint="give the folder that holds the .npy files, or a run made by `rkparity run` or `pull`",
            )
        manifest = RunReader.open(path).manifest if (path / MANIFEST_NAME).is_file() else None
    if manifest is not None and manifest.engine not in (Engine.BOARD, Engine.APP):
        raise UsageError(
            f"{path}: is a run of the {manifest.engine.value}, not of a board",
            hint="the dumps come first, the reference second: compare-dumps DUMPS REFERENCE",
        )
    if manifest is not None and manifest.void_values:
        raise DataError(
            f"{path}: its values are void: the virtual board had no build record of the model",
            hint="its calls can be judged with `rkparity lint`; build the model again to compare values",
        )
    if (path / MODEL_RUNS).is_dir() and manifest is not None and not manifest.tensors:
        runs = sorted(str(path / MODEL_RUNS / item.name) for item in (path / MODEL_RUNS).iterdir() if item.is_dir())
        raise UsageError(
            f"{path}: the program ran {len(runs)} models; each has a run of its own",
            hint="give one of them, with its own reference: " + ", ".join(runs),
        )
    names = _listing(path)
    folder = path
    if not any(_is_dump(name) for name in names) and (path / _RUN_DUMPS).is_dir():
        folder = path / _RUN_DUMPS
        names = _listing(folder)
    return _sort(folder, names, manifest, path)


def _listing(folder: Path) -> dict[str, bool]:
    """The names in order, subfolders left out, each with whether it is a regular file."""
    try:
        with os.scandir(folder) as found:
            names = {item.name: item.is_file() for item in found if not item.is_dir()}
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    if len(names) > _MAX_FILES:
        raise DataError(
            f"{folder}: holds {len(names)} files; at most {_MAX_FILES} are read",
            hint="give a folder that holds the dumps of one run only",
        )
    return dict(sorted(names.items()))


def _is_dump(name: str) -> bool:
    try:
        parse_dump_name(name)
    except DataError:
        return False
    return True


def _sort(folder: Path, names: dict[str, bool], manifest: Manifest | None, path: Path) -> DumpSet:
    entries: list[DumpEntry] = []
    damaged: list[DamagedDump] = []
    others: list[str] = []
    headers: dict[str, NpyHeader] = {}
    mismatched: dict[str, str] = {}
    for name, is_file in names.items():
        try:
            entry = DumpEntry(parse_dump_name(name), name)
        except DataError:
            others.append(name)
            continue
        if entry.name.is_text:
            entries.append(entry)
            continue
        # A pipe under a dump's name would be waited for without end.
        if not is_file:
            damaged.append(DamagedDump(entry, "is not a regular file"))
            continue
        file = folder / name
        try:
            header = read_npy_header(file)
        except DataError as error:
            damaged.append(DamagedDump(entry, error.message.replace(f"{file}: ", "", 1)))
            continue
        entries.append(entry)
        headers[name] = header
        contradiction = _contradiction(entry, header)
        if contradiction:
            mismatched[name] = contradiction
    if not entries and not damaged:
        npy = sum(name.endswith(".npy") for name in others)
        raise UsageError(
            f"{path}: holds no dumps: {npy} .npy files, none named INDEX_OPTYPE_TENSOR_shape_D0_.._TYPE.npy",
            hint="the runtime writes dumps when RKNN_LOG_LEVEL=5 and RKNN_DUMP_DIR names an existing "
            "folder; without RKNN_DUMP_DIR they are in ./dumps of the application",
        )
    promised = (
        [Path(record.file).name for record in manifest.tensors if record.file.startswith(f"{_RUN_DUMPS}/")]
        if manifest
        else []
    )
    absent = tuple(sorted(name for name in promised if name not in names))
    return DumpSet(
        folder,
        tuple(entries),
        headers,
        tuple(damaged),
        tuple(name for name in others if name != MANIFEST_NAME),
        absent,
        mismatched,
        manifest,
    )


def _contradiction(entry: DumpEntry, header: NpyHeader) -> str:
    dtype = _dtype_name(header.descr)
    parts = []
    # The toolkit also accepts float16 values in a file named float.
    if dtype != entry.name.suffix.dtype and not (entry.name.suffix.dtype == "float32" and dtype == "float16"):
        parts.append(f"its name says {entry.name.suffix.value}, it holds {dtype}")
    if header.shape != entry.name.shape:
        parts.append(f"its name says shape {list(entry.name.shape)}, it holds {list(header.shape)}")
    return "; ".join(parts)


@functools.lru_cache(maxsize=64)
def _dtype_name(descr: str) -> str:
    import numpy as np

    return str(np.dtype(descr).name)
