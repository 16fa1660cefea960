"""The lines librknnrt prints (as recorded) and what they mean; lines that mean nothing; damaged logs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from rkparity.errors import DataError
from rkparity.findings import Calls, Finding, FindingStage, Severity
from rkparity.lint import Lint, Unchecked
from rkparity.lint.registry import RULES, check
from rkparity.lint.rules_log import LOG_RULES, read_log, read_logs
from rkparity.report.lint_view import print_lint

LINES = {
    "log-input-layout": "E RKNN: Meet unsupported src layout for normalize: NCHW, only support NHWC src layout!",
    "log-input-type": "E RKNN: [10:00:00.123] Normalize does not support for this data type: INT64",
    "log-input-size-big": "E RKNN: [10:00:00.123] rknn_inputs_set, current input size(20000) > need input size(16384)",
    "log-input-size-small": "E RKNN: [10:00:00.123] rknn_inputs_set, param input size(16383) < model input size(16384)",
    "log-input-count": "W RKNN: [10:00:00.123] rknn_inputs_set, param input num(1) != model input num(2)",
    "log-output-size": "E RKNN: [10:00:00.123] output[0] buf size error, size = 1000, expected size = 4000",
    "log-output-index": "E RKNN: [10:00:00.123] rknn_outputs_get, param output index(127) is out of range(3)",
    "log-output-layout": "E RKNN: [10:00:00.123] Unsupport output: output for NPU NHWC",
    "log-memory-size": "E RKNN: [10:00:00.123] rknn_set_io_mem, input memory size(1000) < model input size(16384)",
    "log-dump-path": "E RKNN: [10:00:00.123] failed open dump path: /nowhere/000_x.npy",
    "log-model-version": "E RKNN: [10:00:00.123] Invalid RKNN model version 6",
    "log-platform": "E RKNN: [10:00:00.123] This rknn model is for RK3566, but current platform is RK3588",
    "log-version": "W RKNN: [10:00:00.123] RKNN Model version: 2.5.0 not match with rknn runtime version: 1.6.0",
    "log-driver": "E RKNN: [10:00:00.123] failed to open rknpu module, need to insmod rknpu driver!",
    "log-general-api": "E RKNN: rknn_inputs_set context config invalid!",
    "log-batch": "E RKNN: [10:00:00.123] only support input n_dims == 4 when batch_size > 1",
    "log-float16-range": "W RKNN: [10:00:00.123] The range [-1.0, inf] of tensor x is out of the float16!",
}


def findings_of(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    path = tmp_path / "stderr.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return check([], read_logs([path]))


def test_every_rule_has_a_line() -> None:
    assert set(LINES) == {known.rule.id for known in LOG_RULES}


@pytest.mark.parametrize("rule", LINES)
def test_line_is_known(rule: str, tmp_path: Path) -> None:
    found = findings_of(tmp_path, f"hello\n{LINES[rule]}\n{LINES[rule]}\n")
    assert [(item.id, item.calls.count) for item in found if item.calls] == [(rule, 2)]
    assert found[0].cause.startswith("stderr.txt:2: ")


@pytest.mark.parametrize(
    "line",
    [
        "D RKNN: [10:00:00.123] failed open dump path: told at debug level",
        "I RKNN: [10:00:00.123] RKNN Runtime Information, librknnrt version: 1.6.0",
        "my own program: output[0] buf size error",
        "E RKNN: [10:00:00.123] something else",
        "",
        "\udcff\udcfe E",
    ],
)
def test_line_is_not_known(line: str, tmp_path: Path) -> None:
    assert findings_of(tmp_path, line + "\n") == ()


def test_emulated_runtime_may_differ_in_version(tmp_path: Path) -> None:
    emulated = "I RKNN: [10:00:00.123] rkparity emulated runtime: rk3588\n"
    assert findings_of(tmp_path, emulated + LINES["log-version"] + "\n") == ()
    assert [item.id for item in findings_of(tmp_path, emulated + LINES["log-driver"] + "\n")] == ["log-driver"]


def test_long_lines_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "stdout.txt"
    path.write_bytes(b"E RKNN: " + b"x" * 1_000_000 + b"\nE RKNN: after\n")
    lines = list(read_log(path))
    assert len(lines[0].text) < 5000 and lines[-1].text == "after"


def test_missing_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: cannot be read"):
        list(read_log(tmp_path / "gone.txt"))


def test_rules_are_whole() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    for rule in RULES:
        assert rule.title and rule.fix.endswith(".") and rule.reference, rule.id


def test_names_of_tensors_cannot_steer_the_terminal() -> None:
    finding = Finding(
        "input-fmt-4d",
        FindingStage.INPUT,
        Severity.ERROR,
        0.9,
        "t",
        "input '\x1b[31m[red]x\n'",
        fix="f",
        fix_code="a\nb",
        reference="r",
        subject="x",
        calls=Calls(7, 1, (3, 9), 12),
    )
    stream = io.StringIO()
    print_lint(Lint(Path("t"), ((7, "app", 20),), (), (finding,), (Unchecked("a\x07", "b\n"),)), file=stream)
    assert stream.getvalue() == (
        "ERROR input-fmt-4d: t\n"
        "  process 7, context 1, call 3, 9 ...; 12 times\n"
        "  input '\\x1b[31m[red]x\\x0a'\n"
        "  fix: f\n      a\n      b\n  see: r\n\n"
        "not checked:\n  a\\x07: b\\x0a\n20 calls of 1 process: 1 error\n"
    )
