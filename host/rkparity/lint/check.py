"""Linting a trace, a folder of traces, or a run of `rkparity run-app`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import UsageError
from rkparity.findings.finding import Finding, Severity
from rkparity.findings.runtime_log import LogLine
from rkparity.lint.bare_log import check_errors, check_versions, is_log, not_in_a_log
from rkparity.lint.registry import check
from rkparity.lint.rule import Observation, Rule, Unchecked
from rkparity.lint.rules_death import Ending, read_ending
from rkparity.lint.rules_log import check_log, read_logs
from rkparity.lint.rules_outputs import unseen_outputs
from rkparity.lint.subject import Subject
from rkparity.runs import RunReader
from rkparity.runs.void_values import VOID_MARK
from rkparity.trace import Trace, find_traces, read_trace

if TYPE_CHECKING:
    from rkparity.lint.reference import Reference
    from rkparity.model import Model

_NO_LAYER_HINT = "was the program run with the layer? `rkparity run-app --trace`, or see docs/trace.md"


@dataclass(frozen=True)
class Lint:
    """What came of it. `processes` are (pid, program, calls); `logs` the captured outputs that were read."""

    path: Path
    processes: tuple[tuple[int, str, int], ...]
    logs: tuple[str, ...]
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def lint(
    path: Path,
    *,
    model: Model | None = None,
    reference: Reference | None = None,
    models: Sequence[Model] = (),
    references: Sequence[tuple[Model | None, Reference]] = (),
) -> Lint:
    """Applies every rule to the traces at `path` (a file, a folder, a run) and to the logs of a run.

    `model` and `reference` are for a program with one model; `models` are those of a program with several, and each of
    `references` belongs to one of them (to whatever context has inputs of those names, when that is None). Raises
    UsageError when there is nothing to look at or a model is not a traced one, DataError for a damaged trace.
    """
    bare = is_log(path)
    logs = [path] if bare else _logs_of(path)
    traces = [] if bare else [read_trace(file) for file in find_traces(path)]
    if not traces and not logs:
        raise UsageError(f"{path}: holds no trace (rkparity-PID.jsonl) and no captured output", hint=_NO_LAYER_HINT)
    models = (*([model] if model is not None else []), *models)
    references = (*([(None, reference)] if reference is not None else []), *references)
    subjects = [Subject(trace, models, references) for trace in traces]
    for given in models if traces else ():
        _check_model(path, given, subjects)
    lines = read_logs(logs)
    more = _of_bare_log(path, lines) if bare else ()
    return Lint(
        path,
        tuple((trace.start.pid, trace.start.exe, len(trace.calls)) for trace in traces),
        tuple(log.name for log in logs),
        check(subjects, lines, _ending_of(path, logs), more),
        not_in_a_log() if bare else tuple(_unchecked(subjects, bool(logs), models, references)),
    )


def _of_bare_log(path: Path, lines: Sequence[LogLine]) -> tuple[tuple[Rule, Observation], ...]:
    known = {str(observation.values["where"]) for _, observation in check_log(lines)}
    return (*check_versions(lines), *check_errors(path, known))


def _logs_of(path: Path) -> list[Path]:
    if not path.is_dir() or not (path / "manifest.json").is_file():
        return []
    run = RunReader.open(path)
    return [run.file(name) for name in run.manifest.logs if not name.endswith(".jsonl") and run.file(name).is_file()]


def _ending_of(path: Path, logs: Sequence[Path]) -> Ending | None:
    if not path.is_dir() or not (path / "manifest.json").is_file():
        return None
    return read_ending(RunReader.open(path).manifest.settings, logs)


def _check_model(path: Path, model: Model, subjects: Sequence[Subject]) -> None:
    infos = [view.info for subject in subjects for view in subject.contexts if view.info is not None]
    if not infos or any(view.model is model for subject in subjects for view in subject.contexts):
        return
    names = [tensor.name for tensor in model.input_tensors]
    if any([attr.name for attr in info.inputs] == names for info in infos):
        return
    loaded = sorted({info.model.sha256[:12] for info in infos if info.model is not None and info.model.sha256})
    raise UsageError(
        f"{model.path}: no context of {path} runs this model (sha256 {model.sha256[:12]}...; traced: "
        f"{', '.join(loaded) or 'unknown'})",
        hint="name the .rknn the program loaded",
    )


def _unchecked(
    subjects: Sequence[Subject],
    has_logs: bool,
    models: Sequence[Model],
    references: Sequence[tuple[Model | None, Reference]],
) -> Iterator[Unchecked]:
    if not subjects:
        yield Unchecked("the program's calls", f"there is no trace; {_NO_LAYER_HINT}")
    if not has_logs:
        yield Unchecked("log lines", "the program's output was not kept: lint the folder `rkparity run-app` wrote")
    if not models:
        yield Unchecked("input-normalized-twice, version-runtime, model-differs", "no --model was given")
    if not references:
        yield Unchecked("input-differs-from-reference", "no --reference was given")
    for _, reference in references:
        for name, reason in reference.unusable.items():
            yield Unchecked(f"input-differs-from-reference for {name!r}", f"the reference's input {reason}")
    for subject in subjects:
        yield from _limits(subject.trace)
        for view in subject.contexts:
            where = f"process {subject.trace.start.pid}, context {view.number}"
            if len(models) > 1 and view.info is not None and view.model is None:
                yield Unchecked(f"{where}: rules about its model", "it runs none of the --model files")
            elif references and subject.reference_of(view) is None:
                yield Unchecked(f"{where}: input-differs-from-reference", "no --reference was given for its model")
            if view.is_void:
                yield Unchecked(f"{where}: what outputs hold", f"{VOID_MARK}: the model had no build record")
            if view.info is None:
                yield Unchecked(where, "made before this process was forked, or its rknn_init was not seen")
            elif not view.inputs:
                yield Unchecked(f"{where}: sizes, types, layouts", "the model's attributes are not known")
            elif view.is_reshaped:
                yield Unchecked(f"{where}: sizes", "the program chose other input shapes")
        yield from unseen_outputs(subject)


def _limits(trace: Trace) -> Iterator[Unchecked]:
    where = f"process {trace.start.pid}"
    if not trace.start.hashed:
        yield Unchecked(f"{where}: contents of buffers", "hashing was off (RKPARITY_TRACE_NO_HASH)")
    if trace.limit is not None:
        yield Unchecked(f"{where}: later calls", f"the trace reached its limit of {trace.limit} bytes")
    if trace.truncated:
        yield Unchecked(f"{where}: the last call", f"its line is cut off after {trace.truncated} bytes")
    if trace.exit is None:
        yield Unchecked(f"{where}: what was still open at the end", "the program did not end by returning from main")
    for path in trace.untraced:
        yield Unchecked(f"{where}: calls of {path}", "a second librknnrt of the same process is not traced")
    if trace.library is not None and trace.library.found == "none":
        yield Unchecked(f"{where}: everything", f"no librknnrt was found: {trace.library.reason or 'unknown reason'}")
