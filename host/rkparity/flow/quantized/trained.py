"""A model trained with quantisation (QAT): its int8 build against its original, which computes in int8 as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rkparity.flow.fp16.reference_outputs import find_reference_outputs
from rkparity.flow.quantized.measure import output_error
from rkparity.flow.simulation import prepared_inputs
from rkparity.toolkit.simulate import graph_value

if TYPE_CHECKING:
    from rkparity.flow.context import Context
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.hybrid import OutputError


def measure_trained(context: Context, built: BuiltModel) -> OutputError:
    """The error of the output that fares worst on the project's sample."""
    inputs = prepared_inputs(context, built, name="qat-inputs")
    reference = find_reference_outputs(context, built, inputs)
    values = [graph_value(given, item) for given, item in zip(built.inputs, inputs)]
    found = context.worker.outputs(built.model_id, values)
    return min((output_error(a, b) for a, b in zip(found, reference.outputs.values())), key=lambda item: item.cosine)
