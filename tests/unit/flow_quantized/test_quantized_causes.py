"""Candidates, patterns, findings and the hybrid configuration, without the toolkit."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rkparity.errors import ToolkitError
from rkparity.findings.finding import Severity
from rkparity.flow.quantized import causes, layer_causes
from rkparity.flow.quantized.measure import output_error, sqnr_db
from rkparity.flow.quantized.trials import Candidate, Trial, candidates, combination
from rkparity.toolkit.hybrid import (
    ColumnScore,
    Contribution,
    Operator,
    OutputError,
    TensorCoverage,
)
from rkparity.toolkit.hybrid_configuration import read_configuration, write_configuration
from rkparity.toolkit.spec import BuildSpec, Framework

OUTLIER = Path(__file__).resolve().parents[2] / "data" / "toolkit" / "outlier_channel.zip"
SPEC = BuildSpec(Framework.ONNX, "m.onnx", do_quantization=True, dataset="list.txt")
BASE = OutputError(0.1, 0.95)


def trial(kind: str, ratio: float, **changes: object) -> Trial:
    candidate = Candidate(kind, f"{kind} changed", replace(SPEC, **changes), kind == "dataset")  # type: ignore[arg-type]
    return Trial(candidate, OutputError(0.1 * ratio, 0.999), 1.0)


def test_candidates_are_the_manual_s_settings_that_differ() -> None:
    found = candidates(SPEC, one_picture=Path("one.txt"), pictures=True)
    assert [item.change for item in found] == [
        "calibrate with the test input alone",
        "quant_img_RGB2BGR=True",
        "quantized_method='layer'",
        "quantized_algorithm='mmse'",
        "quantized_algorithm='kl_divergence'",
        "optimization_level=0",
        "optimization_level=1",
        "optimization_level=2",
    ]
    other = replace(SPEC, quantized_method="layer", optimization_level=0, quantized_algorithm="mmse")
    changes = [item.change for item in candidates(other, one_picture=None, pictures=False)]
    assert "quantized_method='channel'" in changes
    assert "optimization_level=3" in changes
    assert "optimization_level=0" not in changes
    assert "quantized_algorithm='normal'" in changes


def test_changes_that_help_are_tried_together_but_not_the_test_input_s_own_calibration() -> None:
    trials = [
        trial("dataset", 0.1),
        trial("method", 0.5, quantized_method="layer"),
        trial("algorithm", 0.6, quantized_algorithm="mmse"),
        trial("algorithm", 0.3, quantized_algorithm="kl_divergence"),
        trial("level", 0.95, optimization_level=0),
    ]
    together = combination(trials, BASE, SPEC)
    assert together is not None
    assert together.spec == replace(SPEC, quantized_method="layer", quantized_algorithm="kl_divergence")
    assert combination(trials[:2], BASE, SPEC) is None


def test_swapped_channels_need_more_proof_than_other_settings() -> None:
    assert [item.id for item in causes.setting_findings([trial("channels", 0.6)], BASE)] == []
    (finding,) = causes.setting_findings([trial("channels", 0.2, quant_img_RGB2BGR=True)], BASE)
    assert (finding.id, finding.residual) == ("quantized.channels", pytest.approx(0.2))
    assert [item.id for item in causes.setting_findings([trial("method", 0.6)], BASE)] == ["quantized.method"]


def test_a_trial_that_was_not_made_helps_nothing() -> None:
    missing = Trial(trial("method", 1.0).candidate, None, 0.0, "not tried")
    assert math.isinf(missing.ratio(BASE))
    assert causes.setting_findings([missing], BASE) == []


def score(cosine: float) -> ColumnScore:
    return ColumnScore(cosine, 0.0, 0.0)


def layer(index: int, single: float, *, fused: bool = False, op_type: str = "Conv") -> Operator:
    reads = "in" if index == 0 else f"t{index - 1}"
    return Operator(index, op_type, (reads,), (f"t{index}",), 1, 1, True, fused, score(0.9), score(single))


def test_patterns_are_read_as_the_manual_reads_them() -> None:
    fine = layer_causes.read_pattern([layer(0, 0.9999), layer(1, 0.3, fused=True)])
    assert fine.bad == ()
    assert "look at settings" in fine.text(BASE)
    bad = layer_causes.read_pattern([layer(0, 0.9999), layer(1, 0.8)])
    assert [item.name for item in bad.bad] == ["t1"]
    assert "`single` is bad" in bad.text(BASE)


def test_layers_are_named_by_their_share_and_kind() -> None:
    operators = [layer(0, 1.0), layer(1, 1.0), layer(2, 1.0, op_type="Reshape")]
    found = layer_causes.layer_findings(
        operators, [Contribution(0, 0.3, 0.0), Contribution(1, 0.0, 0.5), Contribution(2, 0.0, 0.5)], ["t2"]
    )
    assert [(item.id, item.subject) for item in found] == [
        ("quantized.layer.range", "t1"),
        ("quantized.last_operator", "t1"),
        ("quantized.layer.weights", "t0"),
    ]


def test_errors_of_many_layers_are_summed_up() -> None:
    operators = [layer(index, 1.0, op_type="Mul" if index % 2 else "Conv") for index in range(12)]
    (found,) = layer_causes.layer_findings(
        operators, [Contribution(index, 0.01, 0.03 if index % 2 else 0.0) for index in range(12)], ["t11"]
    )
    assert found.id == "quantized.spread"
    # Six Mul make 0.04 each, six Conv 0.01 each, 0.3 together: four Mul are more than half.
    assert found.title == "no layer stands out: 4 of 12 layers make half of the error"
    assert dict(found.evidence[0].numbers) == pytest.approx({"Mul": 0.8, "Conv": 0.2})
    assert "40% comes from weights" in found.cause


def coverage(name: str, **changes: object) -> TensorCoverage:
    base = TensorCoverage(name, (-1.0, 1.0), (-1.0, 1.0), 0.0, 1.0, 10_000)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_data_that_fit_are_not_blamed() -> None:
    assert causes.dataset_findings([coverage("in")], ["in"], 40, [trial("dataset", 0.1)], BASE) == []


def test_few_values_prove_nothing() -> None:
    few = coverage("gap", outside=0.5, overlap=0.1, size=8)
    assert causes.dataset_findings([few], ["in"], 40, [trial("dataset", 0.1)], BASE) == []


@pytest.mark.parametrize(
    ("lines", "identity"), [(3, "quantized.dataset.few"), (20, None), (200, None), (500, "quantized.dataset.many")]
)
def test_twenty_to_two_hundred_samples_are_right(lines: int, identity: str | None) -> None:
    found = causes.dataset_findings([coverage("in")], ["in"], lines, (), BASE)
    assert [item.id for item in found] == ([identity] if identity else [])
    assert all(item.severity is Severity.WARNING for item in found)


def test_a_range_far_too_wide_is_named() -> None:
    found = causes.dataset_findings([coverage("in", calibration_range=(-9.0, 9.0))], ["in"], 40, (), BASE)
    assert [item.id for item in found] == ["quantized.dataset.wide"]


def test_completely_wrong_points_to_the_configuration() -> None:
    assert [item.id for item in causes.wrong_finding(OutputError(1.0, 0.1))] == ["quantized.configuration"]
    assert causes.wrong_finding(BASE) == []


def test_output_errors_of_odd_values() -> None:
    ones = np.ones(4, np.float32)
    assert output_error(ones, ones) == OutputError(0.0, 1.0)
    assert output_error(np.zeros(4), np.zeros(4)) == OutputError(0.0, 1.0)
    assert output_error(ones, np.zeros(4)) == OutputError(math.inf, 0.0)
    assert output_error(np.array([1, np.nan]), np.ones(2)) == OutputError(math.inf, 0.0)
    assert output_error(np.zeros(4), ones) == OutputError(1.0, 0.0)
    assert sqnr_db(OutputError(0.01, 1.0)) == pytest.approx(20)
    assert math.isinf(sqnr_db(OutputError(0.0, 1.0)))


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    path = tmp_path / "m.quantization.cfg"
    with zipfile.ZipFile(OUTLIER) as archive:
        path.write_bytes(archive.read("outlier_channel/hybrid/model.quantization.cfg"))
    return path


def test_a_configuration_is_read_written_and_read_again(cfg: Path) -> None:
    listed, tensors = read_configuration(cfg)
    assert listed == ()
    assert tensors[:3] == ("c0", "r0", "c1_outlier")
    assert "input" not in tensors and "out_int8" in tensors
    before = cfg.read_text()
    write_configuration(cfg, cfg, {"c1_outlier": "why", "it's/odd": "why"})
    assert read_configuration(cfg) == (("c1_outlier", "it's/odd"), tensors)
    write_configuration(cfg, cfg, {})
    assert cfg.read_text() == before


def test_the_toolkit_s_proposal_with_its_comments_is_read(cfg: Path) -> None:
    text = cfg.read_text().replace(
        "custom_quantize_layers: {}",
        "custom_quantize_layers:   # 0.485\n    c2: float16\n    r2: float16          # 0.49\n    a:b: float16",
    )
    cfg.write_text(text)
    assert read_configuration(cfg)[0] == ("c2", "r2", "a:b")


def test_another_file_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "x.cfg"
    path.write_text("hello: world\n")
    with pytest.raises(ToolkitError, match="names no tensor"):
        read_configuration(path)
