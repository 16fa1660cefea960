"""A comparison in which each layer is judged on the board's own inputs, when all that is needed for it is there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.compare.comparison import Comparison
from rkparity.compare.dumps import open_dumps
from rkparity.compare.pipeline import compare_runs
from rkparity.compare.shape_sets import SEVERAL
from rkparity.compare.source import TensorSource
from rkparity.compare.thresholds import Thresholds
from rkparity.errors import RkparityError
from rkparity.model import Model
from rkparity.runs import RunReader
from rkparity.runs.manifest import MANIFEST_NAME, Manifest

if TYPE_CHECKING:
    from rkparity.flow.resimulate import PreparedBuild
    from rkparity.toolkit.worker_client import Worker

SUFFIX = ".local"


@dataclass(frozen=True)
class LocalSettings:
    """How the local run is made: `wanted` false never makes one.

    `worker` with `built` (a model built in it already) is used where a stage has one; else a worker is started with
    `toolkit_python`. `say` is told before the toolkit is started.
    """

    wanted: bool = True
    toolkit_python: Path | None = None
    timeout_s: float = 1800.0
    worker: Worker | None = None
    built: PreparedBuild | None = None
    say: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Judging:
    """What dumps are compared with and by: see `compare_runs`."""

    reference: TensorSource
    model: Model | None = None
    golden: TensorSource | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    per_channel: Sequence[str] = ()

    def compare(self, dumps: Path, local: TensorSource | None) -> Comparison:
        """One comparison."""
        return compare_runs(
            dumps,
            self.reference,
            model=self.model,
            golden=self.golden,
            local=local,
            thresholds=self.thresholds,
            per_channel=self.per_channel,
        )


def compare_with_local(dumps: Path, judging: Judging, settings: LocalSettings) -> Comparison:
    """Compares end to end, and again with a local run when something differs and one can be made.

    Dumps that equal the simulator's need none: every layer then is right on its own inputs. The local run lies beside
    the dumps (`DUMPS.local`) and is used again as long as dumps and model are the same. Whatever prevents it is not an
    error: the comparison's `local_note` says it. Raises what `compare_runs` raises.
    """
    comparison = judging.compare(dumps, None)
    layers = [pair for pair in comparison.pairs if pair.stats is not None]
    if all(pair.stats is not None and pair.stats.equal == pair.stats.n for pair in layers):
        return comparison
    if comparison.blamed_input is not None:
        return comparison
    if any(text.startswith(SEVERAL) for text in comparison.warnings):
        return replace(comparison, local_note=SEVERAL)
    if not settings.wanted:
        return replace(comparison, local_note="--local off")
    try:
        local = _local_run(dumps, judging, settings)
    except RkparityError as error:
        return replace(comparison, local_note=error.message)
    return judging.compare(dumps, local)


def _local_run(dumps: Path, judging: Judging, settings: LocalSettings) -> RunReader:
    model = judging.model
    if model is None:
        raise RkparityError("no --model")
    if not model.nodes:
        raise RkparityError(f"the operators of {model.path.name} cannot be read")
    # Here and not at the top: dumps that equal the simulator's need nothing of the toolkit.
    from rkparity.flow.resimulate import resimulate_run
    from rkparity.toolkit.build_record import read_build_record, record_path

    if settings.built is None:
        if not record_path(model.path).is_file():
            raise RkparityError(f"{model.path.name} has no build record")
        read_build_record(model.path)
    key = _key(dumps, model)
    out = _place(dumps, key)
    if (out / MANIFEST_NAME).is_file():
        return RunReader.open(out)
    with _worker(settings) as worker:
        made = resimulate_run(
            worker,
            dumps,
            model.path,
            out,
            force=True,
            built=settings.built,
            graph=_graph(judging.reference.manifest, model),
            key=key,
        )
    return made.run


def _worker(settings: LocalSettings) -> AbstractContextManager[Worker]:
    if settings.worker is not None:
        return nullcontext(settings.worker)
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.worker_client import Worker

    python = find_toolkit_python(settings.toolkit_python)
    if settings.say is not None:
        settings.say("computing each layer on the board's own inputs (--local off leaves this out)")
    return Worker(python, timeout_s=settings.timeout_s)


def _graph(reference: Manifest, model: Model) -> Manifest | None:
    """The reference's tensors, when it is a run of this very file: then their names need no run of the simulator."""
    same = reference.model is not None and reference.model.sha256 == model.sha256
    return reference if same and not model.is_dynamic else None


def _key(dumps: Path, model: Model) -> str:
    """What the local run was made of: the model's bytes and the dump files as they are."""
    found = open_dumps(dumps)
    parts = [model.sha256, os.fspath(found.folder.absolute())]
    for entry in found.entries:
        status = found.path(entry).stat()
        parts.append(f"{entry.file} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _place(dumps: Path, key: str) -> Path:
    """`DUMPS.local` when it can be written and is ours or new, else a temporary folder."""
    beside = dumps.absolute().with_name(dumps.absolute().name + SUFFIX)
    try:
        kept = RunReader.open(beside).manifest.settings.get("resimulated") if beside.exists() else {}
    except RkparityError:
        kept = None
    ours = isinstance(kept, dict)
    if ours and isinstance(kept, dict) and kept.get("key") == key:
        return beside
    if ours and os.access(beside.parent, os.W_OK):
        if beside.exists():
            # Of other dumps: not to be taken for these.
            (beside / MANIFEST_NAME).unlink()
        return beside
    return Path(tempfile.mkdtemp(prefix="rkparity-local-")) / "local"
