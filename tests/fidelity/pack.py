"""Packs the recorded experiments and the models they ran into tests/data/fidelity: `python pack.py EVIDENCE MADE`.

EVIDENCE is the folder with `runtime/`, `sequences/`, `models/` and `toolkit/`, MADE what make_models.py wrote.
The archives are the same bytes for the same files: sorted, no times, no owners.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fidelity.recorded_sequences import SEQUENCES

DATA = Path(__file__).resolve().parent.parent / "data" / "fidelity"
MAX_NBYTES = 1 << 20
# Cases of the real toolkit whose .rknn files the experiments ran, and what is needed to build and run them again.
CASES = ("cnn_classifier", "multi_input", "non4d", "odd_names")
CASE_FILES = ("case.json", "dataset.txt", "model.onnx", "data/*", "fp16/model.rknn", "int8/model.rknn")
TARGETS = ("rk3588", "rv1106", "rk3566")


def members(root: Path, files: Iterable[Path]) -> list[tuple[str, Path]]:
    """Names inside the archive, relative to `root`."""
    return [(str(path.relative_to(root)), path) for path in files if path.is_file()]


def write(archive: Path, files: Iterable[tuple[str, Path | bytes]]) -> None:
    """Writes `archive`; refuses one that is too large for the repository."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(files, key=lambda item: item[0]):
            info = tarfile.TarInfo(name)
            data = source if isinstance(source, bytes) else source.read_bytes()
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    packed = lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    if len(packed) > MAX_NBYTES:
        raise SystemExit(f"{archive.name}: {len(packed)} bytes, at most {MAX_NBYTES} may be committed")
    archive.write_bytes(packed)
    print(f"{archive.name}: {len(packed)} bytes")


def model_files(evidence: Path, made: Path) -> list[tuple[str, Path]]:
    """The kept models by the names the experiments use, and the made ones."""
    models, files = evidence / "models", [("t1_net_25.rknn", evidence / "models" / "t1_net_25.rknn")]
    for folder in sorted(models.glob("b25_*")):
        files += members(models, [folder / "model.onnx", *sorted((folder / "calibration").iterdir())])
        files += [(path.name, path) for path in sorted(folder.glob("*.rknn")) if path.stem.endswith(TARGETS)]
    for case in CASES:
        root = evidence / "toolkit" / case
        files += [
            (f"c25_{case}/{name}", path)
            for name, path in members(root, (item for pattern in CASE_FILES for item in root.glob(pattern)))
        ]
    return files + members(made.parent, sorted(made.iterdir()))


def sequence_files(evidence: Path) -> list[tuple[str, bytes]]:
    """The recorded sequences as experiments; of a dump's contents the digest, which is small."""
    files = []
    for folder in sorted((evidence / "sequences").glob("[0-9][0-9]_*")):
        number, _, model = folder.name.partition("_")
        dumps = json.loads((folder / "dumps.json").read_text(encoding="utf-8"))
        for item in dumps:
            kept = folder / item["file"]
            item["header"] = item.get("header", "")[8 + 2 :] if "header" in item else ""
            if kept.is_file():
                item["sha256"] = hashlib.sha256(kept.read_bytes()).hexdigest()
        record = {
            "name": f"seq_{folder.name}",
            "library": "librknnrt 1.6.0 (armhf)",
            "model": f"{model}.rknn",
            "env": {"RKNN_LOG_LEVEL": "5"},
            "driver": "sequences",
            "calls": SEQUENCES[int(number)],
            "dumps": dumps,
        }
        files.append((f"seq_{folder.name}/experiment.json", json.dumps(record, indent=1).encode()))
        files.append((f"seq_{folder.name}/log.txt", (folder / "log.txt").read_bytes()))
    return files


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    evidence, made = (Path(argument).resolve() for argument in arguments)
    DATA.mkdir(parents=True, exist_ok=True)
    write(DATA / "experiments.tar.xz", members(evidence / "runtime", (evidence / "runtime").rglob("*")))
    write(DATA / "sequences.tar.xz", sequence_files(evidence))
    write(
        DATA / "models.tar.xz",
        [(name.replace(f"{made.name}/", "made/", 1), path) for name, path in model_files(evidence, made)],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
