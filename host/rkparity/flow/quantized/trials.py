"""Quantisation settings tried one by one against the project's own, measured at the output, within a time budget."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rkparity.errors import ToolkitError, ToolkitTimeoutError
from rkparity.flow.quantized.budget import Budget
from rkparity.flow.quantized.measure import References, measure
from rkparity.flow.quantized.samples import Sample
from rkparity.toolkit.hybrid import OutputError
from rkparity.toolkit.spec import BuildSpec
from rkparity.toolkit.worker_client import Worker

HELPS_RATIO = 0.8
"""A setting helps when it leaves at most this share of the squared error: 1 dB."""
CHANNELS_RATIO = 0.4
"""Swapped channels change every range; one input alone moves by 1 dB with any other ranges (PP-OCR recogniser)."""
SLOW_FACTOR = 4.0
"""How much longer kl_divergence and mmse are assumed to take than normal, before one of them was measured."""
DEFAULT_LEVEL, DEFAULT_METHOD, DEFAULT_ALGORITHM = 3, "channel", "normal"


@dataclass(frozen=True)
class Candidate:
    """One change of the settings. `kind` groups changes of the same setting; `change` is in the toolkit's terms."""

    kind: str
    change: str
    spec: BuildSpec
    diagnostic: bool = False
    """Tells something but is no setting to deploy: calibration with the very input it is measured on."""

    @property
    def is_slow(self) -> bool:
        """Whether the algorithm is one the toolkit itself calls slow (RKNN manual 7.1.2)."""
        return self.spec.quantized_algorithm in ("kl_divergence", "mmse")


@dataclass(frozen=True)
class Trial:
    """What came of a candidate: its error, or in `note` why there is none."""

    candidate: Candidate
    error: OutputError | None
    seconds: float
    note: str = ""

    def ratio(self, base: OutputError) -> float:
        """The share of the squared error that is left; infinite when it was not measured."""
        if self.error is None:
            return float("inf")
        return self.error.squared / base.squared if base.squared else 1.0

    def helps(self, base: OutputError) -> bool:
        """Whether it is better by 1 dB, swapped channels by 4 dB."""
        return self.ratio(base) <= (CHANNELS_RATIO if self.candidate.kind == "channels" else HELPS_RATIO)


def candidates(spec: BuildSpec, *, one_picture: Path | None, pictures: bool) -> list[Candidate]:
    """The manual's settings (7.1.2) that differ from `spec`: what is cheap and common comes first."""
    level = DEFAULT_LEVEL if spec.optimization_level is None else spec.optimization_level
    method = spec.quantized_method or DEFAULT_METHOD
    algorithm = spec.quantized_algorithm or DEFAULT_ALGORITHM
    found = []
    if one_picture is not None:
        found.append(
            Candidate("dataset", "calibrate with the test input alone", replace(spec, dataset=str(one_picture)), True)
        )
    if pictures:
        flipped = not spec.quant_img_RGB2BGR
        found.append(Candidate("channels", f"quant_img_RGB2BGR={flipped}", replace(spec, quant_img_RGB2BGR=flipped)))
    for other in ("channel", "layer"):
        if other != method:
            found.append(Candidate("method", f"quantized_method='{other}'", replace(spec, quantized_method=other)))
    for other in ("normal", "mmse", "kl_divergence"):
        if other != algorithm:
            found.append(
                Candidate("algorithm", f"quantized_algorithm='{other}'", replace(spec, quantized_algorithm=other))
            )
    for number in (0, 1, 2, 3):
        if number != level:
            found.append(Candidate("level", f"optimization_level={number}", replace(spec, optimization_level=number)))
    return found


def combination(trials: Sequence[Trial], base: OutputError, spec: BuildSpec) -> Candidate | None:
    """The best helping change of each kind, all at once; None when fewer than two kinds help."""
    best: dict[str, Trial] = {}
    for trial in trials:
        kind = trial.candidate.kind
        if trial.candidate.diagnostic or not trial.helps(base):
            continue
        if kind not in best or trial.ratio(base) < best[kind].ratio(base):
            best[kind] = trial
    if len(best) < 2:
        return None
    fields = {
        "channels": "quant_img_RGB2BGR",
        "method": "quantized_method",
        "algorithm": "quantized_algorithm",
        "level": "optimization_level",
    }
    changes = {fields[kind]: getattr(trial.candidate.spec, fields[kind]) for kind, trial in best.items()}
    text = ", ".join(trial.candidate.change for trial in best.values())
    return Candidate("together", text, replace(spec, **changes))


class Trials:
    """Runs candidates on as many workers as `workers`; each thread keeps one toolkit process.

    One that cannot be done in what is left of `budget` is not begun; one that is not done when it ends is ended.
    """

    def __init__(
        self,
        python: Path,
        samples: Sequence[Sample],
        references: References,
        budget: Budget,
        *,
        expected_s: float,
        workers: int = 2,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._python = python
        self._samples = samples
        self._references = references
        self._budget = budget
        self._expected_s = expected_s
        self._slow_s: float | None = None
        self._workers = workers
        self._say = say
        self._local = threading.local()
        self._open: list[Worker] = []

    def run(self, wanted: Sequence[Candidate]) -> list[Trial]:
        """Every candidate in order; those the time does not reach say so."""
        if not wanted:
            return []
        try:
            with ThreadPoolExecutor(max_workers=min(self._workers, len(wanted))) as pool:
                return list(pool.map(self._try, wanted))
        finally:
            for worker in self._open:
                worker.close()
            self._open.clear()
            self._local = threading.local()

    def _try(self, candidate: Candidate) -> Trial:
        expected = self._expected_s
        if candidate.is_slow:
            expected = self._slow_s if self._slow_s is not None else expected * SLOW_FACTOR
        if self._budget.left < expected:
            left = self._budget.left
            note = f"not tried: not enough time, takes about {expected:.0f} s, {left:.0f} s of the budget are left"
            return Trial(candidate, None, 0.0, note)
        clock = Budget(self._budget.left)
        try:
            worker = self._worker()
            built = worker.build(candidate.spec)
            error = measure(worker, built, self._samples, self._references)
        except ToolkitTimeoutError:
            self._drop()
            note = f"not finished: not enough time, ended after {clock.spent:.0f} s"
            self._say(f"{candidate.change}: {note}")
            return Trial(candidate, None, clock.spent, note)
        except ToolkitError as error_:
            self._drop()
            return Trial(candidate, None, clock.spent, error_.message)
        with contextlib.suppress(ToolkitTimeoutError):
            worker.release(built.model_id)
        if candidate.is_slow:
            self._slow_s = max(self._slow_s or 0.0, clock.spent)
        self._say(f"{candidate.change}: output cosine {error.cosine:.5f} ({clock.spent:.1f} s)")
        return Trial(candidate, error, clock.spent)

    def _worker(self) -> Worker:
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = Worker(self._python, deadline=self._budget.deadline)
            self._local.worker = worker
            self._open.append(worker)
        return worker

    def _drop(self) -> None:
        # After a refusal the process may hold half a model, after a timeout it is gone.
        self._local.worker = None


def helping(trials: Sequence[Trial], base: OutputError) -> Iterator[Trial]:
    """Trials that help, best first."""
    return iter(sorted((trial for trial in trials if trial.helps(base)), key=lambda trial: trial.ratio(base)))
