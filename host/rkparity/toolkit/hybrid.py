"""A quantised model taken apart: any mixture of float16 and int8 operators measured without a build; hybrid builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.runs import open_npy
from rkparity.toolkit.built_model import BuiltModel, GraphInput, built_model_from_answer
from rkparity.toolkit.dataset import prepare_dataset
from rkparity.toolkit.hybrid_configuration import read_configuration
from rkparity.toolkit.spec import BuildSpec
from rkparity.toolkit.worker_client import Worker, install_file

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ColumnScore:
    """One cell of the accuracy table, recomputed: cosine, euclidean distance, euclidean over the golden's norm."""

    cosine: float
    euclidean: float
    relative: float


@dataclass(frozen=True)
class Operator:
    """One operator of the simulator's graph in execution order.

    `reads` and `makes` are tensor names. `macs` multiplications of a convolution or product, `elements` values made.
    `quantised`: its tensors have an integer scale; `fused`: it is merged into the next operator, its own tensor is not
    stored. `entire` and `single` are the accuracy table's two simulator columns of its first tensor.
    """

    index: int
    op_type: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    macs: int
    elements: int
    quantised: bool
    fused: bool
    entire: ColumnScore
    single: ColumnScore

    @property
    def name(self) -> str:
        """The tensor it is known by."""
        return self.makes[0]

    @property
    def is_conversion(self) -> bool:
        """Whether it only changes the data type at the graph's ends."""
        return self.op_type == "exDataConvert"


@dataclass(frozen=True)
class OutputError:
    """How far outputs are from golden: squared relative error averaged over outputs, smallest cosine of them."""

    squared: float
    cosine: float


@dataclass(frozen=True)
class Contribution:
    """The squared relative output error when one operator alone is quantised: by its weights, by storing its output."""

    index: int
    weights: float
    storage: float


@dataclass(frozen=True)
class TensorCoverage:
    """How calibration covers real inputs in one tensor.

    `outside` is the share of real values beyond the calibrated range (they saturate), `overlap` the shared area of
    the two histograms, 1 when they are alike. `size` counts the real values.
    """

    name: str
    calibration_range: tuple[float, float]
    real_range: tuple[float, float]
    outside: float
    overlap: float
    size: int = 0


class MixedModel:
    """A quantised model of one worker taken apart on some samples; a context manager that frees it.

    A sample is raw NCHW `.npy` files, one per graph input. Everything stays in the worker's memory: 8 bytes a
    value and sample. Raises ToolkitError as the worker does, also when the toolkit's version
    runs its operators in a way that is not known.
    """

    def __init__(self, worker: Worker, built: BuiltModel, sample: Sequence[Path]) -> None:
        self._worker = worker
        self._built = built
        answer = worker.job(
            "mixed_open",
            model_id=built.model_id,
            inputs=_names([sample])[0],
            outputs=list(built.outputs),
            folder=str(worker.new_folder("mixed")),
        )
        self.operators = tuple(_operator(row) for row in answer["operators"])
        self.error = OutputError(**answer["error"])

    @property
    def sample_nbytes(self) -> int:
        """The memory one more sample takes."""
        return 8 * sum(item.elements for item in self.operators)

    def add(self, samples: Sequence[Sequence[Path]], *, judged: bool) -> None:
        """Further samples: the squared error is over all, the cosine over the first one and those `judged`.

        The error of a single input is too much of an accident to choose layers by.
        """
        if samples:
            row = self._worker.job(
                "mixed_add",
                model_id=self._built.model_id,
                meta=[_meta(item) for item in self._built.inputs],
                samples=_names(samples),
                judged=judged,
            )
            self.error = OutputError(**row)

    def __enter__(self) -> MixedModel:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees what the worker holds for it, if the worker still lives."""
        if self._worker.is_gone:
            return
        self._worker.job("mixed_close", model_id=self._built.model_id)

    def contributions(self, operators: Sequence[int]) -> tuple[Contribution, ...]:
        """What each operator alone does to the output."""
        rows = self._worker.job("mixed_contributions", model_id=self._built.model_id, operators=list(operators))
        return tuple(Contribution(int(row["index"]), row["weights"], row["storage"]) for row in rows)

    def evaluate(self, sets: Sequence[Sequence[int]]) -> tuple[OutputError, ...]:
        """The outputs' error for each set of operators kept in float16, everything else int8."""
        rows = self._worker.job("mixed_evaluate", model_id=self._built.model_id, sets=[sorted(item) for item in sets])
        return tuple(OutputError(**row) for row in rows)

    def coverage(
        self, calibration: Sequence[Sequence[Path]], real: Sequence[Sequence[Path]]
    ) -> tuple[TensorCoverage, ...]:
        """Every tensor's range and histogram over calibration samples and real inputs (raw NCHW files)."""
        rows = self._worker.job(
            "mixed_coverage",
            model_id=self._built.model_id,
            meta=[_meta(item) for item in self._built.inputs],
            samples=_names(calibration),
            real=_names(real),
        )
        return tuple(
            TensorCoverage(
                row["name"],
                tuple(row["calibration_range"]),
                tuple(row["real_range"]),
                row["outside"],
                row["overlap"],
                row["size"],
            )
            for row in rows
        )

    def golden(self, samples: Sequence[Sequence[Path]]) -> list[list[NDArray[Any]]]:
        """The float32 graph's outputs for each sample (raw NCHW files)."""
        folder = self._worker.new_folder("golden")
        rows = self._worker.job(
            "mixed_golden",
            model_id=self._built.model_id,
            meta=[_meta(item) for item in self._built.inputs],
            samples=_names(samples),
            folder=str(folder),
        )
        return [[open_npy(Path(file)) for file in files] for files in rows]


