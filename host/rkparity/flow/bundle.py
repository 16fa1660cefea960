"""The reproduction bundle the vendor asks for: model, input, dumps, versions and report in one tar file."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity import __version__
from rkparity.errors import UsageError
from rkparity.flow.registry import ORDER
from rkparity.flow.result import Stage, StageResult
from rkparity.io import check_new_file, replacing
from rkparity.toolkit.build_record import record_path

if TYPE_CHECKING:
    from rkparity.flow.store import Store
    from rkparity.project import Project

SCHEMA = "rkparity.bundle/1"
_FOLDERS = ("board run", "run", "golden", "simulator")


@dataclass(frozen=True)
class Bundle:
    """What was packed: `names` in the tar's order, `nbytes` of the tar file."""

    path: Path
    names: tuple[str, ...]
    nbytes: int


def write_bundle(project: Project, store: Store, out: Path, report: str, *, force: bool = False) -> Bundle:
    """Packs what the last check left into `out` (.tar or .tar.gz) under one top folder.

    Source and compiled model, sample, references, calibration list, the runs with their dumps and logs,
    error_analysis.txt, the stages' results, versions, and `report` (Markdown). No keys, no passwords.
    UsageError when no check has run or `out` exists and not `force`.
    """
    results = [result for result in (store.result(stage) for stage in ORDER) if result is not None]
    if not results:
        raise UsageError(f"{store.folder}: no stage has run yet", hint="run `rkparity check` first")
    check_new_file(out, force=force)
    top = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in project.name) or "project"
    names: list[str] = []
    try:
        with replacing(out) as file, tarfile.open(
            fileobj=file, mode="w:gz" if out.suffix in (".gz", ".tgz") else "w"
        ) as tar:
            for name, data in _texts(project, results, report).items():
                _add_bytes(tar, f"{top}/{name}", data, names)
            for name, path in _files(project, store, results):
                tar.add(path, f"{top}/{name}", recursive=False, filter=_anonymous)
                names.append(f"{top}/{name}")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from error
    return Bundle(out, tuple(names), out.stat().st_size)


def _texts(project: Project, results: list[StageResult], report: str) -> dict[str, bytes]:
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "rkparity": __version__,
        "project": project.name,
        "build": {
            key: Path(value).name if key in ("model", "weights", "dataset") and value else value
            for key, value in project.build_spec(do_quantization=project.build.do_quantization).to_json().items()
        },
        "stages": [result.to_json() for result in results],
    }
    return {
        "bundle.json": (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "report.md": report.encode("utf-8", "backslashreplace"),
    }


def _files(project: Project, store: Store, results: list[StageResult]) -> Iterator[tuple[str, Path]]:
    """Name in the bundle and file, each file once."""
    seen: set[Path] = set()

    def once(name: str, path: Path) -> Iterator[tuple[str, Path]]:
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield name, path

    yield from once(f"model/{project.model.file.name}", project.model.file)
    if project.model.weights is not None:
        yield from once(f"model/{project.model.weights.name}", project.model.weights)
    for index, path in enumerate(project.input.files):
        yield from once(f"input/{index}{path.suffix}", path)
    for index, path in enumerate((*project.original.inputs, *project.original.outputs)):
        yield from once(f"original/{index}-{path.name}", path)
    if project.build.dataset is not None:
        yield from once("model/dataset.txt", project.build.dataset)
    for result in results:
        for name, where in result.artefacts.items():
            path = store.folder / where
            stage = result.stage.value
            if path.is_dir() and (name in _FOLDERS or result.stage is Stage.RUNTIME):
                for file in sorted(path.rglob("*")):
                    yield from once(f"{stage}/{name.replace(' ', '-')}/{file.relative_to(path)}", file)
            elif path.suffix == ".rknn":
                yield from once(f"model/{path.name}", path)
                yield from once(f"model/{record_path(path).name}", record_path(path))
            else:
                yield from once(f"{stage}/{path.name}", path)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes, names: list[str]) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
    names.append(name)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the user's name and numbers."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
