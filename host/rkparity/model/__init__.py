"""What a .rknn file says about itself: operators, tensors, scales, normalisation of the inputs, target."""

from rkparity.model.records import (
    ExpectedDump,
    Graph,
    InputNormalization,
    Model,
    ModelTensor,
    Node,
    TensorKind,
    nhwc_shape,
    shape_text,
)
from rkparity.model.rknn_file import read_model

__all__ = [
    "ExpectedDump",
    "Graph",
    "InputNormalization",
    "Model",
    "ModelTensor",
    "Node",
    "TensorKind",
    "nhwc_shape",
    "read_model",
    "shape_text",
]
