"""Which model plays for the one an experiment was recorded with."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kept(enum.Enum):
    """How near the model played is to the recorded one."""

    SAME = "the recorded file"
    REBUILT = "rebuilt: same names, shapes, types and operators, other weights"
    SIMILAR = "similar: names and shapes agree, the operators or types of the old toolkit's file do not"
    NONE = "cannot be rebuilt"


@dataclass(frozen=True)
class StandIn:
    """`file` is the path in the models' archive."""

    kept: Kept
    file: str
    why: str = ""


_OLD_TOOLKIT = "the file was made by toolkit 1.2, with float attributes and a layout no current toolkit writes"
_TABLE = {
    "mi_rk3588_152.rknn": StandIn(Kept.REBUILT, "made/mi_int8_rk3588.rknn"),
    "mi_rk3588_2x.rknn": StandIn(Kept.REBUILT, "made/mi_int8_rk3588.rknn"),
    "mi_rk3588_140.rknn": StandIn(Kept.SIMILAR, "made/mi_int8_rk3588.rknn", _OLD_TOOLKIT),
    "dr_rk3588_2x.rknn": StandIn(
        Kept.NONE, "", "its custom operator cstDualResidual belongs to a library we do not have"
    ),
    "c25_yolo_head_fp16.rknn": StandIn(Kept.REBUILT, "made/yolo_head_fp16_rk3588.rknn"),
    "b25_i32in_fp16_rk3588.rknn": StandIn(Kept.REBUILT, "made/i32in_fp16_rk3588.rknn"),
    "b25_boolin_int8_rk3588.rknn": StandIn(Kept.REBUILT, "made/boolin_int8_rk3588.rknn"),
    "b25_argmax_fp16_rk3588.rknn": StandIn(Kept.REBUILT, "made/argmax_fp16_rk3588.rknn"),
    "b25_argmax_int8_rv1106.rknn": StandIn(Kept.REBUILT, "made/argmax_int8_rv1106.rknn"),
    "b25_b2_int8_rv1106.rknn": StandIn(Kept.REBUILT, "made/b2_int8_rv1106.rknn"),
    "b25_c16_int8_rv1106.rknn": StandIn(Kept.REBUILT, "made/c16_int8_rv1106.rknn"),
    "b25_d5_int8_rv1106.rknn": StandIn(Kept.REBUILT, "made/d5_int8_rv1106.rknn"),
    "garbage.rknn": StandIn(Kept.SAME, "garbage.rknn"),
}
_CASES = {
    f"c25_{case}_{kind}.rknn": f"c25_{case}/{kind}/model.rknn"
    for case in ("cnn_classifier", "multi_input", "non4d", "odd_names")
    for kind in ("fp16", "int8")
}


def stand_in(model: str) -> StandIn:
    """The model that plays for `model`, an experiment's `model` entry."""
    return _TABLE.get(model) or StandIn(Kept.SAME, _CASES.get(model, model))
