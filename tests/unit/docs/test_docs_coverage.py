"""docs/coverage.md: every row is there, and the files and tests it names exist."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs"
ROW = re.compile(r"\| ([A-Z]\d+) \| (.+) \| \[[^\]]+\]\(([^)]+)\) \| \[(test_\w+)\]\(([^)]+)\) \|")
COUNTS = {"O": 4, "F": 11, "Q": 14, "R": 2, "C": 3, "U": 6}


def rows() -> list[tuple[str, ...]]:
    return [match.groups() for match in ROW.finditer((DOCS / "coverage.md").read_text(encoding="utf-8"))]


def test_every_step_of_the_order_has_its_row() -> None:
    expected = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
    assert [row[0] for row in rows()] == expected


def test_the_files_and_tests_named_exist() -> None:
    for name, _, file, test, test_file in rows():
        assert (DOCS / file).is_file(), name
        text = (DOCS / test_file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{name}: {test_file} has no {test}"
