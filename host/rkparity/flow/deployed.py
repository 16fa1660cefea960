"""The compiled model that goes to the board: the project's own `.rknn`, or one built from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.flow.local_run import LocalSettings
from rkparity.flow.resimulate import PreparedBuild
from rkparity.flow.simulation import prepared_inputs, simulated, trained_quantizers
from rkparity.flow.store import file_digest, key_of
from rkparity.model import Model, read_model
from rkparity.runs import ModelRecord
from rkparity.toolkit.build import build_model
from rkparity.toolkit.build_record import read_build_record, record_path, write_build_record
from rkparity.toolkit.rebuild import rebuild

if TYPE_CHECKING:
    from rkparity.flow.context import Context
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.inputs import PreparedInput
    from rkparity.toolkit.simulate import Simulation


@dataclass(frozen=True)
class DeployedModel:
    """The `.rknn`, the same build in the worker, the sample, and the simulator's runs of it."""

    rknn: Path
    model: Model
    built: BuiltModel
    inputs: tuple[PreparedInput, ...]
    simulation: Simulation
    notes: tuple[str, ...]

    @property
    def sample_files(self) -> tuple[Path, ...]:
        """The sample as given, before mean and std, as .npy files of the simulator's run."""
        return tuple(
            self.simulation.simulator.file(item.file)
            for item in self.simulation.simulator.manifest.inputs
            if item.file is not None
        )


def deployed_settings(context: Context) -> dict[str, str]:
    """What a result about the deployed model depends on beyond the project's settings."""
    rknn = context.project.model.rknn
    board = context.board.name if context.board is not None else ""
    return {"rknn": file_digest(rknn) if rknn is not None else "", "board": board}


def deploy_model(context: Context) -> DeployedModel:
    """Builds (or builds again, for a given `.rknn`) and simulates the model the board gets.

    A `.rknn` named by the project needs its build record; its scales are compared with those of the build. Raises
    UsageError, ToolkitError.
    """
    project = context.project
    notes: Sequence[str] = ()
    if project.model.rknn is not None:
        rknn = project.model.rknn
        context.say(f"building {rknn.name} again from its record")
        built, _, notes = rebuild(context.worker, rknn)
    else:
        rknn, built = _build(context)
    inputs = prepared_inputs(context, built, name="deployed-inputs")
    context.say("simulating the deployed model")
    name = "deployed" if built.spec.do_quantization else "fp16"
    simulation = simulated(context, built, inputs, name=name)
    model = read_model(rknn).for_input_shapes([item.raw.shape for item in inputs])
    return DeployedModel(rknn, model, built, inputs, simulation, tuple(notes))


def local_settings(context: Context, deployed: DeployedModel) -> LocalSettings:
    """The local run of a stage: in its own worker, which has the model built already."""
    prepared = PreparedBuild(deployed.built, _record(deployed.model), deployed.notes)
    return LocalSettings(worker=context.worker, built=prepared)


def _record(model: Model) -> ModelRecord:
    return ModelRecord(model.path.name, model.sha256, model.platform or None, model.compiler_version or None)


def _build(context: Context) -> tuple[Path, BuiltModel]:
    """Exports the project's build into the output folder; an export of the same settings is kept."""
    project = context.project
    wanted = project.build.do_quantization and not trained_quantizers(context)
    spec = project.build_spec(do_quantization=wanted)
    key = key_of(
        files=[Path(path) for path in (spec.model, spec.weights, spec.dataset) if path is not None],
        spec=spec.to_json(),
        toolkit=context.toolkit_version,
    )
    rknn = project.output / "model" / f"{project.model.file.stem}-{key[:12]}.rknn"
    if rknn.is_file() and record_path(rknn).is_file():
        read_build_record(rknn)
        return rknn, build_model(context.worker, spec)
    context.say("building the .rknn")
    built = build_model(context.worker, spec, export=rknn)
    write_build_record(built)
    return rknn, built
