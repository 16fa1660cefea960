"""The table of rules, and the one loop that applies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rkparity.lint import (
    rules_content,
    rules_inputs,
    rules_lifetime,
    rules_log,
    rules_memory,
    rules_order,
    rules_outputs,
    rules_versions,
    rules_zero_copy,
)
from rkparity.lint.findings import MAX_CALLS_NAMED, SEVERITY_ORDER, Finding, Observation, Rule
from rkparity.lint.subject import LogLine, Subject

RULES: tuple[Rule, ...] = (
    *rules_inputs.RULES,
    *rules_content.RULES,
    *rules_order.RULES,
    *rules_outputs.RULES,
    *rules_zero_copy.RULES,
    *rules_memory.RULES,
    *rules_lifetime.RULES,
    *rules_versions.RULES,
    *rules_log.RULES,
)


@dataclass(frozen=True)
class _Seen:
    rule: Rule
    process: int
    observation: Observation


def check(subjects: Sequence[Subject], log: Iterable[LogLine] = ()) -> tuple[Finding, ...]:
    """Every rule over every process and over the run's log: findings by severity, then by process and call."""
    seen = [
        _Seen(rule, subject.trace.start.pid, observation)
        for subject in subjects
        for rule in RULES
        for observation in rule.check(subject)
    ]
    found = {item.rule.id for item in seen}
    seen = [*_without_explained(seen), *_of_log(log, found)]
    findings = _merged(seen)
    return tuple(sorted(findings, key=lambda f: (SEVERITY_ORDER.index(f.severity), f.process, f.calls[:1], f.rule)))


def _without_explained(seen: Sequence[_Seen]) -> Iterator[_Seen]:
    """Leaves out what a general rule says of a call that a particular rule explains."""
    explained = {(item.process, call) for item in seen if not item.rule.is_general for call in item.observation.calls}
    for item in seen:
        if item.rule.is_general and any((item.process, call) in explained for call in item.observation.calls):
            continue
        yield item


def _of_log(log: Iterable[LogLine], found: set[str]) -> Iterator[_Seen]:
    for known, observation in rules_log.check_log(log):
        if not found.intersection(known.same_as):
            yield _Seen(known.rule, 0, observation)


def _merged(seen: Iterable[_Seen]) -> list[Finding]:
    """One finding for each rule, severity, process, context and tensor."""
    findings: dict[tuple[str, str, int, int, str], Finding] = {}
    for item in seen:
        rule, observation = item.rule, item.observation
        severity = observation.severity or rule.severity
        key = (rule.id, severity.value, item.process, observation.context, observation.tensor)
        known = findings.get(key)
        if known is None:
            findings[key] = Finding(
                rule.id,
                severity,
                rule.title,
                item.process,
                observation.context,
                observation.tensor,
                observation.calls[:MAX_CALLS_NAMED],
                1,
                observation.why,
                observation.values,
                rule.fix,
                rule.snippet,
                rule.reference,
            )
            continue
        calls = (*known.calls, *(call for call in observation.calls if call not in known.calls))
        findings[key] = replace(known, calls=calls[:MAX_CALLS_NAMED], count=known.count + 1)
    return list(findings.values())
