"""What a check keeps between runs: results by the hash of everything they depend on, and folders for big files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rkparity.errors import DataError, UsageError
from rkparity.flow.result import Stage, StageResult
from rkparity.io import read_json, write_json

_CHUNK_NBYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; UsageError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while True:
                chunk = file.read(_CHUNK_NBYTES)
                if not chunk:
                    return digest.hexdigest()
                digest.update(chunk)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def key_of(*, files: Iterable[Path] = (), **settings: Any) -> str:
    """The hash of `settings` (JSON values) and of the content of `files`, in their order: 64 hex digits."""
    content = {"files": [file_digest(path) for path in files], "settings": settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


class Store:
    """The output folder of a project.

    `results/STAGE.json` holds a stage's last result with its key. `work/NAME-KEY` are folders for what a step makes;
    `remember` keeps small JSON values. Everything is written to a temporary name and renamed.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder = folder
        self._fresh = fresh
        self._seen: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: output folder cannot be made: {error.strerror}") from error

    def result(self, stage: Stage, key: str | None = None) -> StageResult | None:
        """The kept result of `stage` if it was made with `key` (whatever its key when None), marked as reused."""
        path = self._result_path(stage)
        if (self._fresh and key is not None) or not path.is_file():
            return None
        value = _read(path)
        if key is not None and value.get("key") != key:
            return None
        return replace(StageResult.from_json(value.get("result"), source=str(path)), reused=True)

    def keep(self, result: StageResult, key: str) -> None:
        """Keeps the result of a stage; the one before is replaced."""
        _write(self._result_path(result.stage), {"key": key, "result": result.to_json()})

    def remember(self, name: str, key: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """A small JSON object: the kept one of `name` and `key`, or what `compute` gives, which is then kept."""
        path = self.folder / "work" / f"{_checked(name)}-{key[:16]}.json"
        if path.is_file() and not (self._fresh and str(path) not in self._seen):
            value = _read(path)
            if value.get("key") == key and isinstance(value.get("value"), dict):
                return dict(value["value"])
        value = dict(compute())
        _write(path, {"key": key, "value": value})
        self._seen.add(str(path))
        return value

    def work(self, name: str, key: str, *, prune: bool = True) -> Path:
        """The folder of step `name` for `key`; what the same step made with other keys is removed when `prune`.

        With a fresh store the folder is emptied the first time it is asked for.
        """
        path = self.folder / "work" / f"{_checked(name)}-{key[:16]}"
        if prune and path.parent.is_dir():
            for other in path.parent.glob(f"{name}-" + "[0-9a-f]" * 16):
                if other != path and other.is_dir():
                    shutil.rmtree(other, ignore_errors=True)
        if self._fresh and str(path) not in self._seen:
            shutil.rmtree(path, ignore_errors=True)
        self._seen.add(str(path))
        path.mkdir(parents=True, exist_ok=True)
        return path

    def relative(self, path: Path) -> str:
        """`path` relative to the output folder, for `StageResult.artefacts`."""
        return os.path.relpath(path, self.folder)

    def _result_path(self, stage: Stage) -> Path:
        return self.folder / "results" / f"{stage.value}.json"


def disk_nbytes(*folders: Path) -> int:
    """Bytes of all files under `folders`."""
    return sum(
        path.stat().st_size for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()
    )


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"a step's name is lower-case letters, digits, _ and -: {name!r}")
    return name


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, unreadable=DataError, damaged=DataError, hint="run `rkparity check --fresh`")


def _write(path: Path, value: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot be made: {error.strerror}") from error
    write_json(path, value)
