"""Runs compared with each other: equal inputs must give equal runs, different inputs must not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rkparity.cli.main import main
from rkparity.diagnose.diagnose import diagnose_repeats
from rkparity.errors import UsageError
from rkparity.runs import Engine, InputForm, InputRecord, Manifest, ModelRecord, Precision, RunWriter

NAMES = {
    "input": "000_InputOperator_x_shape_1_3_16_16_uint8.npy",
    "conv": "001_Conv_a_shape_1_8_16_16_float.npy",
    "relu": "002_Relu_b_shape_1_8_16_16_float.npy",
    "output": "003_OutputOperator_b_shape_1_8_16_16_float.npy",
}


def values(seed: int) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(seed)
    conv = random.standard_normal((1, 8, 16, 16)).astype(np.float32)
    return {
        "input": random.integers(0, 256, (1, 3, 16, 16), dtype=np.uint8),
        "conv": conv,
        "relu": np.maximum(conv, 0),
        "output": np.maximum(conv, 0),
    }


def write(folder: Path, arrays: dict[str, NDArray[np.generic]], given: bytes | None = b"picture") -> Path:
    if given is None:
        folder.mkdir()
        for name, array in arrays.items():
            np.save(folder / NAMES[name], array)
        return folder
    with RunWriter(folder) as writer:
        (writer.folder / "dumps").mkdir()
        for name, array in arrays.items():
            np.save(writer.folder / "dumps" / NAMES[name], array)
        record = InputRecord(
            "x", None, hashlib.sha256(given).hexdigest(), "uint8", (1, 16, 16, 3), "NHWC", InputForm.RAW
        )
        writer.finish(Manifest(Engine.APP, Precision.QUANTIZED, ModelRecord("m.rknn"), (record,), ()))
    return folder


def test_equal_runs_have_nothing(tmp_path: Path) -> None:
    runs = [write(tmp_path / str(place), values(1)) for place in range(4)]
    diagnosis = diagnose_repeats(runs)
    assert diagnosis.findings == () and int(diagnosis.exit_code) == 0
    assert diagnosis.repetition is not None and diagnosis.repetition.groups == ((0, 1, 2, 3),)


def test_different_inputs_and_results_have_nothing(tmp_path: Path) -> None:
    runs = [write(tmp_path / str(place), values(place), str(place).encode()) for place in range(3)]
    assert diagnose_repeats(runs).findings == ()


def test_a_layer_that_changes_is_located_and_the_odd_run_named(tmp_path: Path) -> None:
    changed = values(1)
    conv = changed["conv"].copy()
    conv[0, 3, 5:7] += 0.25
    runs = [
        write(tmp_path / "a", values(1)),
        write(tmp_path / "odd", {**changed, "conv": conv, "relu": np.maximum(conv, 0), "output": np.maximum(conv, 0)}),
        write(tmp_path / "c", values(1)),
    ]
    diagnosis = diagnose_repeats(runs)
    (finding,) = diagnosis.findings
    assert finding.id == "repeat.layer_changes"
    assert finding.subject == NAMES["conv"]
    assert diagnosis.repetition is not None
    assert diagnosis.repetition.groups == ((0, 2), (1,))
    first = diagnosis.repetition.differences[0]
    assert (first.count, first.n, first.channels, first.rows) == (32, 2048, (1, 8), (2, 16))
    assert first.largest == pytest.approx(0.25, rel=1e-6)
    assert str(tmp_path / "odd") in finding.evidence[1].text
    assert int(diagnosis.exit_code) == 1


def test_an_input_that_changes_in_cache_lines(tmp_path: Path) -> None:
    changed = values(1)
    picture = changed["input"].copy().reshape(-1)
    for line in (1, 4, 5, 9):
        picture[line * 64 : line * 64 + 64] ^= 255
    runs = [
        write(tmp_path / "a", values(1)),
        write(tmp_path / "b", {**changed, "input": picture.reshape(1, 3, 16, 16)}),
    ]
    (finding,) = diagnose_repeats(runs).findings
    assert finding.id == "repeat.input_changes"
    assert "whole cache lines" in finding.cause


def test_the_first_dump_alone_does_not_prove_equal_inputs(tmp_path: Path) -> None:
    runs = [write(tmp_path / "a", values(1), None), write(tmp_path / "b", values(2), None)]
    diagnosis = diagnose_repeats(runs)
    assert [finding.id for finding in diagnosis.findings] == ["repeat.inputs_differ"]
    assert diagnosis.notes


def test_stale_input(tmp_path: Path) -> None:
    runs = [write(tmp_path / "a", values(1), b"one"), write(tmp_path / "b", values(1), b"two")]
    (finding,) = diagnose_repeats(runs).findings
    assert finding.id == "repeat.stale_input"


def test_stale_output(tmp_path: Path) -> None:
    runs = [
        write(tmp_path / "a", values(1), b"one"),
        write(tmp_path / "b", {**values(2), "output": values(1)["output"]}, b"two"),
    ]
    (finding,) = diagnose_repeats(runs).findings
    assert finding.id == "repeat.stale_output"


def test_nan_in_the_same_place_is_equal(tmp_path: Path) -> None:
    first, second = values(1), values(1)
    for arrays, bits in ((first, 0x7FC00000), (second, 0x7FC00001)):
        conv = arrays["conv"].copy()
        conv.reshape(-1)[7] = np.array([bits], np.uint32).view(np.float32)[0]
        arrays["conv"] = conv
    runs = [write(tmp_path / "a", first), write(tmp_path / "b", second)]
    assert diagnose_repeats(runs).findings == ()


def test_missing_layers_are_told(tmp_path: Path) -> None:
    fewer = values(1)
    del fewer["relu"]
    runs = [write(tmp_path / "a", values(1)), write(tmp_path / "b", fewer)]
    assert [finding.id for finding in diagnose_repeats(runs).findings] == ["repeat.files"]


def test_runs_of_different_models(tmp_path: Path) -> None:
    write(tmp_path / "a", values(1))
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b" / "000_InputOperator_z_shape_4_float.npy", np.zeros(4, np.float32))
    with pytest.raises(UsageError, match="no dump in common"):
        diagnose_repeats([tmp_path / "a", tmp_path / "b"])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a", values(1), b"one")
    write(tmp_path / "b", values(1), b"two")
    report = tmp_path / "report.json"
    arguments = ["diagnose", "--repeat", str(tmp_path / "a"), str(tmp_path / "b"), "--json", str(report)]
    assert main(arguments) == 1
    assert "ERROR repeat.stale_input" in capsys.readouterr().out
    document = json.loads(report.read_text())
    assert document["schema"] == "rkparity.diagnosis/1"
    assert document["groups"] == [[0, 1]]
    assert [finding["id"] for finding in document["findings"]] == ["repeat.stale_input"]
    assert main(arguments) == 2
    assert main(["diagnose", "--repeat", str(tmp_path / "a")]) == 2
    assert main(["diagnose", str(tmp_path / "a")]) == 2
    assert main(["diagnose", str(tmp_path / "none"), str(tmp_path / "a")]) == 2
