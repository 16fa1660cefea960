"""Each rule on a real program that makes the mistake, on the emulated runtime; and on correct programs."""

from __future__ import annotations

from typing import Any

import pytest

from rkparity.findings import Severity
from rkparity.lint import RULES, Lint

C3 = "b25_c3w30_int8_rk3588"
CNN = "c25_cnn_classifier_int8"
CNN16 = "c25_cnn_classifier_fp16"
MULTI = "c25_multi_input_int8"
SPLIT = "b25_split_int8_rk3588"
FLAT = "b25_d2_int8_rk3588"
IDS = "b25_ids_int8_rk3588"
MINI = "b25_c3w30_int8_rv1106"
GENERAL, ZERO, THREADS, CONTEXTS = "general", "zero-copy", "threads", "contexts"
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def found(result: Lint) -> set[tuple[str, Severity]]:
    return {(finding.id, finding.severity) for finding in result.findings}


# Rule, severity, model, API, mistake; whatever else may be found.
MISTAKES = [
    ("input-fmt-4d", ERROR, C3, GENERAL, "fmt-nchw"),
    ("input-fmt-4d", ERROR, CNN16, GENERAL, "fmt-undefined"),
    ("input-fmt-other-rank", WARNING, FLAT, GENERAL, "fmt-rank"),
    ("input-type-zero", ERROR, C3, GENERAL, "type-zero"),
    ("input-type-zero", ERROR, C3, GENERAL, "type-zero-full"),
    ("input-size-small", ERROR, C3, GENERAL, "size-small"),
    ("input-size-big", WARNING, C3, GENERAL, "size-big"),
    ("input-size-big", ERROR, CNN, GENERAL, "size-big"),
    ("input-type-refused", ERROR, C3, GENERAL, "type-refused"),
    ("input-int8-pixels", WARNING, C3, GENERAL, "int8-pixels"),
    ("input-int8-pixels", WARNING, C3, ZERO, "zc-int8"),
    ("input-index", ERROR, MULTI, GENERAL, "index-swapped"),
    ("input-index", WARNING, MULTI, GENERAL, "index-same"),
    ("input-count", ERROR, MULTI, GENERAL, "inputs-few"),
    ("input-count", ERROR, MULTI, GENERAL, "inputs-many"),
    ("struct-garbage", ERROR, C3, GENERAL, "garbage"),
    ("struct-garbage", ERROR, C3, GENERAL, "type-99"),
    ("struct-garbage", ERROR, C3, GENERAL, "output-garbage"),
    ("input-pass-through", ERROR, C3, GENERAL, "pass-through"),
    ("input-unit-range", ERROR, C3, GENERAL, "unit-bytes"),
    ("input-unit-range", ERROR, C3, GENERAL, "tiny-floats"),
    ("input-normalized-twice", ERROR, CNN, GENERAL, "normalized"),
    ("input-normalized-twice", ERROR, CNN16, GENERAL, "normalized"),
    ("input-float-bytes", WARNING, C3, GENERAL, "float-bytes"),
    ("input-not-finite", ERROR, C3, GENERAL, "not-finite"),
    ("input-constant", WARNING, C3, GENERAL, "constant"),
    ("input-stale", WARNING, C3, GENERAL, "stale"),
    ("input-stale", WARNING, C3, ZERO, "stale"),
    ("get-before-run", ERROR, C3, GENERAL, "get-before-run"),
    ("run-without-inputs", ERROR, C3, GENERAL, "no-inputs"),
    ("error-ignored", ERROR, C3, GENERAL, "size-small"),
    ("error-ignored", ERROR, C3, GENERAL, "init-garbage"),
    ("context-unknown", ERROR, C3, GENERAL, "context-zero"),
    ("context-unknown", ERROR, C3, GENERAL, "use-destroyed"),
    ("pointer-bad", ERROR, C3, GENERAL, "null-buffer"),
    ("context-shared", ERROR, C3, THREADS, "shared-context"),
    ("query-failed", WARNING, C3, GENERAL, "query-size"),
    ("call-failed", ERROR, C3, ZERO, "zc-nchw"),
    ("output-prealloc-small", ERROR, C3, GENERAL, "prealloc-small"),
    ("output-raw-as-float", ERROR, C3, GENERAL, "raw-as-float"),
    ("output-index", WARNING, SPLIT, GENERAL, "output-index-swapped"),
    ("output-index", ERROR, C3, GENERAL, "output-range"),
    ("output-count", ERROR, SPLIT, GENERAL, "output-few"),
    ("outputs-not-released", WARNING, C3, GENERAL, "not-released"),
    ("output-all-zero", WARNING, C3, GENERAL, "prealloc-small"),
    ("output-unchanged", WARNING, CNN, GENERAL, "size-big"),
    ("output-buffer-shared", ERROR, C3, THREADS, "shared-output"),
    ("io-mem-size", ERROR, C3, ZERO, "zc-size"),
    ("io-mem-size", ERROR, C3, ZERO, "zc-out-small"),
    ("io-mem-attributes", ERROR, C3, ZERO, "zc-nchw"),
    ("io-mem-attributes", ERROR, C3, ZERO, "zc-nc1hwc2"),
    ("io-mem-attributes", ERROR, C3, ZERO, "zc-name"),
    ("io-mem-attributes", ERROR, C3, ZERO, "zc-out-float"),
    ("input-type-changed", ERROR, C3, GENERAL, "type-changes"),
    ("output-mem-type", ERROR, CNN16, ZERO, "zc-out-int8"),
    ("mini-input-type", ERROR, MINI, ZERO, "zc-float"),
    ("io-mem-stride", ERROR, C3, ZERO, "zc-stride"),
    ("io-mem-mixed", ERROR, C3, ZERO, "mixed"),
    ("io-mem-missing", ERROR, SPLIT, ZERO, "unbound-output"),
    ("mem-sync-missing", INFO, C3, ZERO, "no-sync"),
    ("mem-sync-missing", WARNING, C3, ZERO, "external"),
    ("mem-sync-missing", ERROR, C3, ZERO, "no-flush"),
    ("io-mem-shared", ERROR, C3, ZERO, "shared"),
    ("input-changed-by-run", ERROR, C3, ZERO, "shared"),
    ("mini-general-api", ERROR, MINI, GENERAL, "-"),
    ("io-mem-plain-query", ERROR, MINI, ZERO, "plain-query"),
    ("context-leak", WARNING, C3, GENERAL, "context-leak"),
    ("memory-leak", WARNING, C3, ZERO, "memory-leak"),
    ("memory-after-free", ERROR, C3, ZERO, "use-freed"),
    ("io-mem-shared-outputs", WARNING, C3, CONTEXTS, "shared-outputs"),
]


