"""The table of rules, and the one loop that applies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rkparity.findings.finding import SEVERITY_ORDER, Calls, Finding, FindingStage
from rkparity.findings.runtime_log import LogLine
from rkparity.lint import (
    bare_log,
    rules_content,
    rules_death,
    rules_inputs,
    rules_lifetime,
    rules_log,
    rules_memory,
    rules_order,
    rules_outputs,
    rules_types,
    rules_versions,
    rules_zero_copy,
)
from rkparity.lint.rule import MAX_CALLS_NAMED, Observation, Rule
from rkparity.lint.subject import Subject

RULES: tuple[Rule, ...] = (
    *rules_inputs.RULES,
    *rules_content.RULES,
    *rules_order.RULES,
    *rules_outputs.RULES,
    *rules_zero_copy.RULES,
    *rules_types.RULES,
    *rules_memory.RULES,
    *rules_lifetime.RULES,
    *rules_death.RULES,
    *rules_death.RUN_RULES,
    *bare_log.RULES,
    *rules_versions.RULES,
    *rules_log.RULES,
)

_RULE_STAGES = {"input": FindingStage.INPUT, "output": FindingStage.OUTPUT, "version": FindingStage.VERSIONS}
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class _Seen:
    rule: Rule
    process: int
    observation: Observation


def check(
    subjects: Sequence[Subject],
    log: Iterable[LogLine] = (),
    ending: rules_death.Ending | None = None,
    more: Sequence[tuple[Rule, Observation]] = (),
) -> tuple[Finding, ...]:
    """Every rule over every process, over the run's log and its end: findings by severity, then by process and call."""
    seen = [
        _Seen(rule, subject.trace.start.pid, observation)
        for subject in subjects
        for rule in RULES
        for observation in rule.check(_whole(rule, subject))
    ]
    seen += [_Seen(rule, 0, observation) for rule, observation in more]
    if ending is not None:
        traces = [subject.trace for subject in subjects]
        seen += [_Seen(rule, 0, observation) for rule, observation in rules_death.check_ending(ending, traces)]
    found = {item.rule.id for item in seen}
    seen = [*_without_explained(seen), *_of_log(log, found)]
    return tuple(sorted(_merged(seen), key=_place))


def _whole(rule: Rule, subject: Subject) -> Subject:
    """The process as a rule sees it: with the calls it died in, but for the rules that ask which those are."""
    if rule in rules_death.RULES or rule.id == "pointer-bad":
        return subject
    trace = rules_death.with_dead_calls(subject.trace)
    return subject if trace is subject.trace else replace(subject, trace=trace)


def _place(finding: Finding) -> tuple[int, int, tuple[int, ...], str]:
    calls = finding.calls or Calls()
    return SEVERITY_ORDER.index(finding.severity), calls.process, calls.numbers[:1], finding.id


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
    groups: dict[tuple[str, str, int, int, str], list[_Seen]] = {}
    for item in seen:
        severity = item.observation.severity or item.rule.severity
        key = (item.rule.id, severity.value, item.process, item.observation.context, item.observation.tensor)
        groups.setdefault(key, []).append(item)
    return [_finding(group) for group in groups.values()]


def _finding(group: Sequence[_Seen]) -> Finding:
    """One finding of what one rule saw; sentence and values are those of the first observation."""
    rule, first = group[0].rule, group[0].observation
    numbers = tuple(dict.fromkeys(number for item in group for number in item.observation.calls))[:MAX_CALLS_NAMED]
    return Finding(
        rule.id,
        next((stage for name, stage in _RULE_STAGES.items() if name in rule.id), FindingStage.INPUT),
        first.severity or rule.severity,
        _CONFIDENCE,
        rule.title,
        first.why,
        fix=rule.fix,
        fix_code=rule.snippet,
        reference=rule.reference,
        subject=first.tensor,
        calls=Calls(group[0].process, first.context, numbers, len(group)),
        values=first.values,
    )
