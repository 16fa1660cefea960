"""Collects what both sides say about one model input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rkparity.compare.alignment import LayerPair
from rkparity.compare.dumps import DumpSet
from rkparity.compare.inputs import InputEvidence
from rkparity.compare.source import TensorSource
from rkparity.model.records import InputNormalization, Model, ModelTensor
from rkparity.runs.dump_names import DumpSuffix, sanitize
from rkparity.runs.manifest import InputForm, InputRecord, Precision, TensorRecord
from rkparity.runs.npy import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTEGERS = ("int32", "int64", "uint32", "uint64", "bool")
_QUANTIZED = ("int4", "int8", "uint8", "int16")
# What the toolkit calls the quantised form of a graph's input (evidence toolkit/cnn_classifier/int8).
_TWIN = "_int8"


def gather(pair: LayerPair, dumps: DumpSet, reference: TensorSource, model: Model | None) -> InputEvidence:
    """The evidence on the input that `pair` is about; raises DataError when a file is damaged."""
    name = pair.dump.name.tensor
    tensor, normalization = _of_model(model, name)
    plain = _record(reference, name)
    twin = _record(reference, name + _TWIN)
    integer = (
        tensor.dtype in _INTEGERS or tensor.is_boolean or _is_plain(model, tensor)
        if tensor is not None
        else (
            pair.dump.name.suffix in (DumpSuffix.INT32, DumpSuffix.INT64)
            or (plain is not None and plain.dtype in _INTEGERS)
        )
    )
    if tensor is not None:
        quantized = tensor.dtype in _QUANTIZED and not integer
    else:
        quantized = twin is not None and reference.manifest.precision is Precision.QUANTIZED
    scale, zero_point = pair.scale, pair.zero_point
    if tensor is not None and tensor.is_quantized:
        scale, zero_point = tensor.scale, tensor.zero_point
    elif not scale and twin is not None:
        scale, zero_point = twin.scale, twin.zero_point
    per_tensor = len(scale) == 1 and len(zero_point) == 1 and scale[0] > 0
    return InputEvidence(
        dump_file=pair.dump.file,
        tensor=plain.name if plain is not None else pair.tensor.name,
        dump=open_npy(dumps.path(pair.dump)),
        normalized=reference.tensor(plain) if plain is not None else _given(reference, name, InputForm.NORMALIZED),
        quantized=reference.tensor(twin) if twin is not None and quantized else None,
        raw=_given(reference, name, InputForm.RAW),
        mean=normalization.mean if normalization is not None else None,
        std=normalization.std if normalization is not None else None,
        scale=scale[0] if per_tensor else None,
        zero_point=zero_point[0] if per_tensor else 0,
        is_quantized=quantized,
        is_integer=integer,
    )


def _is_plain(model: Model | None, tensor: ModelTensor) -> bool:
    """Whether an input holds integers that stand for themselves, as an int8 input of an ONNX model: it has no scale."""
    return model is not None and bool(model.nodes) and tensor.dtype in _QUANTIZED and not tensor.scale


def _of_model(model: Model | None, name: str) -> tuple[ModelTensor | None, InputNormalization | None]:
    if model is None:
        return None, None
    tensor = next((item for item in model.input_tensors if sanitize(item.name) == name), None)
    normalization = next((item for item in model.normalization if sanitize(item.name) == name), None)
    return tensor, normalization


def _record(reference: TensorSource, name: str) -> TensorRecord | None:
    fitting = [
        record for record in reference.manifest.tensors if sanitize(record.name) == name and not record.not_comparable
    ]
    return fitting[0] if len(fitting) == 1 else None


def _given(reference: TensorSource, name: str, form: InputForm) -> NDArray[Any] | None:
    """An input as the run keeps it, in NCHW order; None when the run does not keep it."""
    record = next(
        (item for item in reference.manifest.inputs if sanitize(item.name) == name and item.form is form), None
    )
    if record is None or record.file is None:
        return None
    return _channels_first(open_npy(reference.file(record.file)), record)


def _channels_first(array: NDArray[Any], record: InputRecord) -> NDArray[Any]:
    if record.layout.upper() not in ("NHWC", "HWC"):
        return array
    if array.ndim == 3:
        array = array[None]
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
