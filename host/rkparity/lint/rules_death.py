"""Rules about how the program ended: in a call, between calls, or before it came to one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import Subject
from rkparity.trace import EnteredCall, Trace

# These take long by themselves: that one of them is under way when the process ends says nothing about it.
_SLOW = frozenset(("rknn_init", "rknn_run", "rknn_wait"))
# Sent from outside: a key, a service manager, the kernel when memory is short, rkparity's own time limit.
_STOPPED = frozenset(("SIGINT", "SIGTERM", "SIGKILL", "SIGHUP", "SIGQUIT"))
_MISSING_SYMBOL = re.compile(r"undefined symbol: (\w+)|(?:symbol|Symbol) (\w+)[^\n]*not (?:defined|found)")
_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: ([^:\n]+)")


@dataclass(frozen=True)
class Ending:
    """How a run of the program ended, from its manifest: `said` ends its output, `traced` is whether it should be."""

    exit_code: int | None
    signal: str | None
    timed_out: bool
    traced: bool
    said: str


def dead_calls(trace: Trace) -> tuple[EnteredCall, ...]:
    """The calls in which the process died; empty when it did not end in one, or when that cannot be told.

    A call that takes microseconds and never returned is one. rknn_run, rknn_wait and rknn_init are only when no other
    thread made calls: of several threads, the others were merely inside when one died.
    """
    if trace.exit is not None or trace.limit is not None:
        return ()
    pending = trace.unfinished
    short = tuple(entered for entered in pending if entered.name not in _SLOW)
    if short or len(pending) != 1:
        return short
    threads = {call.tid for call in trace.calls} | {entered.tid for entered in trace.entered}
    return pending if threads == {pending[0].tid} else ()


def with_dead_calls(trace: Trace) -> Trace:
    """The trace as if the calls in which the process died had returned: rules about arguments then see theirs."""
    given = tuple(entered.given for entered in dead_calls(trace) if entered.given is not None)
    return replace(trace, calls=tuple(sorted((*trace.calls, *given), key=lambda call: call.seq))) if given else trace


def _died(subject: Subject) -> Iterator[Observation]:
    for entered in dead_calls(subject.trace):
        stopped = ", or was stopped there" if entered.name in _SLOW else ""
        yield Observation(
            entered.context,
            (entered.seq,),
            f"{entered.name} never returned: the program died in it{stopped}",
            "",
            {"call": entered.name, "thread": entered.tid},
        )


def _ended_between(subject: Subject) -> Iterator[Observation]:
    trace = subject.trace
    if trace.exit is not None or trace.limit is not None or dead_calls(trace):
        return
    if trace.start.forked_from is not None and not trace.unfinished:
        return  # children often end with _exit, on purpose
    inside = trace.unfinished
    last = trace.calls[-1] if trace.calls else None
    if inside:
        threads = sorted({entered.tid for entered in inside})
        why = (
            f"the process ended while {len(threads)} thread{'s were' if len(threads) > 1 else ' was'} inside "
            f"{', '.join(sorted({entered.name for entered in inside}))}: another thread died, or the program's own code"
        )
    elif last is not None:
        why = f"the trace has no end: the process ended in its own code, after {last.name} (call {last.seq})"
    else:
        why = "the trace has no end and no call: the process ended before it used the library"
    yield Observation(0, tuple(entered.seq for entered in inside) or ((last.seq,) if last else ()), why)


RULES = (
    Rule(
        "died-in-call",
        Severity.ERROR,
        "the program died inside a call",
        "evidence 160_gen_u8_nchw_pt0, 160_zc_in_u8_nchw, seq_01_*, seq_11_*",
        "Look at the arguments of this call and at the other findings about it: a wrong fmt, a NULL buffer or one that "
        "is too small, outputs released twice, a context that was destroyed.",
        "",
        _died,
    ),
    Rule(
        "ended-without-exit",
        Severity.WARNING,
        "the program did not end by returning from main",
        "RKNN manual 7.2.2 (U1)",
        "If it was not stopped on purpose (Ctrl-C, _exit), run it under gdb, or built with -fsanitize=address: it died "
        "in its own code, often on a buffer that is smaller than it thinks.",
        "",
        _ended_between,
    ),
)


def _no_rule(_: Subject) -> Iterator[Observation]:
    return iter(())


def _of_run(name: str, severity: Severity, title: str, fix: str) -> Rule:
    return Rule(name, severity, title, "RKNN manual 7.2.2 (U1)", fix, "", _no_rule)


SIGNALLED = _of_run(
    "ended-by-signal",
    Severity.ERROR,
    "a signal ended the program",
    "Run it under gdb, or built with -fsanitize=address -g, with the same inputs: the backtrace names the line.",
)
NOT_STARTED = _of_run(
    "not-started",
    Severity.ERROR,
    "the program did not start",
    "Give the program's path on the board, built for the board's architecture, and put every library it needs beside "
    "it or into LD_LIBRARY_PATH. A missing rknn_ function needs a newer librknnrt.so.",
)
FAILED = _of_run(
    "exit-code",
    Severity.WARNING,
    "the program reported a failure",
    "See the end of its output: what it printed last is usually the reason.",
)
NO_CALL = _of_run(
    "no-library-call",
    Severity.WARNING,
    "the program made no call of librknnrt",
    "Check that it came as far as rknn_init (model path, camera, arguments), that it links librknnrt.so dynamically, "
    "and that it does not start another program without the environment.",
)
RUN_RULES = (SIGNALLED, NOT_STARTED, FAILED, NO_CALL)


def check_ending(ending: Ending, traces: Sequence[Trace]) -> Iterator[tuple[Rule, Observation]]:
    """What the run's end says; nothing where a call in which the program died says it better."""
    said = f"; its output ends with: {ending.said}" if ending.said else ""
    dead = any(dead_calls(trace) for trace in traces)
    calls = any(trace.calls or trace.entered for trace in traces)
    if ending.timed_out:
        yield SIGNALLED, Observation(0, (), f"it did not end in time and was stopped{said}", severity=Severity.WARNING)
    elif ending.signal is not None and not dead:
        outside = ending.signal in _STOPPED
        where = "" if calls else ", before any call of the library"
        severity = Severity.WARNING if outside else None
        yield SIGNALLED, Observation(0, (), f"{ending.signal} ended it{where}{said}", severity=severity)
    elif ending.exit_code in (126, 127) and not calls:
        yield NOT_STARTED, Observation(0, (), f"exit code {ending.exit_code}: {_start_failure(ending)}")
        return
    elif ending.exit_code not in (None, 0) and not dead:
        yield FAILED, Observation(0, (), f"exit code {ending.exit_code}{said}")
    if ending.traced and not calls:
        yield NO_CALL, Observation(0, (), f"the layer was loaded and saw no call{said}")


def _start_failure(ending: Ending) -> str:
    symbol, library = _MISSING_SYMBOL.search(ending.said), _MISSING_LIBRARY.search(ending.said)
    if symbol:
        return (
            f"the loader found no symbol {symbol[1] or symbol[2]}: a library is older than the one it was linked with"
        )
    if library:
        return f"the loader found no library {library[1]}"
    what = "it cannot be executed" if ending.exit_code == 126 else "it was not found"
    return f"{what}{f': {ending.said}' if ending.said else ''}"


def read_ending(settings: object, logs: Sequence[Path]) -> Ending | None:
    """From a manifest's settings; None for a run of another kind."""
    if not isinstance(settings, dict) or "exit_code" not in settings or "signal" not in settings:
        return None
    code, signal = settings["exit_code"], settings["signal"]
    return Ending(
        code if isinstance(code, int) else None,
        signal if isinstance(signal, str) else None,
        settings.get("timed_out") is True,
        settings.get("trace") is True,
        next((text for path in reversed(logs) if (text := _last_line(path))), ""),
    )


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:400] if lines else ""
