"""What `rkparity run-app` is asked for, and what came of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rkparity.model import Model
from rkparity.runs import ModelRecord


@dataclass(frozen=True)
class AppRequest:
    """What to run and where to put the run.

    `argv` is the program and its arguments as on the board's command line. `models` are the compiled models it loads,
    as far as they are known. `trace` None: where a layer is at hand. `environment` is added to the program's.
    `recognise` says in sentences what the runtime's lines in the captured output mean, `traced_models` which models
    its traces name.
    """

    argv: tuple[str, ...]
    out: Path
    models: tuple[Model, ...] = ()
    uploads: tuple[Path, ...] = ()
    cwd: str | None = None
    timeout_s: float | None = None
    dump_quant: int = 0
    trace: bool | None = None
    hashes: bool = True
    trace_buffers: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    work_dir: str | None = None
    force: bool = False
    keep: bool = False
    recognise: Callable[[Sequence[Path]], Sequence[str]] = lambda paths: ()
    traced_models: Callable[[Sequence[Path]], Sequence[ModelRecord]] = lambda paths: ()


@dataclass(frozen=True)
class AppReport:
    """What came of it. `problems` say why the run is not what was asked for; empty means exit code 0 and dumps."""

    run: Path
    exit_code: int | None
    signal: str | None
    timed_out: bool
    duration_s: float
    dumps: int
    traces: int
    nbytes: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    kept: str | None
    models: tuple[Path, ...] = ()
    """The runs of the single models of a program that ran several."""


@dataclass(frozen=True)
class Ended:
    """How the program ended: its exit code, or the number of the signal that killed it."""

    code: int | None
    signal: int | None
    timed_out: bool
    duration_s: float

    @property
    def signal_name(self) -> str | None:
        """SIGSEGV and the like."""
        if self.signal is None:
            return None
        known = {number.value: number.name for number in signal.Signals}
        return known.get(self.signal, f"signal {self.signal}")
