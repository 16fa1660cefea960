"""score_files and score_together: the same scores as in memory, in fixed memory, and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rkparity.compare import file_scores
from rkparity.compare.chunks import ChunkReader
from rkparity.compare.file_scores import TensorFile, score_files, score_together
from rkparity.compare.kernels import (
    Quantization,
    ScoreOptions,
    ShapeMismatch,
    score_arrays,
)
from rkparity.errors import DataError, UsageError
from rkparity.runs import read_npy_header

OPTIONS = ScoreOptions(scale=0.01, saturation=(-1.0, 1.0), float16_ulp=True)


def arrays(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    reference = rng.normal(size=n).astype(np.float32)
    return (reference + rng.normal(0, 0.01, n)).astype(np.float32), reference


@pytest.mark.parametrize("n", [0, 1, 1000, 65536, 65537, 300_000])
def test_files_score_as_arrays(tmp_path: Path, n: int) -> None:
    test, reference = arrays(n)
    np.save(tmp_path / "test.npy", test)
    np.save(tmp_path / "reference.npy", reference)
    got = score_files(tmp_path / "test.npy", tmp_path / "reference.npy", OPTIONS)
    expected = score_arrays(test, reference, OPTIONS)
    assert got.n == n
    assert got.max_abs_index == expected.max_abs_index
    assert got.over_tolerance == expected.over_tolerance
    assert (got.lsb, got.ulp) == (expected.lsb, expected.ulp)
    assert (got.test, got.reference) == (expected.test, expected.reference)
    assert got.cosine == pytest.approx(expected.cosine, rel=1e-13)
    assert got.euclidean == pytest.approx(expected.euclidean, rel=1e-13)


@pytest.mark.parametrize("chunk", [64, 4096, 100_000])
def test_the_size_of_a_chunk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    test, reference = arrays(50_001)
    np.save(tmp_path / "test.npy", test)
    np.save(tmp_path / "reference.npy", reference.astype(np.float64))
    expected = score_files(tmp_path / "test.npy", tmp_path / "reference.npy")
    np.save(tmp_path / "big.npy", reference.astype(">f8"))
    monkeypatch.setattr(file_scores, "CHUNK_NBYTES", chunk)
    monkeypatch.setattr(file_scores, "_ELEMENTS_PER_CALL", chunk)
    for name in ("reference", "big"):
        got = score_files(tmp_path / "test.npy", tmp_path / f"{name}.npy")
        assert got.cosine == pytest.approx(expected.cosine, rel=1e-12)
        assert (got.max_abs_error, got.max_abs_index) == (expected.max_abs_error, expected.max_abs_index)


def test_types_and_orders_may_differ(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    reference = rng.uniform(-30, 30, (40, 50, 61)).astype(np.float32)
    stored = np.clip(np.round(reference / 0.3) + 4, -128, 127).astype(np.int8)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(reference))
    np.save(tmp_path / "big.npy", reference.astype(">f8"))
    np.save(tmp_path / "half.npy", reference.astype(np.float16))
    np.save(tmp_path / "int8.npy", stored)
    np.save(tmp_path / "plain.npy", reference)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (40, 50, 61)}\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (tmp_path / "odd.npy").write_bytes(start + header + reference.tobytes())
    assert read_npy_header(tmp_path / "odd.npy").data_offset % 4 != 0
    for name in ("fortran", "big", "odd"):
        assert score_files(tmp_path / f"{name}.npy", tmp_path / "plain.npy").equal == reference.size
    half = score_files(tmp_path / "half.npy", tmp_path / "plain.npy", ScoreOptions(float16_ulp=True)).ulp
    assert half is not None
    assert 0.4 < half.max_ulp <= 0.5
    quantization = Quantization(0.3, 4)
    int8 = score_files(TensorFile(tmp_path / "int8.npy", quantization), tmp_path / "plain.npy", ScoreOptions(scale=0.3))
    assert int8.lsb is not None
    assert 0.49 < int8.lsb.max_lsb < 0.51
    assert int8 == score_arrays(stored, reference, ScoreOptions(scale=0.3), test_quantization=quantization)


def read_so_far() -> int:
    """Bytes this process has got from read calls."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("rchar")))


def test_several_pairs_read_each_file_once(tmp_path: Path) -> None:
    board, simulator = arrays(1_000_000)
    golden = (simulator + 0.1).astype(np.float32)
    files = []
    for name, array in (("board", board), ("simulator", simulator), ("golden", golden)):
        np.save(tmp_path / f"{name}.npy", array)
        files.append(TensorFile(tmp_path / f"{name}.npy"))
    before = read_so_far()
    got = score_together(files, [(0, 1, OPTIONS), (0, 2, ScoreOptions()), (1, 2, ScoreOptions())])
    assert 0 < read_so_far() - before - 3 * board.nbytes < 10_000
    for statistics, test, reference in zip(got, (board, board, simulator), (simulator, golden, golden)):
        assert statistics.euclidean == pytest.approx(score_arrays(test, reference).euclidean, rel=1e-12)
    assert got[0].lsb is not None
    assert got[1].lsb is None


