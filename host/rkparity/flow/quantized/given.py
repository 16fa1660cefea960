"""Quantised models that are taken as they are given: trained with quantisation (QAT), or hybrid by choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.flow.fp16.reference_outputs import find_reference_outputs
from rkparity.flow.quantized.measure import output_error
from rkparity.flow.result import StageVerdict
from rkparity.flow.simulation import prepared_inputs
from rkparity.toolkit.build_record import has_build_record, read_build_record
from rkparity.toolkit.hybrid_configuration import read_configuration
from rkparity.toolkit.simulate import graph_value

if TYPE_CHECKING:
    from rkparity.flow.context import Context
    from rkparity.project import Project
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.hybrid import OutputError
    from rkparity.toolkit.spec import BuildSpec


def hybrid_in_use(project: Project) -> BuildSpec | None:
    """The hybrid build the project deploys: that of its `.rknn`, or its own settings; None when it is not hybrid."""
    rknn = project.model.rknn
    if rknn is not None and has_build_record(rknn):
        spec = read_build_record(rknn).spec
        return spec if spec.hybrid is not None else None
    return project.build_spec(do_quantization=True) if project.build.hybrid is not None else None


def measure_original(context: Context, built: BuiltModel) -> OutputError:
    """The error against the original of the output that fares worst on the project's sample."""
    inputs = prepared_inputs(context, built, name="given-inputs")
    reference = find_reference_outputs(context, built, inputs)
    values = [graph_value(given, item) for given, item in zip(built.inputs, inputs)]
    found = context.worker.outputs(built.model_id, values)
    return min((output_error(a, b) for a, b in zip(found, reference.outputs.values())), key=lambda item: item.cosine)


def judge_hybrid(context: Context, built: BuiltModel, limit: float) -> tuple[StageVerdict, list[str], str]:
    """A hybrid model of the user's own against its original: verdict, facts, and what to do. Not taken apart."""
    base = measure_original(context, built)
    cfg = Path(str(built.spec.hybrid))
    facts = [
        f"hybrid model: {cfg.name} lists {len(read_configuration(cfg)[0])} tensors to stay in float",
        f"output cosine {base.cosine:.5f} against the original, {limit} asked for",
        *built.notes,
    ]
    if base.cosine >= limit:
        return StageVerdict.PASS, facts, "go on to the board; verify the accuracy on the data set"
    action = "list more layers; without the hybrid configuration in the project this stage chooses them"
    return StageVerdict.FAIL, facts, action
