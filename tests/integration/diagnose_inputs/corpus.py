"""Makes inputs with real faults: photographs, resized by OpenCV and Pillow, spoiled in C, through the runtime.

Nothing here uses the diagnosis: the pictures are resized and coloured by other libraries and by the C program, and
what the model's input then holds is what the emulated librknnrt dumps.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faults import OUTSIDE, RESIZE, Fault, can_combine, faults_of, operations, redrawn

from rkparity.diagnose.inputs import ExpectedInput, InputExplanation, ObservedInput, explain_input
from rkparity.emulator.protocol import GraphValue
from rkparity.emulator.server import LayerValueServer
from rkparity.emulator.values import RunValues, ValueSource
from rkparity.model import Model, read_model

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATA = ROOT / "tests" / "data" / "diagnose_inputs"
MODELS = {"imagenet_int8": (128, 152), "unit_fp16": (160, 160), "plain_int8": (96, 128), "detector_int8": (640, 640)}
SMALL = ("imagenet_int8", "unit_fp16", "plain_int8")
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
# Photographs that packages ship; taken from their wheels, never committed.
WHEELS = {
    "scikit-image==0.22.0": {
        "coffee": "skimage/data/coffee.png",
        "chelsea": "skimage/data/chelsea.png",
        "astronaut": "skimage/data/astronaut.png",
        "rocket": "skimage/data/rocket.jpg",
        "motorcycle": "skimage/data/motorcycle_left.png",
        "retina": "skimage/data/retina.jpg",
        "tissue": "skimage/data/ihc.png",
    },
    "scikit-learn==1.5.2": {
        "china": "sklearn/datasets/images/china.jpg",
        "flower": "sklearn/datasets/images/flower.jpg",
    },
    "matplotlib==3.9.2": {"grace_hopper": "matplotlib/mpl-data/sample_data/grace_hopper.jpg"},
}
# The search was developed on the first five; the others are for what it has not seen.
PICTURES = ("chelsea", "china", "coffee", "flower", "grace_hopper")
UNSEEN = ("astronaut", "motorcycle", "retina", "rocket", "tissue")
# Names that say the same of the observed data.
ALIASES = {"geometry.stretched": "geometry.resampled"}
SAME = {
    # mean 0, std 255: dividing by 255 is normalising, and so is applying std.
    "unit": {"values.div255": "values.normalized_twice", "values.std_only": "values.normalized_twice"},
    "square": {"layout.hw_transposed": "geometry.transposed"},
}


@dataclass(frozen=True)
class Case:
    """One input of the corpus. `ids` is what the diagnosis must name; empty for a healthy one or one outside of it."""

    name: str
    model: str
    picture: str
    resize: str
    ops: str
    ids: tuple[str, ...]
    kind: str
    labels: tuple[str, ...] = field(default=())
    expected: str = "linear"


class Corpus:
    """Prepares pictures, runs cases, asks the diagnosis. `folder` is scratch; `toolkit` has OpenCV."""

    def __init__(self, folder: Path, toolkit: Path) -> None:
        self._folder = folder
        self._toolkit = toolkit
        self.models = {name: read_model(DATA / f"{name}.rknn") for name in MODELS}
        self.originals = load_pictures(folder)
        self._variants: dict[str, dict[str, np.ndarray]] = {}

    def variant(self, model: str, picture: str, resize: str) -> np.ndarray:
        """A picture at the model's size; "previous": the picture before it."""
        if resize == "previous":
            return self.variant(model, before(picture), "linear")
        if model not in self._variants:
            source, target = self._folder / "pictures.npz", self._folder / f"{model}.npz"
            np.savez(source, **self.originals)
            height, width = MODELS[model]
            command = [str(self._toolkit), str(HERE / "pictures.py"), str(source), str(target), str(height), str(width)]
            subprocess.run(command, check=True, capture_output=True)
            self._variants[model] = dict(np.load(target))
        if resize == "pillow":
            from PIL import Image

            height, width = MODELS[model]
            resized = Image.fromarray(self.originals[picture]).resize((width, height), Image.Resampling.BILINEAR)
            return np.array(resized)
        return self._variants[model][f"{picture}/{resize}"]

    def dumps(self, cases: Sequence[Case]) -> list[np.ndarray]:
        """The InputOperator dump of every case."""
        program = self._program()
        targets = [self._folder / f"dump{number}.npy" for number in range(len(cases))]
        with LayerValueServer(self._open) as server:
            for model in MODELS:
                lines = []
                for number, case in enumerate(cases):
                    if case.model != model:
                        continue
                    pixels = np.ascontiguousarray(self.variant(model, case.picture, case.resize))
                    raw = self._folder / f"{model}-{case.picture}-{case.resize}.rgb"
                    if not raw.exists():
                        raw.write_bytes(pixels.tobytes())
                    height, width = pixels.shape[:2]
                    lines.append(f"{targets[number]} {raw} {height} {width} {case.ops}\n")
                if lines:
                    self._start(program, server.socket_path, model, lines)
        return [np.load(target) for target in targets]

    def _start(self, program: Path, socket: Path, model: str, lines: list[str]) -> None:
        jobs, dumps = self._folder / "jobs.txt", self._folder / "dumps"
        jobs.write_text("".join(lines))
        dumps.mkdir(exist_ok=True)
        mean, std = self.normalization(model)
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(self._folder),
            "RKPARITY_EMULATOR_SOCKET": str(socket),
            "RKNN_LOG_LEVEL": "5",
            "RKNN_DUMP_DIR": str(dumps),
        }
        command = [str(program), str(DATA / f"{model}.rknn"), str(jobs), *(str(v) for v in (*mean, *std))]
        with (self._folder / "log.txt").open("wb") as log:
            done = subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=600, check=False)
        assert done.returncode == 0, (
            str(done.returncode) + (self._folder / "log.txt").read_text(errors="replace")[-800:]
        )

    def _program(self) -> Path:
        library = self._folder / "librknnrt.so"
        program = self._folder / "faulty_app"
        if not program.exists():
            sources = [str(path) for path in sorted((ROOT / "csrc" / "emulator").glob("*.c"))]
            options = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden"]
            named = ["-Wl,-soname,librknnrt.so", f"-I{ROOT / 'csrc'}", "-o", str(library)]
            subprocess.run(["cc", *options, *named, *sources, "-lm", "-ldl", "-lpthread"], check=True)
            source = HERE / "programs" / "faulty_app.c"
            command = ["cc", "-O2", f"-I{ROOT / 'csrc'}", str(source), "-o", str(program)]
            subprocess.run([*command, f"-L{self._folder}", "-lrknnrt", "-lm"], check=True)
        return program

    def _open(self, sha256: str) -> tuple[Model, ValueSource]:
        model = next(model for model in self.models.values() if model.sha256 == sha256)
        return model, NoValues(model)

    def normalization(self, model: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What the compiled model does itself."""
        found = self.models[model].normalization
        if not found:
            return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        mean, std = found[0].mean, found[0].std
        return (mean * 3 if len(mean) == 1 else mean), (std * 3 if len(std) == 1 else std)

    def explain(self, case: Case, dump: np.ndarray, *, with_picture: bool = True) -> InputExplanation:
        """What the diagnosis says of a case's dump."""
        mean, std = self.normalization(case.model)
        tensor = self.models[case.model].input_tensors[0]
        wanted = self.variant(case.model, case.picture, case.expected)
        earlier = (self.variant(case.model, before(case.picture), "linear")[None],)
        raw, normalized = wanted[None], None
        if case.model == "plain_int8":
            planes = (wanted.astype(np.float32) - np.float32(IMAGENET[0])) / np.float32(IMAGENET[1])
            raw, normalized = None, planes.transpose(2, 0, 1)[None]
        quantized = tensor.is_quantized and dump.dtype != np.uint8
        observed = ObservedInput(
            dump,
            tensor.scale[0] if quantized else None,
            tensor.zero_point[0] if quantized else 0,
            tensor.dtype == "float16",
        )
        picture = self.originals[case.picture] if with_picture else None
        return explain_input(observed, ExpectedInput(raw, normalized, mean, std, earlier), picture)


def before(picture: str) -> str:
    """The picture that was the frame before this one."""
    among = PICTURES if picture in PICTURES else UNSEEN
    return among[among.index(picture) - 1]


class NoValues:
    """A model whose layers are all zero; only its input is looked at."""

    description = "no values"

    def __init__(self, model: Model) -> None:
        self._model = model

    def compute(self, inputs: Sequence[GraphValue], *, want_layers: bool) -> RunValues:
        outputs = tuple(np.zeros(tensor.shape, tensor.dtype) for tensor in self._model.output_tensors)
        return RunValues(outputs, {})


def load_pictures(folder: Path) -> dict[str, np.ndarray]:
    """The photographs as RGB arrays; wheels are kept in the user's cache."""
    from PIL import Image

    cache = Path(os.environ.get("RKPARITY_TEST_WHEELS", Path.home() / ".cache" / "rkparity" / "test-wheels"))
    cache.mkdir(parents=True, exist_ok=True)
    result = {}
    for requirement, members in WHEELS.items():
        stem = requirement.split("==")[0].replace("-", "_")
        if not list(cache.glob(f"{stem}-*.whl")):
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
            platform = ["--python-version", "3.11"]
            subprocess.run([*command, *platform, "-d", str(cache), requirement], check=True, capture_output=True)
        with zipfile.ZipFile(next(cache.glob(f"{stem}-*.whl"))) as wheel:
            for name, member in members.items():
                pixels = np.array(Image.open(io.BytesIO(wheel.read(member))).convert("RGB"))
                # A letterbox of a square picture in a square input would be no letterbox.
                square = pixels.shape[0] == pixels.shape[1]
                result[name] = pixels[: pixels.shape[0] * 2 // 3] if square else pixels
    return result


def canonical(model: str, ids: Sequence[str]) -> tuple[str, ...]:
    """Names that mean the same observed data made one."""
    height, width = MODELS[model]
    aliases = dict(ALIASES)
    if model in ("unit_fp16", "detector_int8"):
        aliases.update(SAME["unit"])
    if height == width:
        aliases.update(SAME["square"])
    return tuple(sorted(aliases.get(item, item) for item in ids))


def single_cases(pictures: Sequence[str], models: Sequence[str], *, every: bool = True) -> list[Case]:
    """Every fault of every model, on all pictures given, or each on one of them in turn."""
    cases = []
    for model in models:
        for number, fault in enumerate(faults_of(model)):
            used = pictures if every else [pictures[number % len(pictures)]]
            cases += [case_of(model, picture, (fault,)) for picture in used]
    return cases


def pair_cases(
    pictures: Sequence[str], models: Sequence[str], count: int, seed: int = 20, *, redraw: bool = False
) -> list[Case]:
    """`count` different pairs of faults, spread over models and pictures, the same every time for a seed.

    `redraw`: the numbers of the faults (by how much shifted, which stride, ...) are drawn by the seed, too.
    """
    generator = random.Random(seed)  # noqa: S311
    possible = [
        (model, pair) for model in models for pair in itertools.combinations(faults_of(model), 2) if can_combine(*pair)
    ]
    cases = []
    for i, (model, pair) in enumerate(generator.sample(possible, min(count, len(possible)))):
        made = tuple(redrawn(fault, generator) for fault in pair) if redraw else pair
        cases.append(case_of(model, pictures[i % len(pictures)], made))
    return cases


def case_of(model: str, picture: str, faults: tuple[Fault, ...]) -> Case:
    resize = next((fault.resize for fault in faults if fault.stage == RESIZE), "linear")
    expected = next((fault.expected for fault in faults if fault.stage == RESIZE), "linear")
    ids = tuple(identifier for fault in faults for identifier in fault.ids)
    labels = tuple(fault.name for fault in faults)
    ops = operations(model, faults)
    return Case(f"{model}/{picture}/{'+'.join(labels)}", model, picture, resize, ops, ids, "fault", labels, expected)


def healthy_cases(count: int) -> list[Case]:
    """Right applications on all models and pictures, in every right way to give the input."""
    ways = {
        "imagenet_int8": ("", "float"),
        "unit_fp16": ("", "float"),
        "plain_int8": ("imagenet",),
        "detector_int8": ("", "float"),
    }
    options = [(model, ops, picture) for model in MODELS for ops in ways[model] for picture in PICTURES]
    shifted = itertools.islice(itertools.cycle(options), count)
    return [Case(f"{m}/{p}/healthy{i}", m, p, "linear", ops, (), "healthy") for i, (m, ops, p) in enumerate(shifted)]


def outside_cases() -> list[Case]:
    """Spoiled pictures that no step of the grammar makes."""
    result = []
    for number, name in enumerate(OUTSIDE):
        model = SMALL[number % len(SMALL)]
        ops = "imagenet" if model == "plain_int8" else ""
        picture = PICTURES[number % len(PICTURES)]
        result.append(Case(f"{model}/{picture}/{name}", model, picture, f"outside_{name}", ops, (), "outside"))
    return result


def is_right(case: Case, answer: InputExplanation) -> bool:
    """Whether the answer names what was done, or holds it among those it calls equally good."""
    if case.kind == "healthy":
        return answer.healthy and not answer.findings
    if case.kind == "outside":
        return answer.unexplained or not answer.hypotheses or answer.hypotheses[0].confidence < 0.5
    if answer.unexplained or not answer.hypotheses:
        return False
    wanted = canonical(case.model, case.ids)
    named = [answer.hypotheses[0], *answer.tied]
    return any(canonical(case.model, item.ids) == wanted for item in named)


def described(answer: InputExplanation) -> str:
    """The first hypothesis in a few words."""
    if answer.healthy:
        return "healthy"
    if not answer.hypotheses:
        return "unexplained"
    best: Any = answer.hypotheses[0]
    said = "+".join(best.ids)
    return f"({said})?" if answer.unexplained else said