def test_the_beginning_tells_whether_files_differ(tmp_path: Path) -> None:
    values = np.ones((3, 10_000), np.float32)
    np.save(tmp_path / "a.npy", values)
    for place, apart in ((0, True), (4095, True), (4096, False), (29_999, False)):
        other = values.copy()
        other.reshape(-1)[place] = np.nan
        np.save(tmp_path / "b.npy", other[None])
        files = TensorFile(tmp_path / "a.npy"), TensorFile(tmp_path / "b.npy")
        assert file_scores.begin_apart(*files, ignore_unit_dims=True) is apart


def test_shapes_and_damage_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 3, 4, 4), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((1, 4, 4, 3), np.float32))
    np.save(tmp_path / "c.npy", np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ShapeMismatch, match=r"a\.npy against .*b\.npy: shape \(1, 3, 4, 4\) against \(1, 4, 4, 3\)"):
        score_files(tmp_path / "a.npy", tmp_path / "b.npy")
    assert score_files(tmp_path / "a.npy", tmp_path / "c.npy", ignore_unit_dims=True).equal == 48
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    with pytest.raises(DataError, match="truncated"):
        score_files(tmp_path / "cut.npy", tmp_path / "a.npy")
    with pytest.raises(DataError, match="cannot be read"):
        score_files(tmp_path / "missing.npy", tmp_path / "a.npy")
    np.save(tmp_path / "half.npy", np.zeros((3, 4, 4), np.float16))
    with pytest.raises(UsageError, match=r"half\.npy: is f2, only integers"):
        score_files(TensorFile(tmp_path / "half.npy", Quantization(1.0, 0)), tmp_path / "c.npy")


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_a_file_that_shrinks_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros(100_000, np.float32))
    np.save(tmp_path / "b.npy", np.zeros(100_000, dtype))

    class Shortened(ChunkReader):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            if path.name == "b.npy":
                os.truncate(path, 200_000)

    monkeypatch.setattr(file_scores, "ChunkReader", Shortened)
    with pytest.raises(DataError, match=r"b\.npy: became shorter"):
        score_files(tmp_path / "a.npy", tmp_path / "b.npy")


def test_a_file_cut_off_by_another_program_ends_no_process(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.ones(4_000_000, np.float32))
    whole = (tmp_path / "b.npy").stat().st_size
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rkparity.compare.file_scores import score_files\n"
        "from rkparity.errors import DataError\n"
        "seen = set()\n"
        "print('ready', flush=True)\n"
        "while not {'whole', 'became shorter while it was read'} <= seen:\n"
        "    try:\n"
        "        seen.add('whole' if score_files(Path(sys.argv[1]), Path(sys.argv[2])).n == 4_000_000 else 'wrong')\n"
        "    except DataError as error:\n"
        "        seen.add(error.message.split(': ')[1])\n"
        "print('wrong' in seen)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.npy"), str(tmp_path / "b.npy")],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            os.truncate(tmp_path / "b.npy", whole)
            time.sleep(0.01)
            os.truncate(tmp_path / "b.npy", 5000)
            time.sleep(0.001)
        process.kill()
        assert process.stdout.read() == "False\n"
    assert process.returncode == 0


def test_files_of_different_size_are_not_read_to_the_shorter_end(tmp_path: Path) -> None:
    for name, n in (("a", 100), ("b", 100), ("c", 200), ("d", 200)):
        np.save(tmp_path / f"{name}.npy", np.zeros(n, np.float32))
    files = [TensorFile(tmp_path / f"{name}.npy") for name in "abcd"]
    with pytest.raises(ShapeMismatch, match=r"c\.npy: 200 elements, .*a\.npy has 100"):
        score_together(files, [(0, 1, OPTIONS), (2, 3, OPTIONS)])
    assert score_together([], []) == []


def test_threads_may_score_at_the_same_time(tmp_path: Path) -> None:
    expected = {}
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.full(400_000 + number, number + 1, np.float32))
        np.save(tmp_path / f"{number}b.npy", np.full(400_000 + number, number + 1.5, np.float32))
        expected[number] = (400_000 + number, 0.5, float(number + 1))

    def score(number: int) -> tuple[int, float, float]:
        got = score_files(tmp_path / f"{number}.npy", tmp_path / f"{number}b.npy")
        return got.n, got.max_abs_error, got.test.maximum

    with ThreadPoolExecutor(3) as pool:
        for _ in range(5):
            assert dict(enumerate(pool.map(score, range(6)))) == expected


def test_memory_stays_fixed_and_numpy_is_not_needed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        array = np.lib.format.open_memmap(tmp_path / f"{name}.npy", mode="w+", dtype=np.float32, shape=(16_000_000,))
        array[:] = 1.0
        array.flush()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rkparity.compare.file_scores import score_files\n"
        "assert score_files(Path(sys.argv[1]), Path(sys.argv[2])).equal == 16_000_000\n"
        "assert 'numpy' not in sys.modules\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.npy"), str(tmp_path / "b.npy")],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60_000
