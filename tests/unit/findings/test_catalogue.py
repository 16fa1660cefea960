"""The catalogue: every entry is whole in both languages, both speak of the same values, and findings carry them."""

from __future__ import annotations

import re

import pytest

from rkparity.findings.catalogue import CATALOGUE, in_chinese, make
from rkparity.findings.cause import CatalogueEntry, fields_of, fill
from rkparity.findings.finding import FindingStage, Severity

CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENTRIES = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE.keys())


@ENTRIES
def test_entry_is_whole(entry: CatalogueEntry) -> None:
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9_-]+)+", entry.id)
    assert entry.en.title and entry.en.fix and entry.reference
    # What a rule over the calls saw is its cause.
    assert entry.en.cause or entry.id.startswith("lint.")
    assert all(CHINESE.search(text) for text in (entry.zh.title, entry.zh.cause, entry.zh.fix))


@ENTRIES
def test_both_languages_speak_of_the_same_values(entry: CatalogueEntry) -> None:
    english = fields_of(entry.en.title + entry.en.cause + entry.en.fix)
    chinese = fields_of(entry.zh.title + entry.zh.cause + entry.zh.fix)
    assert chinese <= english | {"subject"}


def test_values_fill_texts_and_code_keeps_its_braces() -> None:
    assert fill("{a:.2f} of {b}, {c}", {"a": 1.234, "b": "x{a}"}) == "1.23 of x{a}, {c}"
    assert fill("for (;;) { x; }", {"x": 1}) == "for (;;) { x; }"


def test_finding_in_both_languages() -> None:
    finding = make("log.submit", 0.5, subject="output", detail="It was operator 146.")
    assert (finding.stage, finding.severity) == (FindingStage.LAYER, Severity.ERROR)
    assert finding.title.startswith("the NPU refused") and finding.cause.endswith(" It was operator 146.")
    text = in_chinese(finding)
    assert text.title.startswith("NPU 拒绝") and text.cause.endswith(" It was operator 146.")


def test_an_id_that_is_not_there_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        make("no.such", 0.5)
