"""Programs that mistreat their outputs, on the emulated runtime: each mistake gets its name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from diagnose_bench import BoardMaker

from rkparity.diagnose.diagnose import Diagnosis, Material, diagnose

pytestmark = pytest.mark.toolkit
SPLIT = "b25_split/b25_split_int8_rk3588"
WIDE = "b25_c3w30/b25_c3w30_int8_rk3588"
Run = Callable[[str, str], Diagnosis]


@pytest.fixture
def run(make_board: BoardMaker, program: Callable[[str], Path], served: Mapping[str, str], tmp_path: Path) -> Run:
    """Runs programs/outputs.c in one mode and diagnoses what it wrote against its own dumps."""

    def start(case: str, mode: str) -> Diagnosis:
        board = make_board(case)
        dumps = tmp_path / f"dumps_{mode}"
        dumps.mkdir()
        (picture,) = board.pixels.values()
        (tmp_path / "picture.bin").write_bytes(picture.tobytes())
        done = subprocess.run(
            [str(program("outputs")), str(board.rknn), str(tmp_path / "picture.bin"), mode, str(tmp_path / mode)],
            env={**served, "RKNN_DUMP_DIR": str(dumps)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        files = sorted(tmp_path.glob(f"{mode}.*"))
        assert len(files) == len(board.model.outputs)
        return diagnose(dumps, board.simulator, Material(golden=board.golden, model=board.model, outputs=files))

    return start


@pytest.mark.parametrize("mode", ["float", "raw", "right_dequantized"])
@pytest.mark.parametrize("case", [SPLIT, WIDE])
def test_programs_that_do_it_right(run: Run, case: str, mode: str) -> None:
    diagnosis = run(case, mode)
    # These models were calibrated with other pictures, and the diagnosis says so.
    assert [finding.id for finding in diagnosis.findings if not finding.id.startswith("quantization.")] == []
    assert int(diagnosis.exit_code) == 0


MISTAKES = [
    ("raw_as_float", "output.want_float.raw_as_float"),
    ("float_as_int8", "output.want_float.float_as_raw"),
    ("not_dequantized", "output.quantization.missing"),
    ("no_zero_point", "output.quantization.zero_point_missing"),
    ("no_scale", "output.quantization.scale_missing"),
    ("zero_point_added", "output.quantization.zero_point_sign"),
    ("twice", "output.quantization.twice"),
    ("unsigned", "output.quantization.signedness"),
    ("uint8", "output.quantization.offset_128"),
    ("prealloc_small", "output.untouched"),
    ("first_half", "output.partly_filled"),
    ("transposed", "output.layout.nchw_as_nhwc"),
    ("native", "output.layout.nc1hwc2"),
    ("nhwc", "output.layout.nhwc"),
    ("cache", "output.cache"),
    ("transposed_no_scale", "output.layout.nchw_as_nhwc+output.quantization.scale_missing"),
]


@pytest.mark.parametrize(("mode", "expected"), MISTAKES)
@pytest.mark.parametrize("case", [SPLIT, WIDE])
def test_a_mistake_gets_its_name(run: Run, case: str, mode: str, expected: str) -> None:
    diagnosis = run(case, mode)
    found = {finding.subject: finding for finding in diagnosis.findings if finding.id.startswith("output.")}
    assert len(found) == (3 if case == SPLIT else 1)
    for finding in found.values():
        assert finding.id == expected, (finding.cause, [item.text for item in finding.evidence])
        assert finding.fix and finding.confidence >= 0.5
    assert int(diagnosis.exit_code) == 1


@pytest.mark.parametrize("mode", ["other_parameters", "other_scale"])
def test_parameters_of_another_output(run: Run, mode: str) -> None:
    diagnosis = run(SPLIT, mode)
    found = {finding.subject: finding for finding in diagnosis.findings if finding.id.startswith("output.")}
    assert {finding.id for finding in found.values()} == {"output.quantization.other_output"}
    assert set(found) == {"r0", "r1", "c"}
    assert "'r1'" in found["r0"].cause


def test_outputs_in_another_order(run: Run) -> None:
    diagnosis = run(SPLIT, "swapped")
    found = {finding.subject: finding.id for finding in diagnosis.findings if finding.id.startswith("output.")}
    assert found == {"r0": "output.order", "r1": "output.order"}
