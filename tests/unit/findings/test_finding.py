"""The one record of a finding: its JSON there and back, JSON of older versions, and that there is no second one."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest

from rkparity.findings import Calls, Evidence, Finding, FindingStage, Severity

HOST = Path(__file__).resolve().parents[3] / "host" / "rkparity"
FINDING = Finding(
    "input.channels.bgr",
    FindingStage.INPUT,
    Severity.ERROR,
    0.9,
    "title",
    "cause",
    (Evidence("fit", "it fits", {"error": 0.5}, "picture.png"),),
    "fix",
    "code();",
    "manual 7.2.2",
    0.25,
    "LSB",
    "images",
    Calls(7, 1, (3, 9), 12),
    {"size": 910, "type": "UINT8"},
)


def test_json_there_and_back() -> None:
    assert Finding.from_json(FINDING.to_json()) == FINDING


def test_numbers_that_are_not_finite_are_null_or_text() -> None:
    odd = Finding(
        "x",
        FindingStage.LAYER,
        Severity.INFO,
        math.nan,
        "t",
        "c",
        (Evidence("fit", "", {"a": math.inf}),),
        residual=math.nan,
        values={"mean": math.nan},
    )
    value = odd.to_json()
    assert (value["confidence"], value["residual"], value["evidence"][0]["numbers"]) == (None, None, {"a": None})
    assert value["values"] == {"mean": "nan"}


def test_json_of_an_older_version_is_read() -> None:
    value = FINDING.to_json()
    del value["calls"], value["values"]
    read = Finding.from_json(value)
    assert (read.id, read.calls, read.values) == ("input.channels.bgr", None, {})


@pytest.mark.parametrize("broken", [{}, {"id": "x"}, {**FINDING.to_json(), "severity": "fatal"}])
def test_what_is_no_finding_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        Finding.from_json(broken)


def test_there_is_one_class_of_each_name() -> None:
    named = [
        (node.name, path.relative_to(HOST).as_posix())
        for path in HOST.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name in {"Finding", "Severity"}
    ]
    assert sorted(named) == [("Finding", "findings/finding.py"), ("Severity", "findings/finding.py")]
