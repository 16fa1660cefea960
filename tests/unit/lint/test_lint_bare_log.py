"""A log alone, as people paste it: error lines are shown, versions compared, and what a log cannot say is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rkparity.cli.main import main
from rkparity.lint import lint

INFORMATION = """\
I RKNN: [10:00:00.000] RKNN Runtime Information, librknnrt version: {runtime} (c949ad889d@2024-11-07T11:35:33)
I RKNN: [10:00:00.001] RKNN Model Information, version: 6, toolkit version: {toolkit}(compiler {toolkit} (e0@2025))
"""
SHIFTED = (
    "I RKNN: [1:0:0.1] RKNN Model Information, version: 6, toolkit version: (null), target: {toolkit}(compiler ...\n"
)
ERRORS = """\
loading the model
E RKNN: [16:20:31.860] REGTASK: The bit width of field value exceeds the limit, target: lite, offset: 0x1028
E RKNN: [11:00:00.000] failed to submit!, op id: 146, op name: OutputOperator:output, flags: 0x5, task start: 328
E RKNN: [11:00:00.000] op type:ScatterND, name: ScatterND_1, fallback cpu failed. If using rknn, update
E RKNN: [11:00:00.000] Something that nobody has seen yet
E RKNN: [11:00:01.000] Something that nobody has seen yet
RgaBlit(1390) RGA_BLIT fail: Invalid argument
E RgaApi: Failed to call RockChipRga interface, please use 'dmesg' command to view driver error log.
W RKNN: [11:00:00.000] Current driver version: 0.8.2, recommend to upgrade the driver to the new version: >= 0.8.8
"""


def findings(tmp_path: Path, text: str) -> list[Any]:
    log = tmp_path / "board.log"
    log.write_text(text)
    return list(lint(log).findings)


def test_every_error_line_is_a_finding_once(tmp_path: Path) -> None:
    errors = [item for item in findings(tmp_path, ERRORS) if item.severity.value == "error"]
    said = "\n".join(item.cause for item in errors)
    for words in ("REGTASK", "failed to submit", "ScatterND_1", "nobody has seen", "RGA_BLIT fail", "RockChipRga"):
        assert said.count(words) == 1, words
    assert len(errors) == 6


def test_operators_are_among_the_values(tmp_path: Path) -> None:
    values = {item.cause.split(": ")[2][:12]: dict(item.values) for item in findings(tmp_path, ERRORS)}
    submit = next(value for key, value in values.items() if key.startswith("failed to su"))
    assert (submit.get("id"), submit.get("type"), submit.get("name")) == ("146", "OutputOperator", "output")
    assert next(value for key, value in values.items() if key.startswith("op type")).get("name") == "ScatterND_1"


@pytest.mark.parametrize(
    ("runtime", "toolkit", "older"),
    [
        ("2.3.0", "2.3.2", True),
        ("1.5.0", "1.5.2", True),
        ("1.6.0", "2.3.0", True),
        ("2.3.2", "2.3.2", False),
        ("2.3.2", "2.3.0", False),
    ],
)
@pytest.mark.parametrize("shifted", [False, True])
def test_a_runtime_older_by_a_patch_is_one_finding(
    tmp_path: Path, runtime: str, toolkit: str, *, older: bool, shifted: bool
) -> None:
    first, second = INFORMATION.splitlines(keepends=True)
    text = (first + (SHIFTED if shifted else second)).format(runtime=runtime, toolkit=toolkit)
    assert [item.id for item in findings(tmp_path, text)] == (["version-log"] if older else [])


def test_diagnose_takes_the_log_and_says_what_it_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "board.log"
    log.write_text(ERRORS)
    assert main(["diagnose", str(log)]) == 1
    said = capsys.readouterr().out
    assert "not checked:" in said and "whether any value is wrong" in said and "collect the dumps" in said
    log.write_text(INFORMATION.format(runtime="2.3.2", toolkit="2.3.2"))
    assert main(["diagnose", str(log)]) == 0
    assert "whether any value is wrong" in capsys.readouterr().out
    assert main(["diagnose", str(log), "--picture", "x.png"]) == 2
