"""A model built as its spec says: from a source model, or as a hybrid one."""

from __future__ import annotations

from pathlib import Path

from rkparity.errors import UsageError
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.hybrid import HybridFiles, hybrid_step1, hybrid_step2
from rkparity.toolkit.hybrid_configuration import fitted_configuration
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker


def build_model(worker: Worker, spec: BuildSpec, *, export: Path | None = None) -> BuiltModel:
    """Builds `spec` and readies the simulator; with `export` also writes that `.rknn`, whole or not at all.

    A hybrid model is built by the toolkit's two steps: of a source model both, of step 1's files the second. Raises as
    `Worker.build` does.
    """
    if spec.hybrid is None:
        return worker.build(spec, export=export)
    spec = spec.resolved(Path.cwd())
    spec.check()
    cfg = Path(str(spec.hybrid))
    if spec.framework is Framework.HYBRID:
        return hybrid_step2(worker, spec, _given_files(spec), cfg, export=export)
    folder = worker.new_folder("hybrid")
    files = hybrid_step1(worker, spec, folder)
    chosen, note = fitted_configuration(cfg, files.cfg, folder / "fitted.quantization.cfg")
    built = hybrid_step2(worker, spec, files, chosen, export=export)
    return built if not note else built.with_notes(note)


def _given_files(spec: BuildSpec) -> HybridFiles:
    model, data = Path(spec.model), Path(str(spec.weights))
    if data != model.with_suffix(".data"):
        raise UsageError(
            f"{data}: the weights of {model} must lie beside it as {model.with_suffix('.data').name}",
            hint="hybrid_quantization_step1 writes the two together",
        )
    return HybridFiles(model.parent, model.stem, (), ())
