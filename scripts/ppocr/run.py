"""The whole order on the PP-OCR models, as a user would go: pictures, `rkparity init`, `rkparity check`. No board.

For each model: takes it out of the package rapidocr-onnxruntime (Apache-2.0), makes calibration and test pictures,
writes a project file with `rkparity init`, runs `rkparity check` once on a virtual board, and tells the verdicts, the
time and the disk it took. Nothing is set by hand between these two commands.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pictures import Photographs, Pixels, fed, line_pictures, mixed, page_pictures
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
RKPARITY = Path(sys.executable).with_name("rkparity")
MODELS_PACKAGE = "rapidocr-onnxruntime==1.4.4"
PICTURES_PACKAGE = "scikit-image"
HELD_OUT = 4


@dataclass(frozen=True)
class OcrModel:
    """One published model: its file in the package, its digest, its input size."""

    name: str
    file: str
    sha256: str
    height: int
    width: int

    def pictures(self, photographs: Photographs) -> list[Pixels]:
        """Pictures as this model gets them."""
        if self.name == "detector":
            return page_pictures(photographs, self.height)
        return line_pictures(photographs, self.width, turned=self.name == "classifier")


MODELS = (
    OcrModel(
        "classifier",
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        48,
        192,
    ),
    OcrModel(
        "detector",
        "ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        480,
        480,
    ),
    OcrModel(
        "recogniser",
        "ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        48,
        320,
    ),
)


def prepare(model: OcrModel, folder: Path, models: Path, photographs: Photographs, *, compiler: str = "cc") -> None:
    """Fills `folder` with what a user has: the model, pictures, what the Python script feeds, the board program."""
    with zipfile.ZipFile(models) as wheel:
        data = wheel.read(f"rapidocr_onnxruntime/models/{model.file}")
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise SystemExit(f"check-ppocr: {model.file} is not the file this was written for")
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(data)
    tests, calibration = mixed(model.pictures(photographs), HELD_OUT)
    for number, pixels in enumerate(tests):
        np.save(folder / f"test{number}.npy", pixels)
    np.save(folder / "fed.npy", fed(tests[0]))
    names = [f"calibration{number:02d}.png" for number in range(len(calibration))]
    for name, pixels in zip(names, calibration):
        Image.fromarray(pixels[0]).save(folder / name)
    (folder / "dataset.txt").write_text("\n".join(names) + "\n")
    library = next((RKPARITY.parents[1] / "lib").glob("python3*/site-packages/rkparity/emulator/lib"))
    source = ROOT / "scripts" / "ppocr" / "app.c"
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}"]
    subprocess.run(
        [compiler, *options, str(source), "-o", str(folder / "app"), f"-L{library}", "-lrknnrt"],
        check=True,
    )


def init_command(model: OcrModel, budget: float) -> list[str]:
    """The command that writes the project file."""
    command = ["init", "model.onnx", "--inputs", "x", "--input-size", f"1,3,{model.height},{model.width}"]
    command += ["--mean", "127.5,127.5,127.5", "--std", "127.5,127.5,127.5", "--target", "rk3588"]
    command += ["--int8", "--dataset", "dataset.txt", "--input", "test0.npy"]
    for number in range(1, HELD_OUT):
        command += ["--more", f"test{number}.npy"]
    command += ["--original-input", "fed.npy", "--board", "virtual"]
    command += ["--application", "./app {model} {input}", "--upload", "app", "--budget", f"{budget:g}"]
    return command


def rkparity(folder: Path, arguments: list[str], allowed: tuple[int, ...]) -> int:
    """Shows and runs one command; ends everything when its exit code is not one of `allowed`."""
    print(f"$ rkparity {shlex.join(arguments)}", flush=True)
    done = subprocess.run([str(RKPARITY), *arguments], cwd=folder, check=False)
    if done.returncode not in allowed:
        raise SystemExit(f"check-ppocr: exit code {done.returncode}, expected one of {allowed}")
    return done.returncode


def one_run_nbytes(output: Path) -> int:
    """The .npy of one run (golden and simulator of one sample), which the disk used is measured by."""
    runs = sorted(output.glob("work/deployed-*")) or sorted(output.glob("work/fp16-*"))
    return sum(path.stat().st_size for path in runs[0].rglob("*.npy")) if runs else 0


def checked(model: OcrModel, folder: Path, budget: float) -> dict[str, Any]:
    """Writes the project, checks it once; what it came to."""
    rkparity(folder, init_command(model, budget), (0,))
    started = time.monotonic()
    code = rkparity(folder, ["check", "--json", "check.json", "--junit", "check.xml", "--markdown", "check.md"], (0, 1))
    seconds = time.monotonic() - started
    report = json.loads((folder / "check.json").read_text())
    stages = {stage["stage"]: (stage["verdict"], round(stage["seconds"], 1)) for stage in report["stages"]}
    disk = report["disk_nbytes"]
    if stages["connected"][0] == "not run":
        # The order stops at a failing stage. The board can be looked at all the same: it then is "not judged".
        for stage in ("connected", "runtime"):
            rkparity(folder, ["check", "--stage", stage, "--quiet", "--json", f"{stage}.json"], (1,))
            later = json.loads((folder / f"{stage}.json").read_text())
            found = next(item for item in later["stages"] if item["stage"] == stage)
            stages[f"--stage {stage}"] = (f"{found['verdict']}: {found['facts'][0]}", round(found["seconds"], 1))
            disk = later["disk_nbytes"]
    one = one_run_nbytes(folder / ".rkparity")
    return {
        "model": model.name,
        "exit": code,
        "seconds": round(seconds, 1),
        "stages": stages,
        "disk": disk,
        "one_run": one,
        "ratio": disk / one if one else math.inf,
    }


def download(package: str, pattern: str, folder: Path) -> Path:
    """The package's wheel in `folder`; downloaded when it is not there."""
    wheels = sorted(folder.glob(pattern))
    if not wheels:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*command, "--only-binary", ":all:", "--dest", str(folder), package], check=False)
        wheels = sorted(folder.glob(pattern))
    if not wheels:
        raise SystemExit(f"check-ppocr: {package} could not be downloaded; is a package index reachable?")
    return wheels[-1]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/check-ppocr", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="classifier, detector, recogniser (default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".ppocr", help="where all is kept (default: .ppocr)")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds for the search of settings (default: 300)")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    unknown = set(arguments.models) - {model.name for model in MODELS}
    if unknown:
        parser.error(f"unknown model: {', '.join(sorted(unknown))}")
    models = download(MODELS_PACKAGE, "rapidocr_onnxruntime-*.whl", folder)
    photographs = Photographs(download(PICTURES_PACKAGE, "scikit_image-*.whl", folder))
    rows = []
    for model in MODELS:
        if arguments.models and model.name not in arguments.models:
            continue
        print(f"\n== {model.name}", flush=True)
        shutil.rmtree(folder / model.name, ignore_errors=True)
        prepare(model, folder / model.name, models, photographs)
        rows.append(checked(model, folder / model.name, arguments.budget))
    for row in rows:
        print(
            f"\n{row['model']}: one check took {row['seconds']:g} s; {row['disk'] / 1e6:.1f} MB on disk, "
            f"{row['ratio']:.2f} times the .npy of one run ({row['one_run'] / 1e6:.1f} MB)"
        )
        for name, (verdict, taken) in row["stages"].items():
            print(f"  {name:18} {taken:6.1f} s  {verdict}")
    return 0 if all(row["ratio"] <= 3 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
