from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alignment_data import DATA
from rkparity.cli.main import main
from rkparity.console import printable

MODELS = DATA / "models"


def test_the_table_lists_every_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(MODELS / "multi_input_int8.rknn")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("multi_input_int8.rknn: rk3588, quantised")
    assert (
        "  input  0  image  int8 1x3x32x32  scale 0.00784313772 zero point 0  "
        "mean [127.5, 127.5, 127.5] std [127.5, 127.5, 127.5]" in lines
    )
    assert "  input  2  meta  int8 1x8  scale 0.0215583034 zero point -14  no mean/std in the model" in lines
    assert "  17 operators, 17 dumps a run" in lines
    start = next(number for number, line in enumerate(lines) if line.split()[:2] == ["#", "operator"])
    table = [line.split() for line in lines[start + 1 :]]
    assert len(table) == 17
    assert table[4] == ["4", "ConvAddRelu", "relu0", "int8", "1x16x16x16", "0.0113684526", "-128"]


def test_an_operator_with_two_outputs_has_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(MODELS / "b25_split_int8_rk3588.rknn")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    position = next(number for number, line in enumerate(lines) if line[:2] == ["2", "Split"])
    assert (lines[position][2], lines[position + 1][0]) == ("s.0", "s.1")


def test_json_holds_the_nodes_the_dumps_and_the_normalisation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--json", str(MODELS / "cnn_classifier_int8.rknn")]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == "rkparity.model/1"
    assert value["normalization"][0]["std"] == [58.395, 57.12, 57.375]
    assert (value["batch"], value["is_dynamic"], value["shape_set"]) == (1, False, 0)
    assert value["nodes"][1] == {
        "index": 1,
        "op_type": "ConvRelu",
        "target": "NPU",
        "name": "Conv:/stem/Conv",
        "inputs": ["input", "const1", "const2"],
        "outputs": ["/stem/Relu_output_0"],
    }
    assert value["dumps"][1] == "001_ConvRelu__stem_Relu_output_0_shape_1_16_32_32"
    assert {tensor["kind"] for tensor in value["tensors"]} == {"input", "output", "activation"}
    (given,) = value["inputs"]
    assert (given["dtype"], given["zero_point"], given["layout"]) == ("int8", [-14], "NC1HWC2")


def test_sets_of_shapes_and_batch(capsys: pytest.CaptureFixture[str]) -> None:
    dynamic = str(MODELS.parent / "emulator" / "dynamic_input.rknn")
    assert main(["inspect", dynamic, "--shape-set", "2"]) == 0
    out = capsys.readouterr().out
    assert "  output 0  y  float16 1x5x9x30\n" in out and "warning" not in out
    assert "  shape set 0  x 1x3x27x60\n  shape set 1  x 1x3x18x30\n  shape set 2  x 1x3x9x30  (shown here)\n" in out
    assert main(["inspect", dynamic, "--json", "--shape-set", "1"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["is_dynamic"], value["shape_set"], value["dumps"][1]) == (True, 1, "001_Conv_y_shape_1_5_18_30")
    assert value["shape_sets"] == [[[1, 3, 27, 60]], [[1, 3, 18, 30]], [[1, 3, 9, 30]]]
    assert main(["inspect", dynamic, "--shape-set", "3"]) == 2
    assert "--shape-set 3: " in capsys.readouterr().err


def test_a_model_of_the_mini_runtime_shows_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(MODELS / "b25_c3w30_int8_rv1106.rknn")]) == 0
    out = capsys.readouterr().out
    assert "b25_c3w30_int8_rv1106.rknn: rv1106, quantised\n" in out
    assert "OutputOperator  y       int8  1x5x9x30  0.0636600107           9\n" in out
    assert "  warning: " not in out


def test_damage_and_other_files_have_their_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.rknn"
    cut.write_bytes((MODELS / "multi_input_int8.rknn").read_bytes()[:5000])
    assert main(["inspect", str(cut)]) == 3
    assert "cut.rknn: is truncated" in capsys.readouterr().err
    other = tmp_path / "model.onnx"
    other.write_bytes(b"\x08\x07")
    assert main(["inspect", str(other)]) == 2
    assert main(["inspect", str(tmp_path / "absent.rknn")]) == 2
    assert "hint" not in capsys.readouterr().out


def test_names_cannot_send_escape_sequences() -> None:
    assert printable("a\x1b[31m\nb\u202e") == "a\\x1b[31m\\x0ab\\u202e"
    assert printable("模型/[red]") == "模型/[red]"


def test_a_terminal_without_unicode_gets_escapes() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "rkparity", "inspect", str(MODELS / "odd_names_fp16.rknn")],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert rb"\u6a21\u578b/\u8f93\u51fa" in done.stdout
    assert done.stderr == b""