@dataclass(frozen=True)
class HybridFiles:
    """What step 1 left: `folder` with `stem`.model, .data and .quantization.cfg; `proposed` by the toolkit itself."""

    folder: Path
    stem: str
    proposed: tuple[str, ...]
    tensors: tuple[str, ...]

    @property
    def cfg(self) -> Path:
        """The toolkit's configuration as it wrote it."""
        return self.folder / f"{self.stem}.quantization.cfg"

    @property
    def model(self) -> Path:
        """The graph."""
        return self.folder / f"{self.stem}.model"

    @property
    def data(self) -> Path:
        """The weights and the settings; a pickle, which the toolkit loads."""
        return self.folder / f"{self.stem}.data"


def hybrid_step1(worker: Worker, spec: BuildSpec, folder: Path, *, proposal: bool = False) -> HybridFiles:
    """Runs hybrid_quantization_step1 into `folder`; with `proposal` the toolkit names layers itself (slow)."""
    spec = spec.resolved(Path.cwd())
    spec.check()
    dataset = prepare_dataset(Path(str(spec.dataset)), worker.new_folder("calibration"))
    answer = worker.job(
        "hybrid_step1",
        spec=spec.to_json(),
        dataset=str(dataset.resolve()),
        proposal=proposal,
        folder=str(folder.resolve()),
    )
    proposed, tensors = read_configuration(Path(answer["cfg"]))
    return HybridFiles(folder, answer["stem"], proposed, tensors)


def hybrid_step2(
    worker: Worker, spec: BuildSpec, files: HybridFiles, cfg: Path, *, export: Path | None = None
) -> BuiltModel:
    """Builds with the layers `cfg` keeps in float; with `export` also writes that `.rknn`.

    The result's spec is `spec` with the target that step 1's files name.
    """
    start = worker.log_size()
    part = None if export is None else worker.new_folder("export").with_suffix(".rknn")
    answer = worker.job(
        "hybrid_step2",
        model=str(files.model.resolve()),
        data=str(files.data.resolve()),
        cfg=str(cfg.resolve()),
        export=None if part is None else str(part),
    )
    sha256 = None if part is None or export is None else install_file(part, export)
    return built_model_from_answer(
        answer,
        spec=replace(spec, target_platform=answer["target_platform"] or spec.target_platform),
        toolkit_version=worker.toolkit_version,
        rknn=export,
        rknn_sha256=sha256,
        log=worker.log_since(start),
    )


def _operator(row: Mapping[str, Any]) -> Operator:
    return Operator(
        row["index"],
        row["op_type"],
        tuple(row["reads"]),
        tuple(row["makes"]),
        row["macs"],
        row["elements"],
        row["quantised"],
        row["fused"],
        ColumnScore(**row["entire"]),
        ColumnScore(**row["single"]),
    )


def _meta(item: GraphInput) -> dict[str, Any]:
    return {"name": item.name, "dtype": item.dtype, "mean": list(item.mean), "std": list(item.std)}


def _names(samples: Sequence[Sequence[Path]]) -> list[list[str]]:
    return [[str(path.resolve()) for path in files] for files in samples]


def source_operators(worker: Worker, model: Path) -> dict[str, int]:
    """How often each operator type occurs in an ONNX model."""
    return {str(name): int(count) for name, count in worker.job("source_operators", model=str(model)).items()}
