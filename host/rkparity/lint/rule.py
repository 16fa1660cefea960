"""What a rule is and what it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable

from rkparity.findings.finding import Severity, Value

if TYPE_CHECKING:
    from rkparity.lint.subject import Subject


@dataclass(frozen=True)
class Observation:
    """One place where a rule applies.

    `context` is the layer's number (0: none), `calls` are call numbers of the trace, `tensor` the tensor concerned or
    empty, `why` a sentence with the values, `severity` replaces the rule's own when set.
    """

    context: int
    calls: tuple[int, ...]
    why: str
    tensor: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    severity: Severity | None = None


@dataclass(frozen=True)
class Rule:
    """One row of the registry: `check` yields what it sees; everything else is the same for each finding.

    `fix` says what to change in terms of the API, `snippet` shows it in C, `reference` names the manual's section or
    the recorded experiment it rests on. `is_general` rules are left out where another rule explains the same call.
    """

    id: str
    severity: Severity
    title: str
    reference: str
    fix: str
    snippet: str
    check: Callable[[Subject], Iterable[Observation]]
    is_general: bool = False


@dataclass(frozen=True)
class Unchecked:
    """A rule, or a kind of rule, that could not be applied, or something no trace can show; and why."""

    what: str
    reason: str


MAX_CALLS_NAMED = 8
