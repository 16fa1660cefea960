"""The configuration of hybrid quantisation: read, and fitted to another calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity.errors import ToolkitError, UsageError
from rkparity.toolkit.hybrid_configuration import fitted_configuration, read_configuration
from rkparity.toolkit.spec import BuildSpec, Framework, hybrid_spec

TENSOR = """    {name}:
        qtype: asym
        dtype: int8
        min:
        -   {low}
        max:
        -   1.0
        scale:
        -   0.00390625
        zero_point:
        -   -128
        ori_min:
        -   {low}
        ori_max:
        -   1.0
"""


def configuration(path: Path, layers: str, low: str) -> Path:
    tensors = "".join(TENSOR.format(name=name, low=low) for name in ("conv", "'a: b'"))
    path.write_text(f"custom_quantize_layers:{layers}\nquantize_parameters:\n{tensors}")
    return path


def test_a_configuration_of_this_calibration_is_used_as_it_is(tmp_path: Path) -> None:
    fresh = configuration(tmp_path / "fresh.cfg", " {}", "-0.5")
    given = configuration(tmp_path / "given.cfg", "\n    conv: float16", "-0.5")
    edited = given.read_text().replace("min:\n        -   -0.5", "min:\n        -   -0.25", 1)
    given.write_text(edited)
    assert fitted_configuration(given, fresh, tmp_path / "t.cfg") == (given, "")


def test_of_another_calibration_only_the_layers_are_used(tmp_path: Path) -> None:
    fresh = configuration(tmp_path / "fresh.cfg", " {}", "-0.5")
    given = configuration(tmp_path / "given.cfg", "\n    conv: float16  # why\n    'a: b': float16", "-0.75")
    path, note = fitted_configuration(given, fresh, tmp_path / "t.cfg")
    assert path == tmp_path / "t.cfg" and "another calibration" in note
    assert read_configuration(path) == (("conv", "a: b"), ("conv", "a: b"))
    assert "-0.75" not in path.read_text() and path.read_text().count("-0.5") == 4
    unknown = configuration(tmp_path / "unknown.cfg", "\n    other: float16", "-0.75")
    with pytest.raises(ToolkitError, match="keeps 'other' in float"):
        fitted_configuration(unknown, fresh, tmp_path / "t.cfg")


def test_a_hybrid_spec_needs_what_it_is_made_of(tmp_path: Path) -> None:
    model, cfg = tmp_path / "m.model", tmp_path / "m.cfg"
    for file in (model, cfg, tmp_path / "m.data"):
        file.write_bytes(b"")
    spec = hybrid_spec(model, None, cfg)
    spec.check()
    assert spec.weights == str(tmp_path / "m.data") and Framework.of_file(model) is Framework.HYBRID
    assert BuildSpec.from_json(spec.to_json(), source="s") == spec
    with pytest.raises(UsageError, match="does not exist"):
        hybrid_spec(model, tmp_path / "none.data", cfg).check()
    with pytest.raises(UsageError, match="configuration is not given"):
        BuildSpec(Framework.HYBRID, str(model), weights=str(tmp_path / "m.data"), do_quantization=True).check()
    with pytest.raises(UsageError, match="a hybrid model is a quantised one"):
        BuildSpec(Framework.ONNX, str(model), hybrid=str(cfg)).check()
