"""The main job, from a published model to a verdict, on a virtual board.

1. Fetches the PP-OCR text classifier and detector of the package rapidocr-onnxruntime (Apache-2.0).
2. Converts each with rknn-toolkit2, int8 and FP16, and runs the simulator with every layer kept.
3. Starts a virtual board (SSH server, emulated librknnrt), deploys the device agent, runs each model through the
   general API (want_float 1 and 0) and the zero-copy API, and pulls the dumps.
4. Compares layer by layer: everything passes.
5. Does it once more with one mistake, BGR instead of RGB: the divergence is at InputOperator.

Every command is shown as you would type it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
RKPARITY = Path(sys.executable).with_name("rkparity")
TOOLKIT_PYTHON = ROOT / ".toolkit" / "2.5.0" / "bin" / "python"
PACKAGE = "rapidocr-onnxruntime==1.4.4"
CALIBRATION_PICTURES = 20
WORDS = (
    "RECEIPT",
    "parity",
    "NPU 6 TOPS",
    "Total 42.80",
    "rk3588",
    "2026-11-22",
    "Invoice 1047",
    "Open 9-17",
    "librknnrt",
)


@dataclass(frozen=True)
class DemoModel:
    """One published model: its file in the package, its digest, its input size and how many text lines to draw."""

    name: str
    file: str
    sha256: str
    height: int
    width: int
    lines: int


MODELS = (
    DemoModel(
        "classifier",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        48,
        192,
        1,
    ),
    DemoModel(
        "detector",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        480,
        480,
        7,
    ),
)


@dataclass(frozen=True)
class Way:
    """One way of using the C API."""

    name: str
    options: tuple[str, ...]


WAYS = (
    Way("general-want_float1", ("--api", "general", "--want-float", "1")),
    Way("general-want_float0", ("--api", "general", "--want-float", "0")),
    Way("zero-copy", ("--api", "zero-copy")),
)


class Demo:
    """The steps, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = 0

    def fetch_models(self) -> None:
        """Downloads the package and takes its models out; each is checked against its digest."""
        wanted = {model: self.folder / f"{model.name}.onnx" for model in MODELS}
        if all(path.is_file() and sha256(path) == model.sha256 for model, path in wanted.items()):
            return
        say(f"fetching the models of {PACKAGE}")
        with zipfile.ZipFile(self._download()) as wheel:
            for model, path in wanted.items():
                data = wheel.read(model.file)
                if hashlib.sha256(data).hexdigest() != model.sha256:
                    raise SystemExit(f"demo: {model.file} is not the file this demo was written for")
                path.write_bytes(data)

    def _download(self) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        done = subprocess.run([*command, "--dest", str(self.folder), PACKAGE], check=False)
        wheels = sorted(self.folder.glob("rapidocr_onnxruntime-*.whl"))
        if done.returncode != 0 or not wheels:
            raise SystemExit(f"demo: {PACKAGE} could not be downloaded; is a package index reachable?")
        return wheels[-1]

    def draw_pictures(self, model: DemoModel) -> None:
        """Draws coloured text: calibration pictures and the dataset file, and one picture for the test."""
        names = []
        for number in range(CALIBRATION_PICTURES):
            name = f"{model.name}-calibration-{number:02d}.png"
            draw_text(model, seed=number + 1).save(self.folder / name)
            names.append(name)
        (self.folder / f"{model.name}-dataset.txt").write_text("\n".join(names) + "\n")
        picture = draw_text(model, seed=0)
        picture.save(self.folder / f"{model.name}.png")
        rgb = np.asarray(picture)[np.newaxis]
        np.save(self.folder / f"{model.name}.npy", rgb)
        np.save(self.folder / f"{model.name}-bgr.npy", np.ascontiguousarray(rgb[..., ::-1]))

    def simulate(self, model: DemoModel, precision: str) -> None:
        """Builds the `.rknn` and runs the simulator, every layer kept."""
        rknn = f"{model.name}-{precision}.rknn"
        options = [f"--{precision}"]
        if precision == "int8":
            options += ["--dataset", f"{model.name}-dataset.txt"]
        size = f"1,3,{model.height},{model.width}"
        self.rkparity(
            "build",
            f"{model.name}.onnx",
            *options,
            "--inputs",
            "x",
            "--input-size",
            size,
            "--mean",
            "127.5,127.5,127.5",
            "--std",
            "127.5,127.5,127.5",
            "--target",
            "rk3588",
            "-o",
            rknn,
            "--force",
        )
        self.rkparity(
            "simulate", rknn, "--input", f"{model.name}.npy", "-o", f"{model.name}-{precision}-sim", "--force"
        )

    @contextmanager
    def virtual_board(self, models: list[str]) -> Iterator[None]:
        """A virtual board that serves `models`, for as long as the block runs."""
        options = [option for model in models for option in ("--model", model)]
        self.rkparity("emulator", "start", *options, "--board-file", "board.json")
        try:
            yield
        finally:
            self.rkparity("emulator", "stop", "--board-file", "board.json")

    def run_and_compare(
        self, model: DemoModel, precision: str, way: Way, *, picture: str = "", expect: int = 0
    ) -> Path:
        """Runs `model` on the board, pulls the dumps, compares them with the simulator; returns the JSON."""
        rknn = f"{model.name}-{precision}.rknn"
        run = f"{model.name}-{precision}-{way.name}{'-bgr' if picture else ''}"
        self.rkparity(
            "run",
            "--board",
            "@board.json",
            "--model",
            rknn,
            "--input",
            picture or f"{model.name}.npy",
            *way.options,
            "-o",
            run,
            "--force",
        )
        report = f"{run}.json"
        self.rkparity(
            "compare-dumps",
            run,
            f"{model.name}-{precision}-sim",
            "--model",
            rknn,
            "--json",
            report,
            "--force",
            expect=expect,
        )
        self.passed += 1
        return self.folder / report

    def rkparity(self, *arguments: str, expect: int = 0) -> None:
        """Shows and runs one rkparity command in the demo's folder; any other exit code than `expect` ends the demo."""
        print(f"\n$ rkparity {shlex.join(arguments)}", flush=True)
        done = subprocess.run([str(RKPARITY), *arguments], cwd=self.folder, check=False)
        if done.returncode != expect:
            raise SystemExit(f"demo: exit code {done.returncode}, expected {expect}")


