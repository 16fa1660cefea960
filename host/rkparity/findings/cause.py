"""A catalogue entry: the texts of one named cause in English and Chinese, with `{name}` for what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rkparity.findings.finding import FindingStage, Severity, Value

_FIELD = re.compile(r"\{(\w+)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Text:
    """What a person reads. `cause` is empty where the observation itself is the cause (rules about calls)."""

    title: str
    cause: str
    fix: str


@dataclass(frozen=True)
class CatalogueEntry:
    """One named cause. `id` is "stage.family.name", `code` is what to write, `reference` a manual section or an issue.

    `{name}` and `{name:format}` in texts and code stand for the finding's values; other braces are kept.
    """

    id: str
    stage: FindingStage
    en: Text
    zh: Text
    code: str = ""
    reference: str = ""
    severity: Severity = Severity.ERROR


def fields_of(template: str) -> set[str]:
    """The names a text speaks of."""
    return {match[1] for match in _FIELD.finditer(template)}


def fill(template: str, values: Mapping[str, Value]) -> str:
    """The text with its values; a name without a value stays as it is, so that C code keeps its braces."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        known = values[match[1]]
        return format(known, match[2] or "") if not isinstance(known, str) else known

    return _FIELD.sub(value, template)
