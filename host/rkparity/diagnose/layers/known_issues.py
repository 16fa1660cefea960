"""Public reports of operators that computed wrong values on the NPU, by operator type: where to look first."""

from __future__ import annotations

_ISSUES: tuple[tuple[str, str], ...] = (
    ("resize", "airockchip/rknn-toolkit2#579, airockchip/rknn-toolkit2#464"),
    ("topk", "airockchip/rknn-toolkit2#429"),
    ("gather", "airockchip/rknn-toolkit2#429"),
    ("transpose", "airockchip/rknn-toolkit2#190"),
    ("softmax", "rockchip-linux/rknn-toolkit2#15"),
    ("layernorm", "airockchip/rknn-toolkit2#149"),
    ("norm", "airockchip/rknn-toolkit2#149"),
    ("gelu", "airockchip/rknn-toolkit2#220"),
    ("pow", "rockchip-linux/rknn-toolkit2#84"),
    ("mul", "airockchip/rknn-toolkit2#182"),
    ("conv", "airockchip/rknn-toolkit2#315, rockchip-linux/rknn-toolkit2#93"),
)


def known_issues(op_type: str) -> str:
    """References for an operator type of the compiled model, such as ConvRelu; empty when none is known."""
    lower = op_type.lower()
    return next((issues for word, issues in _ISSUES if word in lower), "")
