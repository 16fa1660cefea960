"""docs/lint.md names every rule as it is, and no rule that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from rkparity.lint import RULES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "lint.md").read_text(encoding="utf-8")


def test_table_of_rules_is_the_registry() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|info) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert rows == [(rule.id, rule.severity.value, rule.title, rule.reference) for rule in RULES]


def test_threads_are_mapped_to_rules_that_exist() -> None:
    table = PAGE.split("## Known problems and their rules")[1].split("## JSON")[0]
    ids = {rule.id for rule in RULES}
    rows = [line for line in table.splitlines() if re.match(r"\| \S+#\d+", line)]
    assert len(rows) >= 28
    for row in rows:
        named = [name for name in re.findall(r"`([a-z0-9-]+)`", row) if not name.startswith("--")]
        assert set(named) <= ids | {"-"}, row
        # Whatever is not caught says why.
        assert named or "| not: " in row, row
