"""What the agent passes on of a runtime log: error and warning lines, and the dumps it promises."""

from __future__ import annotations

from pathlib import Path

from rkparity_agent.runtime_log import RuntimeLog


def log(tmp_path: Path, *lines: str) -> RuntimeLog:
    path = tmp_path / "runtime.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return RuntimeLog.read(path)


def test_harmless_lines_are_no_failure(tmp_path: Path) -> None:
    """Warnings every recorded run of 1.6.0 has (evidence 160_base_u8_nhwc)."""
    read = log(
        tmp_path,
        "W RKNN: [17:40:55.439] Failed to get NPU freq, take 1000MHz as default NPU freq",
        "W RKNN: [17:40:55.439] Unknow dtype to get bytes: 0",
        "W RKNN: [17:40:55.439] Unknow dtype to get bytes: 0",
        "an application's own line with current input size(2) > need input size(1)",
    )
    assert read.to_json() == [
        {"level": "warning", "message": "Failed to get NPU freq, take 1000MHz as default NPU freq", "count": 1},
        {"level": "warning", "message": "Unknow dtype to get bytes: 0", "count": 2},
    ]


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
