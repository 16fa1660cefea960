"""Each class of users' problems (docs/diagnose.md) on a reproduced case: which finding names it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from diagnose_bench import ROOT, Board, BoardMaker, compile_c

from rkparity.diagnose.diagnose import Diagnosis, Material, diagnose
from rkparity.diagnose.log_lines import log_findings
from rkparity.findings.finding import Severity
from rkparity.trace import read_traces

pytestmark = pytest.mark.toolkit
CNN = "cnn_classifier/c25_cnn_classifier_int8"
WIDE = "b25_c3w30/b25_c3w30_int8_rk3588"
Application = Callable[..., "Ran"]


class Ran:
    """One run of programs/inputs.c: its dumps, its log, its traces when the validation layer was there."""

    def __init__(self, board: Board, dumps: Path, log: Path, traces: Path) -> None:
        self.board, self.dumps, self.log, self.traces = board, dumps, log, traces

    def diagnose(self) -> Diagnosis:
        traces = read_traces(self.traces) if any(self.traces.iterdir()) else ()
        material = Material(golden=self.board.golden, model=self.board.model, traces=traces)
        return diagnose(self.dumps, self.board.simulator, material)

    def input_ids(self, diagnosis: Diagnosis) -> set[str]:
        return {part for item in diagnosis.findings if item.id.startswith("input.") for part in item.id.split("+")}


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation layer, built from its sources."""
    target = tmp_path_factory.mktemp("layer") / "librkparity_layer.so"
    wide = ROOT / "csrc" / "layer" / "stats_avx2.c"
    sources = [path for path in sorted((ROOT / "csrc" / "layer").glob("*.c")) if path != wide]
    files = [*map(str, sources), str(ROOT / "csrc" / "kernels" / "digest.c")]
    if platform.machine() == "x86_64":
        # As csrc/layer/CMakeLists.txt does: only this file may use AVX2, and it is called only where that exists.
        built = target.with_suffix(".avx2.o")
        compile_c(["-c", "-fPIC", "-mavx2", "-mf16c", str(wide), "-o", str(built)])
        files.append(str(built))
    options = ["-shared", "-fPIC", '-DRKPARITY_VERSION="test"', "-Wl,-Bsymbolic"]
    compile_c([*options, *files, "-o", str(target), "-ldl", "-lpthread", "-lm"])
    return target


@pytest.fixture
def application(
    make_board: BoardMaker, program: Callable[[str], Path], served: Mapping[str, str], tmp_path: Path
) -> Application:
    def start(case: str, mode: str, *, preload: Path | None = None) -> Ran:
        board = make_board(case)
        dumps, traces = tmp_path / f"dumps_{mode}", tmp_path / f"traces_{mode}"
        dumps.mkdir()
        traces.mkdir()
        (picture,) = board.pixels.values()
        (tmp_path / "picture.bin").write_bytes(picture.tobytes())
        (tmp_path / "other.bin").write_bytes(picture[:, ::-1].tobytes())
        environment = {**served, "RKNN_DUMP_DIR": str(dumps)}
        if preload is not None:
            environment.update(LD_PRELOAD=str(preload), RKPARITY_TRACE_DIR=str(traces), RKPARITY_TRACE_BUFFERS="4")
        files = [str(board.rknn), str(tmp_path / "picture.bin"), mode, str(tmp_path / "other.bin")]
        done = subprocess.run(
            [str(program("inputs")), *files], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        log = tmp_path / f"{mode}.log"
        log.write_text(done.stderr)
        return Ran(board, dumps, log, traces)

    return start


@pytest.mark.parametrize(("case", "mode"), [(CNN, "right"), (WIDE, "stride_right")])
def test_right_programs(application: Application, case: str, mode: str) -> None:
    ran = application(case, mode)
    found = [item for item in ran.diagnose().findings if not item.id.startswith("quantization.")]
    assert found == []
    assert list(log_findings([ran.log])) == [] or {item.id for item in log_findings([ran.log])} == {"log.version"}


CLASSES = [
    ("A", CNN, "int8", "input.dtype.int8_for_uint8"),
    ("B", CNN, "planar", "input.layout.nchw_as_nhwc"),
    ("C", WIDE, "stride_ignored", "input.layout.packed_rows"),
    ("D", CNN, "nothing_set", "input.stale.zero"),
    ("E", CNN, "bgr", "input.channels.swapped"),
    ("G", CNN, "shifted", "input.geometry.shifted"),
    ("H", CNN, "normalized", "input.values.normalized_twice"),
    ("H", CNN, "float01", "input.values.div255"),
]


@pytest.mark.parametrize(("letter", "case", "mode", "name"), CLASSES, ids=[f"{row[0]}-{row[2]}" for row in CLASSES])
def test_input_classes(application: Application, letter: str, case: str, mode: str, name: str) -> None:
    ran = application(case, mode)
    diagnosis = ran.diagnose()
    assert ran.input_ids(diagnosis) == {name}, [(item.id, item.title) for item in diagnosis.findings]
    assert int(diagnosis.exit_code) == 1


def test_class_a_size_too_large_is_in_the_log(application: Application) -> None:
    ran = application(CNN, "nothing_set")
    assert "log.input_size" in {item.id for item in log_findings([ran.log])}


def test_class_d_an_input_that_was_not_set_again(application: Application, layer: Path) -> None:
    ran = application(CNN, "stale", preload=layer)
    (finding,) = [item for item in ran.diagnose().findings if item.id == "input.not_taken"]
    assert "holds what was given in call 1 of 2" in finding.cause
    assert finding.evidence[0].numbers == {"declared": 64 * 64 * 3 + 64, "needed": 64 * 64 * 3}


def test_class_d_nothing_was_set_and_the_trace_knows_what_was_given(application: Application, layer: Path) -> None:
    ran = application(CNN, "nothing_set", preload=layer)
    (finding,) = [item for item in ran.diagnose().findings if item.id == "input.stale.zero"]
    assert (finding.severity, finding.confidence) == (Severity.ERROR, 0.97)
    assert "rknn_inputs_set returned 0 and copied nothing" in finding.cause


def test_a_traced_right_program_has_nothing(application: Application, layer: Path) -> None:
    found = application(CNN, "right", preload=layer).diagnose().findings
    assert [item.id for item in found if not item.id.startswith("quantization.")] == []


def test_class_d_outputs_of_the_run_before(application: Application, layer: Path) -> None:
    ran = application(CNN, "output_before_run", preload=layer)
    (finding,) = [item for item in ran.diagnose().findings if item.id == "output.stale"]
    assert "rknn_outputs_get" in finding.cause
