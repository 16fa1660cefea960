"""The catalogue of everything rkparity can find: id -> stage, severity, title, cause, fix, code, reference.

Every finding is made here, so that one cause reads the same wherever it is found and in either language. A new cause is
one entry in `findings/causes/`; docs/architecture.md says which file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rkparity.findings.cause import CatalogueEntry, Text, fill
from rkparity.findings.causes import ALL
from rkparity.findings.finding import Evidence, Finding, Value

DETAIL = "detail"
_NOTHING: Mapping[str, Value] = {}


def _by_id(entries: Iterable[CatalogueEntry]) -> dict[str, CatalogueEntry]:
    found: dict[str, CatalogueEntry] = {}
    for entry in entries:
        if found.setdefault(entry.id, entry) is not entry:
            raise ValueError(f"two causes are called {entry.id}")
    return found


CATALOGUE: Mapping[str, CatalogueEntry] = _by_id(ALL)


def make(
    identifier: str,
    confidence: float,
    evidence: Iterable[Evidence] = (),
    *,
    subject: str = "",
    detail: str = "",
    values: Mapping[str, Value] = _NOTHING,
) -> Finding:
    """A finding of that cause; KeyError when the catalogue has none.

    `detail` is a sentence or more about what was measured and goes after the cause; `values` fill the texts, which may
    also speak of {subject}. What is rare (residual, another severity, calls) is added with `dataclasses.replace`.
    """
    entry = CATALOGUE[identifier]
    known = {**values, DETAIL: detail} if detail else dict(values)
    text = _filled(entry.en, subject, known)
    code = fill(entry.code, {"subject": subject, **values})
    return Finding(
        identifier,
        entry.stage,
        entry.severity,
        confidence,
        text.title,
        text.cause,
        tuple(evidence),
        text.fix,
        code,
        entry.reference,
        subject=subject,
        values=known,
    )


def in_chinese(finding: Finding) -> Text:
    """Title, cause and fix in Chinese; as they are when the catalogue does not have the finding's id."""
    entry = CATALOGUE.get(finding.id)
    if entry is None:
        return Text(finding.title, finding.cause, finding.fix)
    return _filled(entry.zh, finding.subject, finding.values)


def _filled(text: Text, subject: str, values: Mapping[str, Value]) -> Text:
    known = {"subject": subject, **values}
    detail = str(values.get(DETAIL, ""))
    cause = " ".join(part for part in (fill(text.cause, known), detail) if part)
    return Text(fill(text.title, known), cause, fill(text.fix, known))
