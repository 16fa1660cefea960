"""The input proof on single arrays, and recorded InputOperator dumps of the real runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rkparity.compare.input_rules import affine_fit, equality, float16_steps, grid_step, within
from rkparity.compare.inputs import InputEvidence, Method, prove_input
from rkparity.compare.verdict import Verdict

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (1, 3, 8, 10), dtype=np.uint8)
MEAN, STD = (120.0, 110.0, 100.0), (60.0, 57.0, 58.0)
NORMALIZED = ((PIXELS - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))).astype(np.float32)
SCALE, ZERO_POINT = 0.02, -10
CODES = np.clip(np.rint(NORMALIZED / SCALE) + ZERO_POINT, -128, 127)
QUANTIZED = ((CODES - ZERO_POINT) * SCALE).astype(np.float32)
IMAGE = InputEvidence("000.npy", "in", PIXELS, NORMALIZED, QUANTIZED, PIXELS, MEAN, STD, SCALE, ZERO_POINT, True)
FLOAT16 = InputEvidence(
    "000.npy", "in", NORMALIZED.astype(np.float16).astype(np.float32), NORMALIZED, mean=MEAN, std=STD
)


def test_pixels_by_bytes_and_by_normalisation() -> None:
    assert prove_input(IMAGE).method is Method.RAW_BYTES
    proof = prove_input(replace(IMAGE, raw=None))
    assert (proof.method, proof.verdict, proof.exact) == (Method.NORMALIZED_PIXELS, Verdict.PASS, True)
    # The fixed-point normalisation's own rounding is laid to the input.
    assert 0 < proof.relative_error < 0.02


def test_one_wrong_pixel_fails_either_way() -> None:
    dump = PIXELS.copy()
    dump[0, 1, 2, 3] ^= 1
    for evidence in (IMAGE, replace(IMAGE, raw=None), replace(IMAGE, raw=None, mean=None, std=None)):
        proof = prove_input(replace(evidence, dump=dump))
        assert proof.verdict is Verdict.FAIL
    assert prove_input(replace(IMAGE, dump=dump)).differing == 1


def test_affine_fit_is_a_warning_and_a_swap_is_seen() -> None:
    unknown = replace(IMAGE, raw=None, mean=None, std=None)
    proof = prove_input(unknown)
    assert (proof.method, proof.verdict) == (Method.AFFINE_FIT, Verdict.WARN)
    assert np.allclose([factor for factor, _ in proof.fit], 1 / np.array(STD), rtol=1e-5)
    swapped = prove_input(replace(unknown, dump=PIXELS[:, ::-1]))
    assert swapped.verdict is Verdict.FAIL
    assert "BGR" in swapped.explanation


def test_constant_channel_fits_only_a_constant() -> None:
    dump, normalized = PIXELS.copy(), NORMALIZED.copy()
    dump[:, 2] = 7
    assert prove_input(InputEvidence("d", "in", dump, normalized)).verdict is Verdict.FAIL
    normalized[:, 2] = 0.25
    assert prove_input(InputEvidence("d", "in", dump, normalized)).verdict is Verdict.WARN
    assert affine_fit(dump, normalized)[2] == (0.0, 0.25)


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_and_std_for_all_channels(channels: int) -> None:
    dump = PIXELS[:, :channels]
    evidence = InputEvidence("d", "in", dump, (dump / 255).astype(np.float32), mean=(0.0,), std=(255.0,))
    assert prove_input(evidence).method is Method.NORMALIZED_PIXELS


def test_quantised_values_may_be_one_step_apart() -> None:
    dump = QUANTIZED.copy()
    dump[0, 0, 0, :5] += np.float32(SCALE)
    proof = prove_input(replace(IMAGE, dump=dump))
    assert (proof.verdict, proof.exact, proof.unit) == (Verdict.PASS, False, "LSB")
    assert proof.relative_error == pytest.approx(np.linalg.norm(dump - QUANTIZED) / np.linalg.norm(QUANTIZED), rel=1e-6)
    dump[0, 0, 0, 0] += np.float32(SCALE)
    assert prove_input(replace(IMAGE, dump=dump)).differing == 1


def test_quantised_input_without_its_twin_or_scale() -> None:
    evidence = replace(IMAGE, dump=QUANTIZED, quantized=None)
    assert prove_input(evidence).verdict is Verdict.PASS
    assert prove_input(replace(evidence, scale=None)).verdict is Verdict.NOT_COMPARED
    raw = replace(IMAGE, dump=CODES.astype(np.int8))
    assert prove_input(raw).exact
    assert prove_input(replace(raw, scale=None)).verdict is Verdict.NOT_COMPARED
    assert prove_input(replace(IMAGE, dump=QUANTIZED, scale=None)).method is Method.QUANTIZED


def test_float16_in_steps_of_each_value() -> None:
    assert prove_input(FLOAT16).exact
    next_up = np.nextafter(FLOAT16.dump.astype(np.float16), np.float16(np.inf))
    assert prove_input(replace(FLOAT16, dump=next_up.astype(np.float32))).verdict is Verdict.PASS
    third = np.nextafter(np.nextafter(next_up, np.float16(np.inf)), np.float16(np.inf))
    assert prove_input(replace(FLOAT16, dump=third.astype(np.float32))).verdict is Verdict.FAIL


def test_float16_channel_swap_happens_before_normalisation() -> None:
    swapped = ((PIXELS[:, ::-1] - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))).astype(np.float16)
    proof = prove_input(replace(FLOAT16, dump=swapped.astype(np.float32)))
    assert proof.verdict is Verdict.FAIL
    # Rounding to float16 came after the swap, so the change back need not be exact; then nothing is claimed.
    assert proof.explanation == "" or "BGR" in proof.explanation


def test_not_normalised_is_named() -> None:
    proof = prove_input(replace(FLOAT16, dump=PIXELS.astype(np.float32)))
    assert "linear function of the expected input" in proof.explanation


def test_nan_in_the_input_is_never_hidden() -> None:
    dump = FLOAT16.dump.copy()
    dump[0, 0, 0, 0] = np.nan
    proof = prove_input(replace(FLOAT16, dump=dump))
    assert proof.verdict is Verdict.FAIL
    assert "NaN among them" in proof.text


def test_integers_and_other_sizes() -> None:
    ids = np.arange(6).reshape(1, 6)
    assert prove_input(InputEvidence("d", "ids", ids, ids, is_integer=True)).method is Method.EXACT
    assert prove_input(InputEvidence("d", "ids", ids + 1, ids, is_integer=True)).verdict is Verdict.FAIL
    assert prove_input(InputEvidence("d", "ids", ids[:, :5], ids)).text.startswith("the dump holds 5 elements")
    assert prove_input(InputEvidence("d", "ids", ids)).verdict is Verdict.NOT_COMPARED


def test_rules_on_special_values() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 1.0], np.float32)
    assert equality(special)(special.copy()).exact
    assert within(special, 0.1, 1.0)(np.array([np.nan, np.inf, -np.inf, 1.05], np.float32)).equal
    assert equality(special)(np.array([0.0, np.inf, np.inf, 1.0], np.float32)).differing == 2
    subnormal = np.array([6e-8, 0.0], np.float32)
    assert float16_steps(subnormal, 1.0)(np.array([6e-8, 0.0], np.float32)).exact


def test_grid_step() -> None:
    assert grid_step(QUANTIZED) == pytest.approx(SCALE, rel=1e-4)
    assert grid_step(RANDOM.normal(0, 1, 4000).astype(np.float32)) is None
    assert grid_step(np.zeros(4000, np.float32)) is None
    assert grid_step(np.arange(8, dtype=np.float32)) is None
