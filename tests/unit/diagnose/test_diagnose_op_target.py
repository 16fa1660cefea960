"""The printed op_target names a tensor of the loaded model, which is all the toolkit takes."""

from __future__ import annotations

import pytest

from rkparity.diagnose.layers.divergence import op_target_line


@pytest.mark.parametrize(
    ("tensor", "line"),
    [
        ("y", "rknn.config(target_platform=..., op_target={'y': 'cpu'})"),
        ("y_int8", "rknn.config(target_platform=..., op_target={'y': 'cpu'})"),
        ("flat_rs", "rknn.config(target_platform=..., op_target={'flat': 'cpu'})"),
        ("idx-rs", "rknn.config(target_platform=..., op_target={'idx': 'cpu'})"),
        ("linear_rs_sw__float16", "rknn.config(target_platform=..., op_target={'linear': 'cpu'})"),
        ("GlobalAveragePool@0_2conv1", ""),
        ("/gap/GlobalAveragePool_2conv0", ""),
        ("New_input_x", ""),
    ],
)
def test_names_the_toolkit_made_are_taken_back(tensor: str, line: str) -> None:
    assert op_target_line(tensor) == line
