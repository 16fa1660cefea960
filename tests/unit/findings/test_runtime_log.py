"""The one table of log lines: every line recorded with the real library has one id, whoever reads the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity.findings import Severity
from rkparity.findings.catalogue import CATALOGUE
from rkparity.findings.log_findings import log_findings, log_warnings, refusal_of, warned_lines
from rkparity.findings.runtime_log import TABLE, USUAL, LogLine, id_of, operator_of, parse, read_log, read_logs

DATA = Path(__file__).resolve().parents[2] / "data" / "runtime_log" / "recorded.tsv"
RECORDED = [tuple(line.split("\t", 1)) for line in DATA.read_text(encoding="utf-8").split("\n") if line]
# Public reports of boards: what each line is, its operator and number.
REPORTED = [
    ("E RKNN: [11:00:00.000] GatherElements op: Out of range value in index tensor", "log.index-range", ("", "", "")),
    ("E RKNN: failed to allocate handle, ret: -1, errno: 12, errstr: Cannot allocate memory", "log.allocate", None),
    ("E RKNN: channel is too large, may produce thousands of regtask, fallback to cpu!", "log.cpu-fallback", None),
    (
        "E RKNN: op type:ScatterND, name: ScatterND_1, fallback cpu failed. If using rknn, update to the latest",
        "log.operator-unsupported",
        ("ScatterND", "ScatterND_1", ""),
    ),
    ("E RKNN: Meet unsupported input dtype for gather", "log.tensor-type", None),
    ("W RKNN: dataConvert: the value is out of range", "log.value-range", None),
    (
        "E RKNN: failed to submit!, op id: 146, op name: OutputOperator:output, flags: 0x5",
        "log.submit",
        ("OutputOperator", "output", "146"),
    ),
    ("RgaBlit(1390) RGA_BLIT fail: Invalid argument", "log.rga", None),
    ("E RgaApi: Failed to call RockChipRga interface, please use 'dmesg' command to view", "log.rga", None),
    ("E rga: rgb888 width stride should be 16 aligned", "log.rga", None),
    ("E RKNN: REGTASK: The bit width of field value exceeds the limit, target: lite", "log.register", None),
    ("W inference: The range [0.0, inf] of 'X' is out of the float16!", "log.float16-range", None),
    ("E RKNN: Unsupport output: output for NPU NHWC", "log.output-layout", None),
    ("W RKNN: [..] RKNN Model version: 2.3.0 not match with rknn runtime version: 1.6.0", "log.version", None),
]  # fmt: skip


def line_of(text: str) -> LogLine:
    line = parse(text, "runtime.log:1")
    assert line is not None
    return line


def test_there_are_as_many_lines_as_were_recorded() -> None:
    assert len(RECORDED) >= 215


@pytest.mark.parametrize(("identifier", "text"), RECORDED, ids=range(len(RECORDED)))
def test_recorded_line(identifier: str, text: str) -> None:
    assert id_of(line_of(text)) == identifier
    assert identifier == USUAL or identifier in CATALOGUE


@pytest.mark.parametrize(("text", "identifier", "operator"), REPORTED, ids=[row[1] for row in REPORTED])
def test_reported_line(text: str, identifier: str, operator: tuple[str, str, str] | None) -> None:
    line = line_of(text)
    assert id_of(line) == identifier
    if operator is not None:
        assert operator_of(line) == operator


def test_an_error_nobody_knows_is_shown_with_its_operator() -> None:
    lines = [line_of("E RKNN: odd thing, op type:Conv, name: conv_7, happened"), line_of("E RKNN: another")]
    first, second = log_findings(lines)
    assert (first.id, first.severity, first.subject) == ("log.error", Severity.WARNING, "conv_7")
    assert (first.values["operator"], first.values["name"]) == ("Conv", "conv_7")
    assert "odd thing" in first.cause and "another" in second.cause
    assert log_warnings(lines) == (
        "runtime log: odd thing, op type:Conv, name: conv_7, happened",
        "runtime log: another",
    )


def test_unknown_lines_are_capped_and_known_ones_are_not_lost() -> None:
    lines = [line_of(f"E RKNN: number {index}") for index in range(500)] + [line_of("E RKNN: failed to submit!")]
    found = log_findings(lines)
    assert [item.id for item in found].count("log.error") == 20 and found[-1].id == "log.submit"
    assert log_warnings(lines)[-1] == "runtime log: 461 more lines, see logs/"


def test_a_cause_seen_in_the_calls_is_not_said_again() -> None:
    line = line_of("E RKNN: rknn_inputs_set, current input size(20) > need input size(16)")
    assert [item.id for item in log_findings([line])] == ["log.input-size-big"]
    assert log_findings([line], {"lint.input-size-big"}) == ()


def test_a_consequence_is_not_said_beside_its_cause() -> None:
    refused = line_of("E RKNN: Normalize does not support for this data type. src type(8), dst type INT8")
    after = line_of("E RKNN: rknn_inputs_set, normalize error(-1) index=0")
    assert [item.id for item in log_findings([refused, after])] == ["log.input-type"]
    assert [item.id for item in log_findings([after])] == ["log.input-not-taken"]


@pytest.mark.parametrize(
    ("text", "hint", "is_dump"),
    [
        ("E RKNN: current input size(20000) > need input size(16384)", "Set size to exactly", False),
        ("E RKNN: Meet unsupported src layout for normalize: 2", "Give 4-D inputs as RKNN_TENSOR_NHWC", False),
        ("W RKNN: rknn_inputs_set, param input num(1) != model input num(2)", "Give every input", False),
        ("E RKNN: output[0] buf size error, size = 1000, expected size = 131072", "Preallocate", False),
        ("E RKNN: failed open dump path: nope/002_Conv_7_shape_1_float.npy", "Make the folder", True),
    ],
)
def test_failure_answered_with_success(text: str, hint: str, is_dump: bool) -> None:
    usual = line_of("W RKNN: Unknow dtype to get bytes: 0")
    assert refusal_of([usual]) is None
    found = refusal_of([usual, line_of(text)])
    assert found is not None and found.is_dump is is_dump
    assert found.hint.startswith(hint) and found.message.endswith(found.line)


def test_warnings_of_older_runs_are_lines_too() -> None:
    warnings = ["runtime log: output[1] buf size error", "runtime log: nobody knows", "output[1] buf size error"]
    assert [id_of(line) for line in warned_lines(warnings, "manifest.json")] == ["log.output-size"]


def test_the_programs_own_lines_and_strange_bytes(tmp_path: Path) -> None:
    log = tmp_path / "stdout.txt"
    log.write_bytes(b"my program: output[0] buf size error\n\xff\xfe E\nI RKNN: failed to submit\nE RKNN: \xff\n")
    assert [(line.where, line.level) for line in read_log(log)] == [("stdout.txt:3", "I"), ("stdout.txt:4", "E")]
    assert [item.id for item in log_findings(read_logs([log]))] == ["log.error"]


def test_every_row_has_an_entry() -> None:
    named = {row.id for row in TABLE} - {USUAL}
    assert named <= set(CATALOGUE)
    assert {name for name in CATALOGUE if name.startswith("log.")} == named | {"log.error", "log.warning"}
