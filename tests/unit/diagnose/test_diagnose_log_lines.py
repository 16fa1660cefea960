"""Known lines of logs, and versions that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity.compare.comparison import Comparison
from rkparity.compare.thresholds import Thresholds
from rkparity.diagnose.log_lines import log_findings
from rkparity.diagnose.versions import version_findings

# As the real runtime printed them (evidence 160_gen_*, 160_err_*, 152_gen_*, mrt232_*) or as public threads quote them.
LINES = [
    ("E RKNN: [..] Meet unsupported src layout for normalize: 2", "log.layout"),
    ("E RKNN: rknn_inputs_set, param input size(16383) < model input size(16384)", "log.input_size"),
    ("E RKNN: current input size(20000) > need input size(16384)", "log.input_size"),
    ("E RKNN: when input channel is 1, not support NC1HWC2 layout!", "log.input_type"),
    ("E RKNN: Normalize does not support for this data type 6", "log.input_type"),
    ("E RKNN: output[0] buf size error, size = 1000, expected size = 4000", "log.output_size"),
    ("E RKNN: memory size must be: 864, but is: 100", "log.output_size"),
    ("E RKNN: rknn_outputs_get, param output index(127) is out of range(3)", "log.output_count"),
    ("E RKNN: Unsupport output: output for NPU NHWC", "log.output_layout"),
    ("E RKNN: context config invalid!", "log.api"),
    ("E RKNN: only support input n_dims == 4 when batch_size > 1", "log.batch"),
    ("E rga: rgb888 width stride should be 16 aligned", "log.rga_stride"),
    ("E RKNN: REGTASK: The bit width of field value exceeds the limit", "log.register"),
    ("W inference: The range [0.0, inf] of 'X' is out of the float16!", "log.float16"),
    ("W RKNN: RKNN Model version: 2.3.0 not match with rknn runtime version: 1.6.0", "log.version"),
    ("E RKNN: failed to submit!, op id: 1", "log.driver"),
]


@pytest.mark.parametrize(("line", "identity"), LINES)
def test_known_lines(tmp_path: Path, line: str, identity: str) -> None:
    log = tmp_path / "runtime.log"
    log.write_text(f"D RKNN: something\n{line}\n{line}\n", encoding="utf-8")
    (finding,) = log_findings([log])
    assert finding.id == identity
    assert finding.evidence[0].text == line and finding.evidence[0].file == "runtime.log"
    assert finding.cause and finding.fix


def test_what_healthy_runs_print_is_no_finding(tmp_path: Path) -> None:
    log = tmp_path / "runtime.log"
    log.write_text(
        "D RKNN: Output(y): size_with_stride larger than model origin size, if need run OutputOperator in NPU, please "
        "call rknn_create_memory using size_with_stride.\nI RKNN: RKNN Runtime Information, librknnrt version: 1.6.0\n"
        "W RKNN: rknn_outputs_get, param output[1].index(0) is recommended to be equal to 1\n"
    )
    assert list(log_findings([log])) == []


def test_warnings_of_a_manifest_count_and_bytes_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "broken.log").write_bytes(b"\xff\xfe\x00 context config invalid\x00\n")
    found = log_findings([tmp_path / "broken.log", tmp_path / "absent.log"], ["runtime log: output[1] buf size error"])
    assert {finding.id for finding in found} == {"log.api", "log.output_size"}


def compared(**dumps: str) -> Comparison:
    versions = {
        "dumps": dumps,
        "reference": {"toolkit": "2.3.0", "model_sha256": "a" * 64},
        "model": {"compiler": "2.3.0 (compiler version: 2.3.0)", "sha256": "a" * 64},
    }
    return Comparison("d", "r", (), (), (), Thresholds(), versions=versions)


@pytest.mark.parametrize(
    ("dumps", "expected"),
    [
        ({"runtime": "2.3.0 (c949ad889d)", "driver": "0.9.8", "model_sha256": "a" * 64}, set()),
        ({"runtime": "2.3.2 (x)", "driver": "0.9.6"}, set()),
        ({"runtime": "1.6.0 (9a7b5d24c)", "driver": "0.9.8"}, {"versions.runtime"}),
        ({"runtime": "2.5.0", "driver": "0.9.8"}, {"versions.runtime"}),
        ({"runtime": "2.3.0", "driver": "0.8.2"}, {"versions.driver"}),
        ({"runtime": "2.3.0", "model_sha256": "b" * 64}, {"versions.model"}),
        ({}, set()),
    ],
)
def test_versions(dumps: dict[str, str], expected: set[str]) -> None:
    assert {finding.id for finding in version_findings(compared(**dumps))} == expected
