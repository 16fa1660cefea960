"""What the diagnosis says of inputs changed by plain NumPy, and what it says when nothing or too little is known."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rkparity.diagnose.inputs import ExpectedInput, InputExplanation, ObservedInput, explain_input
from rkparity.diagnose.inputs.causes import UNEXPLAINED
from rkparity.diagnose.inputs.findings import write_png
from rkparity.diagnose.inputs.resample import resize_taps
from rkparity.diagnose.registry import causes
from rkparity.errors import DataError
from rkparity.findings.finding import Severity, diagnosis_json


def picture(height: int = 96, width: int = 120) -> np.ndarray:
    """A smooth picture with different channels and some edges."""
    y, x = np.mgrid[0:height, 0:width]
    random = np.random.default_rng(3)
    planes = [
        120 + 90 * np.sin(x / 17.0 + 0.3) * np.cos(y / 23.0),
        x * 200.0 / width + 30 * np.sin(y / 9.0),
        60 + y * 140.0 / height + 40 * np.cos((x + y) / 13.0),
    ]
    result = np.stack(planes, axis=2)
    for _ in range(14):
        top, left = random.integers(0, height - 12), random.integers(0, width - 12)
        result[top : top + 12, left : left + 9] = random.integers(0, 256, 3)
    return np.clip(result + random.normal(0, 2, result.shape), 0, 255).astype(np.uint8)


PICTURE = picture()


def explain(seen: np.ndarray, original: np.ndarray | None = None) -> InputExplanation:
    return explain_input(ObservedInput(seen.transpose(2, 0, 1)[None]), ExpectedInput(raw=PICTURE[None]), original)


def test_equal_inputs_are_healthy() -> None:
    answer = explain(PICTURE)
    assert answer.healthy
    assert answer.findings == ()
    assert answer.residual == 0


CHANGES = {
    ("channels.swapped",): lambda p: p[:, :, ::-1],
    ("layout.nchw_as_nhwc",): lambda p: p.transpose(2, 0, 1).reshape(p.shape),
    ("geometry.flip_horizontal",): lambda p: p[:, ::-1],
    ("geometry.rotated_180",): lambda p: p[::-1, ::-1],
    ("dtype.saturated",): lambda p: np.minimum(p, 127),
    ("values.inverted",): lambda p: 255 - p,
    ("channels.swapped", "dtype.wrapped"): lambda p: p[:, :, ::-1] * np.uint8(2),
    ("channels.swapped", "geometry.flip_vertical"): lambda p: p[::-1, :, ::-1],
}


@pytest.mark.parametrize("ids", CHANGES)
def test_named_changes(ids: tuple[str, ...]) -> None:
    answer = explain(np.ascontiguousarray(CHANGES[ids](PICTURE)))
    best = answer.hypotheses[0]
    assert best.ids == ids
    assert (best.residual, best.matched, answer.unexplained) == (0.0, 1.0, False)
    assert best.confidence > 0.7
    assert {finding.id for finding in answer.findings} == {f"input.{name}" for name in ids}
    assert all(finding.fix and finding.severity is Severity.ERROR for finding in answer.findings)


@pytest.mark.parametrize("kind", ["softened", "edge"])
def test_steps_that_explain_little_are_not_believed(kind: str) -> None:
    seen = PICTURE.astype(np.int16)
    if kind == "softened":
        seen[:, 1:-1] = (seen[:, :-2] + 2 * seen[:, 1:-1] + seen[:, 2:]) // 4
    else:
        seen[:6] += np.random.default_rng(2).integers(0, 9, seen[:6].shape).astype(np.int16)
    answer = explain(np.clip(seen, 0, 255).astype(np.uint8))
    for item in answer.hypotheses:
        assert item.confidence <= 0.6 or item.explained >= 0.25, item
    shown = [item for finding in answer.findings for item in finding.evidence if item.kind == "runner-up"]
    assert all(item.numbers.get("explained", 1.0) >= 0.05 for item in shown)


def test_row_stride_is_measured() -> None:
    padded = np.zeros((96, 128, 3), np.uint8)
    padded[:, :120] = PICTURE
    best = explain(padded.reshape(-1)[: PICTURE.size].reshape(PICTURE.shape)).hypotheses[0]
    assert best.ids == ("layout.row_stride",)
    assert best.steps[0].numbers["stride"] == 128 * 3


def test_float_bytes_as_uint8() -> None:
    data = np.frombuffer((PICTURE / np.float32(255)).tobytes()[: PICTURE.size], np.uint8).reshape(PICTURE.shape)
    assert explain(data).hypotheses[0].ids == ("dtype.float32_as_uint8", "values.div255")


def test_partly_filled() -> None:
    seen = PICTURE.copy()
    seen.reshape(-1)[20_000:] = 0
    best = explain(seen).hypotheses[0]
    assert best.ids == ("stale.partly_filled",)
    assert abs(best.steps[0].numbers["filled"] - 20_000) < 10


def test_previous_frame() -> None:
    earlier = picture()[::-1, ::-1].copy()
    observed = ObservedInput(earlier.transpose(2, 0, 1)[None])
    # Without the earlier frame it would be a rotation; a changed frame tells them apart.
    earlier[10:40, 10:60] = 7
    observed = ObservedInput(earlier.transpose(2, 0, 1)[None])
    answer = explain_input(observed, ExpectedInput(raw=PICTURE[None], earlier=(earlier[None],)), None)
    assert answer.hypotheses[0].ids == ("stale.previous",)


def test_constant_input_is_a_tie_where_a_cast_explains_it_as_well() -> None:
    mean, std = (127.5,) * 3, (127.5,) * 3
    dark = PICTURE // 3
    zeros = np.zeros_like(dark)
    answer = explain_input(ObservedInput(zeros.transpose(2, 0, 1)[None]), ExpectedInput(dark[None], None, mean, std))
    assert answer.hypotheses[0].ids == ("stale.zero",)
    assert len(answer.tied) == 2
    assert all(item.confidence < 0.5 for item in answer.hypotheses)
    assert answer.findings[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("given_range", "expected", "said"),
    [
        # (x - 127.5) / 127.5 of pixels, given to a model that does the same: all codes become the lowest.
        ((-1.0, 1.0), "values.normalized_twice", "normalises"),
        ((0.0, 0.0), "stale.zero", "never filled"),
        # Pixels would not have become one value: the runtime did not take them.
        ((0.0, 255.0), "stale.zero", "copied nothing"),
    ],
)
def test_the_range_of_the_buffer_decides_why_an_input_is_constant(
    given_range: tuple[float, float], expected: str, said: str
) -> None:
    mean, std, scale, zero_point = (127.5,) * 3, (127.5,) * 3, 0.0075, 0
    seen = np.full(PICTURE.shape, -128 * scale, np.float32).transpose(2, 0, 1)[None]
    known = ExpectedInput(PICTURE[None], None, mean, std)
    observed = ObservedInput(seen, scale, zero_point)
    answer = explain_input(replace(observed, given_range=given_range), known)
    assert [item.ids for item in answer.hypotheses] == [(expected,)]
    assert answer.hypotheses[0].confidence == 0.97
    assert said in answer.hypotheses[0].text
    (finding,) = answer.findings
    assert finding.severity is Severity.ERROR
    assert len(explain_input(observed, known).tied) == 2


def test_normalised_twice_in_a_quantised_model() -> None:
    mean, std, scale, zero_point = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), 0.0186, -14
    once = (PICTURE - np.array(mean)) / np.array(std)
    twice = (once - np.array(mean)) / np.array(std)
    codes = np.clip(np.rint(twice / scale) + zero_point, -128, 127)
    dump = ((codes - zero_point) * scale).astype(np.float32).transpose(2, 0, 1)[None]
    answer = explain_input(ObservedInput(dump, scale, zero_point), ExpectedInput(PICTURE[None], None, mean, std))
    assert answer.hypotheses[0].ids == ("values.normalized_twice",)


def test_another_picture_is_unexplained() -> None:
    random = np.random.default_rng(9)
    answer = explain(random.integers(0, 256, PICTURE.shape).astype(np.uint8))
    assert answer.unexplained
    assert [finding.id for finding in answer.findings] == [UNEXPLAINED]
    assert answer.findings[0].confidence == 0


def test_nan_is_reported_and_does_not_stop_the_search() -> None:
    values = PICTURE[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None].copy()
    values[0, 0, 0, :5] = np.nan
    answer = explain_input(ObservedInput(values), ExpectedInput(raw=PICTURE[None]))
    assert answer.notes == ("5 of 34560 elements are NaN or Inf",)
    assert answer.hypotheses[0].ids == ("channels.swapped",)


def test_what_is_no_picture() -> None:
    wanted = np.linspace(-1, 1, 400, dtype=np.float32).reshape(1, 400)
    answer = explain_input(ObservedInput(wanted * 3), ExpectedInput(normalized=wanted))
    assert answer.hypotheses[0].ids == ("values.linear",)
    assert explain_input(ObservedInput(wanted), ExpectedInput(normalized=wanted)).healthy


def test_inputs_that_do_not_belong_together() -> None:
    with pytest.raises(DataError, match="holds 300 elements"):
        explain_input(ObservedInput(np.zeros((1, 3, 10, 10), np.uint8)), ExpectedInput(raw=PICTURE[None]))
    with pytest.raises(DataError, match="no such input"):
        explain_input(ObservedInput(np.zeros((1, 3, 10, 10), np.uint8)), ExpectedInput())


def test_pictures_are_written_both_ways(tmp_path: Path) -> None:
    observed = ObservedInput(PICTURE[:, :, ::-1].transpose(2, 0, 1)[None], name="in/put")
    answer = explain_input(observed, ExpectedInput(raw=PICTURE[None]), folder=tmp_path)
    files = [item.file for item in answer.findings[0].evidence if item.kind == "picture"]
    assert files == ["input-in_put-observed.png", "input-in_put-expected.png"]
    assert (tmp_path / files[1]).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    document = diagnosis_json(answer.findings)
    assert document["findings"][0]["id"] == "input.channels.swapped"
    assert document["findings"][0]["residual"] == 0


def test_png_holds_the_pixels(tmp_path: Path) -> None:
    write_png(tmp_path / "p.png", PICTURE)
    data = (tmp_path / "p.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    length = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(height, -1)
    assert (width, height) == (120, 96)
    assert (rows[:, 1:].reshape(PICTURE.shape) == PICTURE).all()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("nearest", [0.0, 2.0]),
        ("nearest_center", [1.0, 3.0]),
        ("bilinear", [0.5, 2.5]),
        ("bilinear_corners", [0.0, 3.0]),
        ("bilinear_asymmetric", [0.0, 2.0]),
        ("area", [0.5, 2.5]),
        ("pillow_bilinear", [5 / 7, 16 / 7]),
    ],
)
def test_half_pixel_conventions(method: str, expected: list[float]) -> None:
    taps = resize_taps(4, 2, method)
    assert taps is not None
    ramp = np.arange(4.0)
    assert np.allclose((ramp[taps.index] * taps.weight).sum(axis=1), expected)
    assert np.allclose(taps.weight.sum(axis=1), 1)


def test_every_cause_says_what_to_do() -> None:
    assert len(causes()) > 60
    assert all(cause.title and cause.cause and cause.fix and cause.reference for cause in causes())
