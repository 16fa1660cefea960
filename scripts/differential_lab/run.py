"""Calls on the vendor's librknnrt (stand-in NPU) against the same calls on the emulated one as that version."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import sequences

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.npu.guest import find_guest
from rkparity.emulator.npu.library import read_library
from rkparity.emulator.npu.runtime import VendorRuntime
from rkparity.emulator.runtime import EmulatedRuntime
from rkparity.toolkit.bootstrap import find_toolkit_python

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("b25_c3w30_int8", "b25_c3w30_fp16", "b25_split_int8", "c25_multi_input_int8", "b25_d1_int8", "b25_ids_fp16")
_TIME = re.compile(r"\[\d\d:\d\d:\d\d\.\d+\] ?")
_NUMBERS = re.compile(r"0x[0-9a-f]+|fd: \d+")
# What says whose runtime it is, by design.
_OWN = re.compile(r"rkparity|RKNN (Runtime|Driver|Model) Information|[Dd]river version|stand-in|not match with rknn")


@dataclass(frozen=True)
class Played:
    """One side: each call's answer, by place; log lines without times and addresses; how it ended."""

    answers: dict[str, str]
    log: tuple[str, ...]
    code: int


def play(player: list[str], path: Path, calls: tuple[str, ...], environment: dict[str, str]) -> Played:
    """Runs the player and takes what it reports and prints apart."""
    report = path.with_suffix(".report")
    command = [*player, str(report), str(path), *calls]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False
    )
    lines = report.read_text(encoding="utf-8", errors="replace").splitlines()
    answers = {place: answer for place, _, answer in (line.partition(": ") for line in lines)}
    printed = done.stdout.decode("utf-8", "replace").splitlines()
    log = [_NUMBERS.sub("#", _TIME.sub("", line)) for line in printed if line.strip() and not _OWN.search(line)]
    return Played(answers, tuple(log), done.returncode)


def differences(mine: Played, theirs: Played) -> list[str]:
    """What differs, by respect: the end, the first answer that differs, log lines of one side only."""
    found = []
    if (mine.code == 0) != (theirs.code == 0):
        found.append(f"end: vendor {theirs.code}, emulated {mine.code}")
    for place, answer in theirs.answers.items():
        other = mine.answers.get(place)
        if other != answer and other is not None:
            found.append(f"answer {place.split(' ', 1)[-1]}: vendor {answer!r}, emulated {other!r}")
            break
    for name, one, two in (("vendor", theirs.log, mine.log), ("emulated", mine.log, theirs.log)):
        found += [f"log, {name} only: {line}" for line in sorted(Counter(one) - Counter(two))]
    return found


def build(folder: Path) -> tuple[Path, Path, Path]:
    """The player for both machines, and the models with their records."""
    source = str(ROOT / "scripts" / "differential_lab" / "player.c")
    common = ["-O1", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}", source]
    stub = folder / "stub" / "librknnrt.so"
    stub.parent.mkdir()
    emulator = sorted(str(path) for path in (ROOT / "csrc" / "emulator").glob("*.c"))
    options = ["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wl,-soname,librknnrt.so", f"-I{ROOT / 'csrc'}"]
    players = []
    for compiler in ("aarch64-linux-gnu-gcc", "cc"):
        subprocess.run([compiler, *options, *emulator, "-o", str(stub), "-lm", "-ldl", "-lpthread"], check=True)
        player = folder / f"player-{compiler}"
        subprocess.run([compiler, *common, "-o", str(player), f"-L{stub.parent}", "-lrknnrt"], check=True)
        players.append(player)
    with zipfile.ZipFile(ROOT / "tests" / "data" / "emulator" / "models.zip") as archive:
        archive.extractall(folder / "models")
    return players[0], players[1], folder / "models"


def records(models: Path) -> list[Path]:
    """The chosen models, each with a build record."""
    chosen = []
    for path in sorted(models.glob("*/*.rknn")):
        if not path.name.startswith(MODELS):
            continue
        config = json.loads((path.parent / "case.json").read_text())["config"]
        quantized = "_int8" in path.name
        spec = {
            "framework": "onnx",
            "model": str(path.parent / "model.onnx"),
            "do_quantization": quantized,
            "dataset": str(path.parent / "dataset.txt") if quantized else None,
            "target_platform": "rk3588",
            **config,
        }
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = {"schema": "rkparity.build/1", "rknn_sha256": digest, "toolkit_version": "2.5.0", "spec": spec}
        path.with_name(path.name + ".build.json").write_text(json.dumps(record))
        chosen.append(path)
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/differential", description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="the vendor's librknnrt.so, 1.5.2 for aarch64")
    parser.add_argument("--count", type=int, default=40, help="random sequences per model (default: 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hand-made", type=int, default=10_000, help="at most so many hand-made ones per model")
    parser.add_argument("--level", default="1", help="RKNN_LOG_LEVEL (default: 1)")
    arguments = parser.parse_args()
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    agreed = total = 0
    with tempfile.TemporaryDirectory(prefix="rkp-diff-") as name:
        folder = Path(name)
        arm, here, models = build(folder)
        chosen = records(models)
        catalogue = ModelCatalogue(find_toolkit_python(None), chosen)
        guest = find_guest(read_library(arguments.library))
        base = {"PATH": os.defpath, "RKNN_LOG_LEVEL": arguments.level, "RKPARITY_EMULATOR_CRASH": "1"}
        with VendorRuntime(catalogue, folder / "v", guest, chip="rk3588") as vendor, EmulatedRuntime(
            catalogue, folder / "e", version=guest.library.version_text, chip="rk3588"
        ) as emulated:
            for path in chosen:
                plays = itertools.chain(
                    itertools.islice(sequences.hand_made(), arguments.hand_made),
                    itertools.islice(sequences.drawn(arguments.seed), arguments.count),
                )
                for calls in plays:
                    start = ["/bin/sh", "-c", 'exec "$@"', "sh"]
                    theirs = play([*start, str(arm)], path, calls, {**base, **vendor.environment()})
                    mine = play([str(here)], path, calls, {**base, **emulated.environment()})
                    found = differences(mine, theirs)
                    total += 1
                    agreed += not found
                    for item in found:
                        key = re.sub(r"[0-9a-f]{8}\b", "#", item)
                        kinds[key] += 1
                        examples.setdefault(key, f"{path.name}: {' '.join(calls)}")
                print(f"{path.name}: {agreed} of {total} agree so far", flush=True)
    for key, times in kinds.most_common():
        print(f"{times:5} x {key}\n        {examples[key]}")
    print(f"{agreed} of {total} sequences agree in everything")
    return 0


if __name__ == "__main__":
    sys.exit(main())
