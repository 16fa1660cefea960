"""A runtime older than the model's compiler is named, by a patch as well; a later patch of the same release is not."""

from __future__ import annotations

import pytest

from rkparity.compare.comparison import Comparison
from rkparity.compare.thresholds import Thresholds
from rkparity.diagnose.versions import version_findings


def found(runtime: str, compiler: str, *, emulated: bool = False) -> list[str]:
    versions = {"dumps": {"runtime": runtime}, "reference": {}, "model": {"compiler": compiler}}
    comparison = Comparison("dumps", "reference", (), (), (), Thresholds(), versions=versions, emulated=emulated)
    return [item.id for item in version_findings(comparison)]


@pytest.mark.parametrize(
    ("runtime", "compiler", "named"),
    [
        ("2.3.0 (c949ad889d@2024-11-07T11:35:33)", "2.3.2 (compiler version: 2.3.2 (e045de294f@2025-04-07))", True),
        ("1.5.0 (e6fe0c678@2023-05-25T08:09:20)", "1.5.2", True),
        ("1.6.0 (9a7b5d24c@2023-12-13T17:31:11)", "2.3.2", True),
        ("2.3.2", "1.6.0", True),
        ("2.3.2 (429f97ae6b@2025-04-09T09:09:27)", "2.3.0", False),
        ("2.3.2", "2.3.2", False),
    ],
)
def test_runtime_against_compiler(runtime: str, compiler: str, named: bool) -> None:
    assert found(runtime, compiler) == (["versions.runtime"] if named else [])
    assert found(runtime, compiler, emulated=True) == []