@pytest.mark.parametrize(("rule", "severity", "model", "api", "mistake"), MISTAKES)
def test_mistake_is_found(rule: str, severity: Severity, model: str, api: str, mistake: str, check: Any) -> None:
    result = check(model, "--api", api, "--mistake", mistake, with_model=True)
    assert (rule, severity) in found(result)
    finding = next(item for item in result.findings if item.id == rule)
    assert finding.cause and finding.fix and finding.reference
    assert finding.calls is not None and finding.calls.process > 0 and finding.calls.numbers


CORRECT = [
    (C3, GENERAL, "-"),
    (C3, ZERO, "-"),
    (C3, THREADS, "-"),
    (C3, CONTEXTS, "-"),
    (C3, ZERO, "non-cacheable"),
    (C3, ZERO, "plain-query"),
    (C3, GENERAL, "warm-up"),
    (SPLIT, GENERAL, "output-index-zero"),
    (CNN16, GENERAL, "type-changes"),
    (C3, GENERAL, "pass-through-native"),
    (C3, GENERAL, "want-raw"),
    (C3, GENERAL, "prealloc"),
    (C3, GENERAL, "prealloc-raw"),
    (C3, GENERAL, "pixel-floats"),
    (CNN, GENERAL, "-"),
    (CNN, GENERAL, "pixel-floats"),
    (CNN16, GENERAL, "-"),
    (CNN16, ZERO, "-"),
    (MULTI, GENERAL, "-"),
    (MULTI, ZERO, "-"),
    (SPLIT, GENERAL, "-"),
    (SPLIT, ZERO, "-"),
    (SPLIT, THREADS, "-"),
    (FLAT, GENERAL, "-"),
    (IDS, GENERAL, "-"),
    (MINI, ZERO, "-"),
]