def draw_text(model: DemoModel, *, seed: int) -> Image.Image:
    """Lines of coloured text on a coloured ground: red and blue differ everywhere, so a swap of them shows."""
    random = np.random.default_rng(seed)
    ground = tuple(int(value) for value in random.integers((190, 150, 90), (255, 210, 150)))
    picture = Image.new("RGB", (model.width, model.height), ground)
    draw = ImageDraw.Draw(picture)
    pitch = model.height // model.lines
    for line in range(model.lines):
        words = " ".join(WORDS[index] for index in random.integers(0, len(WORDS), 2))
        ink = tuple(int(value) for value in random.integers((0, 0, 60), (70, 90, 160)))
        font = ImageFont.load_default(size=int(pitch * random.uniform(0.45, 0.7)))
        draw.text((int(random.integers(2, 12)), line * pitch + pitch // 8), words, fill=ink, font=font)
    return picture


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where everything is kept (default: .demo)")
    parser.add_argument("--fresh", action="store_true", help="empty the folder first")
    arguments = parser.parse_args()
    if arguments.fresh and arguments.folder.exists():
        shutil.rmtree(arguments.folder)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    demo = Demo(arguments.folder.resolve())
    demo.fetch_models()
    precisions = ("int8", "fp16")
    for model in MODELS:
        say(f"{model.name}: pictures, conversion, simulator")
        demo.draw_pictures(model)
        for precision in precisions:
            demo.simulate(model, precision)
    with demo.virtual_board([f"{model.name}-{precision}.rknn" for model in MODELS for precision in precisions]):
        demo.rkparity("board", "info", "@board.json")
        for model in MODELS:
            for precision in precisions:
                for way in WAYS:
                    say(f"{model.name}, {precision}, {way.name}: board against simulator")
                    report = demo.run_and_compare(model, precision, way)
        say("the same with one mistake: the program gives BGR where the model was built for RGB")
        model = MODELS[-1]
        mistaken = demo.run_and_compare(model, "int8", WAYS[0], picture=f"{model.name}-bgr.npy", expect=1)
    first = json.loads(mistaken.read_text())["first_divergence"]
    say(f"{demo.passed - 1} comparisons passed; with BGR the first divergence is {first['dump']}")
    print(f"   JSON of the last good comparison: {report}\n   JSON of the mistaken one:          {mistaken}")
    print(f"   {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
