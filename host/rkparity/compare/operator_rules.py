"""How far a healthy board's operator may be from the simulator's on the same inputs: one table, with its sources.

"boards" are the four-column tables of accuracy_analysis that users and the vendor published (column single_sim: the
board's layer against the simulator's on the board's own inputs; 240 healthy rows, 6 broken ones, 8 toolkit versions).
`tests/data/compare/board_rows.csv` holds them; half of them made the numbers, the other half tried them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fnmatch import fnmatchcase


class Family(str, enum.Enum):
    """What an operator does to values."""

    MOVES = "moves values"
    SUMS = "sums and requantises"
    FUSED = "is fused from several operators"
    TABLE = "looks values up in a table"
    NORM = "normalises over many values"
    DISCRETE = "gives integers"
    OTHER = "is not in the table of operators"


@dataclass(frozen=True)
class OperatorRule:
    """The largest own error of a family of operators that is rounding and no fault.

    `operators` are globs on the board's operator types, parted by blanks. Quantised: `steps` is how many LSB one
    element may be off, `steps_hard` what no element may exceed, `share_over` the share that may be off by 2 or more.
    Float: `relative` is the relative euclidean distance, `ulps` the largest error in float16 steps of its channel's
    largest value, `group` the relative distance of one channel, row or column. `scale` is for both: the distance of the
    scale ratio from 1.
    """

    family: Family
    operators: str
    steps: int
    steps_hard: int
    share_over: float
    relative: float
    ulps: float
    group: float
    scale: float
    source: str


OPERATOR_RULES = (
    OperatorRule(
        Family.MOVES,
        "Reshape Transpose Split Slice Concat MaxPool Squeeze Unsqueeze Flatten Identity Expand Tile Pad "
        "DepthToSpace SpaceToDepth Upsample exDataConvert New_input* InputOperator OutputOperator",
        0, 2, 0.02, 4e-3, 8, 0.02, 0.01,
        "boards: 87 of 87 float16 rows exact, even behind a fault; int8 Split, MaxPool, Concat cosine 1.00000 in 30 of "
        "30; a Concat of unlike scales requantises (1 LSB); exDataConvert up to 1.3e-3",
    ),
    OperatorRule(
        Family.SUMS,
        "Conv Add Sub Mul Gemm MatMul exMatMul ConvTranspose AveragePool GlobalAveragePool "
        "BatchNormalization Relu Clip PRelu LeakyRelu Div ReduceMean ReduceSum Resize Max Min Abs Neg",
        1, 2, 0.02, 1e-2, 16, 0.03, 0.02,
        "requantising rounds a half either way: 1 LSB, and 2 where the input's own rounding adds; boards: float16 "
        "Conv, Add, MatMul, BatchNorm at most 3.5e-4, int8 Conv, Add, Relu at most 5.3e-3 of the norm",
    ),
    OperatorRule(
        Family.FUSED,
        "ConvRelu* ConvAdd* ConvClip* ConvLeakyRelu* ConvPRelu* ConvMul* AddRelu* GemmRelu*",
        2, 2, 0.02, 1e-2, 16, 0.03, 0.02,
        "one operator of two: two roundings; boards: ConvRelu float16 within 5.5e-3, int8 within 2.1e-3",
    ),
    OperatorRule(
        Family.TABLE,
        "exSwish* Conv*igmoid* Conv*ish* Conv*elu* *igmoid* *wish* *elu* *oftmax* Exp *anh* *oftplus* "
        "Mish Log Sin Cos Pow Sqrt Rsqrt Erf Reciprocal *ogSoftmax*",
        2, 4, 0.10, 5e-2, 64, 0.08, 0.08,
        "boards: never exact (exSwish 0 of 42, exGelu 0 of 4, softmax 0 of 6), float16 1e-3 to 8e-3, int8 up to 4.2e-2 "
        "of the norm; the vendor's own int8 Softmax is 6 % low; lowest broken row 6.7e-2",
    ),
    OperatorRule(
        Family.NORM,
        "exNorm* *Norm* exSDPAttention* *ttention* ReduceL2 LSTM GRU exLSTM* exGRU* Einsum",
        2, 4, 0.10, 5e-2, 64, 0.08, 0.04,
        "boards: exNorm 0 of 13 exact, at most 5.3e-3; exSDPAttention 4.4e-2 on inputs behind a fault; broken exNorm "
        "6.7e-2 and more",
    ),
    OperatorRule(
        Family.DISCRETE,
        "ArgMax ArgMin TopK Cast NonZero Equal Greater* Less* And Or Not Where OneHot",
        1, 2, 0.02, 1e-3, 4, 5e-3, 0.01,
        "integers follow from the board's own inputs; equal values may come in another order",
    ),
    OperatorRule(
        Family.MOVES,
        "Gather* Scatter*",
        0, 2, 0.02, 4e-3, 8, 0.02, 0.01,
        "boards: the one broken Gather is at cosine 0.168; elements are copied",
    ),
)  # fmt: skip
OTHER_RULE = OperatorRule(
    Family.OTHER, "*", 2, 4, 0.10, 5e-2, 64, 0.08, 0.04, "no published row: the widest of the families above"
)


def rule_of(op_type: str) -> OperatorRule:
    """The rule of a board's operator type; the widest one for a type that is not in the table."""
    for rule in OPERATOR_RULES:
        if any(fnmatchcase(op_type, glob) for glob in rule.operators.split()):
            return rule
    return OTHER_RULE