@pytest.mark.parametrize(("model", "api", "mistake"), CORRECT)
@pytest.mark.parametrize("with_model", [False, True])
def test_correct_program_has_no_finding(model: str, api: str, mistake: str, with_model: bool, check: Any) -> None:
    result = check(model, "--api", api, "--mistake", mistake, "--runs", "4", with_model=with_model)
    assert [f"{finding.id}: {finding.cause}" for finding in result.findings] == []
    assert sum(calls for _, _, calls in result.processes) > 10


def test_every_rule_of_the_calls_has_a_program() -> None:
    # Rules about versions, the reference, crashes, two builds and logs have their own tests.
    elsewhere = {
        "input-differs-from-reference",
        *("died-in-call", "ended-without-exit", "ended-by-signal", "exit-code", "no-library-call", "not-started"),
        "outputs-released-twice",
        "version-log",
        "function-missing",
        "output-not-finite",
        "output-unstable",
        "version-runtime",
        "version-driver",
        "model-differs",
    }
    ids = {rule.id for rule in RULES if not rule.id.startswith("log-")}
    assert ids - {case[0] for case in MISTAKES} == elsewhere


def test_values_and_call_numbers(check: Any) -> None:
    result = check(C3, "--mistake", "size-big")
    finding = next(item for item in result.findings if item.id == "input-size-big")
    assert finding.values == {"size": 910, "expected": 810, "type": "UINT8", "n_elems": 810}
    assert finding.subject == "x"
    assert finding.calls is not None and finding.calls.count == 2 and len(finding.calls.numbers) == 2
    assert "(1x9x30x3 NHWC INT8): size is 910, 810 elements of UINT8 are 810 bytes" in finding.cause


def test_unit_floats_for_a_float16_model_are_no_finding_of_the_range(check: Any) -> None:
    assert "input-unit-range" not in {rule for rule, _ in found(check(CNN16, "--mistake", "unit-floats"))}


def test_raw_outputs_are_said_to_be_unseen(check: Any) -> None:
    result = check(C3, "--mistake", "want-raw")
    said = [item.reason for item in result.unchecked if "output 'y'" in item.what]
    assert said and "fetched with want_float 0, so it is INT8" in said[0]


def test_without_hashes_the_fields_are_still_checked(check: Any) -> None:
    off = {"RKPARITY_TRACE_NO_HASH": "1"}
    assert check(C3, "--mistake", "stale", environment=off).findings == ()
    result = check(C3, "--mistake", "fmt-undefined", environment=off)
    assert ("input-fmt-4d", ERROR) in found(result)
    assert any("hashing was off" in item.reason for item in result.unchecked)


def test_crash_in_a_call_is_found(check: Any) -> None:
    result = check(C3, "--mistake", "null-buffer", environment={"RKPARITY_EMULATOR_CRASH": "1"})
    bad = next(item for item in result.findings if item.id == "pointer-bad")
    assert "the program died in this call" in bad.cause
    result = check(C3, "--api", ZERO, "--mistake", "zc-nchw", environment={"RKPARITY_EMULATOR_CRASH": "1"})
    died = next(item for item in result.findings if item.id == "died-in-call")
    assert died.cause == "rknn_run never returned: the program died in it, or was stopped there"
