"""The kernels' cosine and euclidean distance are the numbers the toolkit prints, on every row it printed."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from rkparity.compare.file_scores import score_files

DATA = Path(__file__).parents[2] / "data"
ARCHIVES = {
    DATA / "kernels" / "snapshots.zip": None,
    DATA / "compare" / "cnn_classifier_int8_snapshot.zip": "cnn_classifier_int8",
    DATA / "compare" / "multi_input_fp16_snapshot.zip": "multi_input_fp16",
    DATA / "compare" / "multi_input_int8_snapshot.zip": "multi_input_int8",
}
ROWS = {
    "cnn_classifier_fp16": 13,
    "cnn_classifier_int8": 12,
    "fp16_overflow_fp16": 3,
    "fp16_overflow_int8": 7,
    "multi_input_fp16": 20,
    "multi_input_int8": 23,
    "non4d_fp16": 9,
    "non4d_int8": 10,
    "odd_names_fp16": 9,
    "odd_names_int8": 11,
    "outlier_channel_fp16": 11,
    "outlier_channel_int8": 11,
}
# Cells are printed with %.5f; wide ones run together, empty and special ones (q_inf, q_nan) have no number.
ROW = re.compile(r"\[\w+\] (?P<name>(?:(?!  ).)+) {2,}(?P<cosine>\d+\.\d{5}) *\| *(?P<euclidean>\d+\.\d{5})")


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("snapshots")
    for archive, name in ARCHIVES.items():
        with zipfile.ZipFile(archive) as file:
            file.extractall(root / name if name else root)
    return root


def printed_rows(snapshot: Path) -> dict[str, list[tuple[float, float]]]:
    """File name without suffix -> the cosine and distance of every printed row whose tensor is kept under that name."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for line in next(snapshot.rglob("error_analysis.txt")).read_text(encoding="utf-8").splitlines():
        match = ROW.match(line)
        if match:
            name = re.sub("[/:.;]", "_", match["name"])
            rows.setdefault(name, []).append((float(match["cosine"]), float(match["euclidean"])))
    return rows


@pytest.mark.parametrize("case", sorted(ROWS))
def test_scores_equal_the_printed_ones(snapshots: Path, case: str) -> None:
    folder = next((snapshots / case).rglob("error_analysis.txt")).parent
    checked = 0
    for name, printed in printed_rows(folder).items():
        got = score_files(folder / "simulator" / "npy" / f"{name}.npy", folder / "golden" / "npy" / f"{name}.npy")
        assert got.finite
        # Of tensors whose names become the same file name the toolkit keeps only the last: a/b, a_b, a:b.
        cosine, euclidean = printed[-1]
        assert got.cosine == pytest.approx(cosine, abs=1e-5), name
        assert got.euclidean == pytest.approx(euclidean, abs=1e-5, rel=1e-7), name
        checked += 1
    assert checked == ROWS[case]


def test_rows_the_toolkit_calls_special_are_not_finite(snapshots: Path) -> None:
    folder = snapshots / "fp16_overflow_fp16"
    for name, infinite in (("c1_big", True), ("r1_big", True), ("c2", False), ("y", False)):
        got = score_files(folder / "simulator" / "npy" / f"{name}.npy", folder / "golden" / "npy" / f"{name}.npy")
        assert not got.finite
        assert got.reference.nonfinite == 0
        assert bool(got.test.positive_inf + got.test.negative_inf) or not infinite
        assert bool(got.test.nan) or infinite
