"""Stage results: kept and read back, ordered, and written as JSON, JUnit XML and Markdown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rkparity.errors import DataError
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.check import CheckReport, _judged
from rkparity.flow.result import Stage, StageResult, StageVerdict, Table
from rkparity.flow.store import Store, key_of
from rkparity.report.check_view import markdown, terminal_lines
from rkparity.report.junit import junit_xml

FINDING = Finding(
    "fp16.overflow",
    FindingStage.LAYER,
    Severity.ERROR,
    0.9,
    "a<b> & |c| \x01",
    "because *x*",
    (Evidence("statistics", "e", {"maximum": math.inf}),),
    "do `this`",
    "x = 1",
)
FAILED = StageResult(
    Stage.FP16,
    StageVerdict.FAIL,
    ("one <fact>",),
    "mend it",
    (FINDING,),
    (Table("t", ("a", "b"), (("x", math.nan), (None, 1.5))),),
    {"golden": "work/x"},
    1.25,
    10,
)


def passed(stage: Stage) -> StageResult:
    return StageResult(stage, StageVerdict.PASS, ("fine",), "go on")


def report(*results: StageResult) -> CheckReport:
    return CheckReport("p<1>", Path("/out"), results, {"toolkit": "2.5.0"}, 3.0, 100)


def test_a_result_survives_json() -> None:
    value = json.loads(json.dumps(FAILED.to_json(), allow_nan=False))
    assert StageResult.from_json(value, source="x").to_json() == value
    assert value["figures"][0]["rows"] == [["x", "nan"], [None, 1.5]]
    with pytest.raises(DataError, match="not a stage's result"):
        StageResult.from_json({"stage": "fp16"}, source="x")
    with pytest.raises(ValueError, match="3 facts"):
        StageResult(Stage.FP16, StageVerdict.PASS, ("1", "2", "3", "4"), "")


def test_a_stage_behind_a_failing_one_never_passes() -> None:
    judged = _judged([FAILED, passed(Stage.QUANTIZED), passed(Stage.CONNECTED)])
    assert [item.verdict for item in judged] == [StageVerdict.FAIL, StageVerdict.NOT_JUDGED, StageVerdict.NOT_JUDGED]
    assert "fp16" in judged[1].next_action


def test_the_exit_code_is_that_of_the_worst_stage() -> None:
    broken = StageResult(Stage.CONNECTED, StageVerdict.INCOMPLETE, ("no board",), "connect it")
    unrun = StageResult(Stage.RUNTIME, StageVerdict.NOT_RUN, (), "later")
    assert report(passed(Stage.FP16), unrun).exit_code == 0
    assert report(passed(Stage.FP16), broken).exit_code == 3
    assert report(FAILED, broken).exit_code == 1
    assert report(FAILED, broken).next_action == "mend it"
    assert report(passed(Stage.FP16), broken).next_action == "connect it"


def test_junit_is_xml_whatever_names_hold() -> None:
    broken = StageResult(Stage.CONNECTED, StageVerdict.INCOMPLETE, ("no board",), "connect it")
    text = junit_xml(report(FAILED, passed(Stage.QUANTIZED), broken))
    root = ElementTree.fromstring(text.encode())  # noqa: S314 - written by us
    suite = root.find("testsuite")
    assert suite is not None and suite.get("failures") == "1" and suite.get("errors") == "1"
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("message") == "one <fact>"
    assert failure.text is not None and "a<b> & |c| ?" in failure.text and "next: mend it" in failure.text


def test_markdown_keeps_tables_whole_and_names_plain() -> None:
    text = markdown(report(FAILED))
    assert "\\|c\\|" in text and "| x | nan |" in text and "`fp16.overflow`" in text
    rows = [line for line in text.splitlines() if line.startswith("| fp16")]
    assert rows == ["| fp16 | fail | one \\<fact\\> | 1.2 s |"]


def test_the_terminal_shows_cause_fix_and_cost() -> None:
    lines = list(terminal_lines(report(FAILED)))
    assert any("because *x*" in line for line in lines)
    assert any("fix: do `this`" in line for line in lines)
    assert lines[0].startswith("FAIL: ")
    assert lines[1] == "next: mend it"


def test_a_check_with_stages_that_did_not_run_is_no_plain_pass() -> None:
    undone = StageResult(Stage.CONNECTED, StageVerdict.NOT_RUN, (), "name a board")
    some = report(passed(Stage.FP16), passed(Stage.QUANTIZED), undone)
    assert some.title == "PASS so far, not run: connected"
    assert next(iter(terminal_lines(some))).startswith("PASS so far, not run: connected: ")
    assert report(passed(Stage.FP16), passed(Stage.QUANTIZED)).title == "PASS"
    assert report(FAILED, undone).title == "FAIL"


def test_results_are_kept_by_key_and_marked(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    store.keep(FAILED, "k1")
    found = store.result(Stage.FP16, "k1")
    assert found is not None and found.reused and found.facts == FAILED.facts
    assert store.result(Stage.FP16, "k2") is None
    assert store.result(Stage.QUANTIZED) is None
    assert Store(tmp_path / "out", fresh=True).result(Stage.FP16, "k1") is None
    (tmp_path / "out" / "results" / "fp16.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        store.result(Stage.FP16, "k1")


def test_keys_follow_the_bytes_of_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    first = key_of(files=[path], a=1)
    assert first == key_of(files=[path], a=1) != key_of(files=[path], a=2)
    path.write_bytes(b"2")
    assert key_of(files=[path], a=1) != first


def test_work_folders_of_other_keys_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, other, two = key_of(a=1), key_of(a=2), key_of(a=1)
    (store.work("step", one) / "f").write_text("x")
    assert (store.work("step", two) / "f").is_file()
    store.work("step", other)
    assert not (tmp_path / "work" / f"step-{one[:16]}").exists()
    calls = []
    assert store.remember("n", one, lambda: calls.append(1) or {"v": 1}) == {"v": 1}
    assert store.remember("n", one, lambda: calls.append(1) or {"v": 2}) == {"v": 1}
    assert len(calls) == 1
