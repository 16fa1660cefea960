"""What a .rknn file says about itself: operators, tensors, scales, normalisation of the inputs, target."""

from rkparity.model.records import ExpectedDump, InputNormalization, Model, ModelTensor, Node, TensorKind
from rkparity.model.rknn_file import read_model

__all__ = [
    "ExpectedDump",
    "InputNormalization",
    "Model",
    "ModelTensor",
    "Node",
    "TensorKind",
    "read_model",
]
