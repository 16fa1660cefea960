"""Log lines of failures that librknnrt answers with success; the texts are those of the evidence named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity_agent.runtime_log import RuntimeLog

HIDDEN = [
    # Evidence 160_err_size_big.
    ("E RKNN: [17:36:26.014] current input size(20000) > need input size(16384)", "rknn_inputs_set", "too large"),
    # Evidence 152_gen_u8_nchw_pt0.
    (
        "E RKNN: [17:31:04.969] Meet unsupported src layout for normalize: 2",
        "rknn_inputs_set",
        "the input's fmt is not accepted",
    ),
    ("E RKNN: [17:31:04.969] rknn_inputs_set, normalize error(-1) index=0", "rknn_inputs_set", "took no data"),
    # Evidence 160_err_one_of_two.
    (
        "W RKNN: [17:36:26.014] rknn_inputs_set, param input num(1) != model input num(2)",
        "rknn_inputs_set",
        "not all inputs",
    ),
    # Evidence 160_out_wf0_pre1_small.
    (
        "E RKNN: [17:37:29.071] output[0] buf size error, size = 1000, expected size = 131072 if want_float = 0",
        "rknn_outputs_get",
        "wrong size",
    ),
    (
        "E RKNN: [17:37:29.071] Normalize does not support for this data type. src type(8), "
        "dst type fbs::TensorType_INT8",
        "rknn_inputs_set",
        "type is not accepted",
    ),
    (
        "E RKNN: [17:37:29.071] rknn_inputs_set, when input channel is 3, not support NC1HWC2 layout!",
        "rknn_inputs_set",
        "took no data",
    ),
]


def log(tmp_path: Path, *lines: str) -> RuntimeLog:
    path = tmp_path / "runtime.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return RuntimeLog.read(path)


@pytest.mark.parametrize(("line", "call", "meaning"), HIDDEN)
def test_hidden_failures_are_found(tmp_path: Path, line: str, call: str, meaning: str) -> None:
    found = log(tmp_path, "I RKNN: [17:36:26.000] RKNN Runtime Information", line).hidden_failure()
    assert found is not None
    assert (found.kind, found.call, found.code, found.exit_code) == ("log", call, 0, 2)
    assert meaning in found.message
    assert found.message.endswith(line.split("] ", 1)[1])
    assert found.hint


def test_harmless_lines_are_no_failure(tmp_path: Path) -> None:
    """Warnings every recorded run of 1.6.0 has (evidence 160_base_u8_nhwc)."""
    read = log(
        tmp_path,
        "W RKNN: [17:40:55.439] Failed to get NPU freq, take 1000MHz as default NPU freq",
        "W RKNN: [17:40:55.439] Unknow dtype to get bytes: 0",
        "W RKNN: [17:40:55.439] Unknow dtype to get bytes: 0",
        "an application's own line with current input size(2) > need input size(1)",
    )
    assert read.hidden_failure() is None
    assert read.dump_failure("/d") is None
    assert read.to_json() == [
        {"level": "warning", "message": "Failed to get NPU freq, take 1000MHz as default NPU freq", "count": 1},
        {"level": "warning", "message": "Unknow dtype to get bytes: 0", "count": 2},
    ]


@pytest.mark.parametrize(
    "line",
    [
        # Evidence 160_nodir and mrt232_zc_nodir.
        "E RKNN: [17:40:55.439] failed open dump path: nope/002_Conv_7_shape_1_8_128_128_float.npy",
        "E RKNN: Unable to create file dumps/001_Conv_y_shape_1_5_9_30_float.npy",
    ],
)
def test_dump_folder_failures(tmp_path: Path, line: str) -> None:
    found = log(tmp_path, line).dump_failure("/userdata/dumps")
    assert found is not None
    assert (found.exit_code, found.hint) == (3, "check that /userdata/dumps exists, is writable and has space")


def test_dump_names_the_log_promises(tmp_path: Path) -> None:
    read = log(
        tmp_path,
        "D RKNN: [12:00:00.000] dump npy tensor to: D//000_InputOperator_a b_shape_1_uint8.npy",
        "D RKNN: dump npy tensor to: dumps/001_Conv_y_shape_1_float.npy",
        "D RKNN: dump npy tensor to: dumps/001_Conv_y_shape_1_float.npy",
    )
    assert read.dumped == ("000_InputOperator_a b_shape_1_uint8.npy", "001_Conv_y_shape_1_float.npy")


def test_missing_log_and_strange_bytes(tmp_path: Path) -> None:
    assert RuntimeLog.read(tmp_path / "none.log") == RuntimeLog((), (), ())
    (tmp_path / "b.log").write_bytes(b"E RKNN: \xff\xfe\n" + b"x" * 100_000)
    assert RuntimeLog.read(tmp_path / "b.log").messages == (("E", "\ufffd\ufffd"),)
