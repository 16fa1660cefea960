"""The fault laboratory: networks on boards that round as an NPU does, healthy and with faults, and their verdicts.

Noise and faults enter the toolkit's simulator operator by operator and propagate. Prints for healthy runs how many were
called a divergence, for every fault how often it was caught and which layer was named first, by the size of the fault.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faults import FAULTS, fits
from networks import LocalRun, Network, make

from rkparity.compare.comparison import Comparison
from rkparity.compare.pipeline import compare_runs
from rkparity.compare.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ("ppocr-classifier", "mobilenet", "resnet", "yolov8")
NOISES = {
    True: tuple({"one": one, "two": two, "ulps": 1} for one, two in ((0.01, 0.0), (0.05, 0.0), (0.2, 0.005))),
    False: ({"ulps": 1}, {"ulps": 2}, {"ulps": 3}),
}
SEVERAL = ("two faults", "older model", "stale")
# Below this a fault is of the size of the noise: it may go unseen, as long as the verdict says what it cannot see.
SMALL_STEPS, SMALL_ENERGY = 2.5, 0.01


@dataclass(frozen=True)
class Outcome:
    """One run: what was wrong with it, how large that was, and what the comparison said."""

    network: str
    picture: str
    noise: str
    fault: str
    layers: tuple[str, ...]
    steps: float
    energy: float
    local: bool
    verdict: str
    named: str

    @property
    def is_small(self) -> bool:
        return self.steps < SMALL_STEPS and self.energy < SMALL_ENERGY

    @property
    def caught(self) -> bool:
        return self.verdict == Verdict.FAIL.value


def first_named(comparison: Comparison) -> str:
    """The tensor the comparison calls the first divergence."""
    first = comparison.first_divergence
    # The simulator calls the codes of an output X by the name X_int8.
    return "" if first is None else first.tensor[: -len("_int8")] if first.tensor.endswith("_int8") else first.tensor


def judged(dumps: Path, network: Network, picture: str, local: LocalRun | None) -> Comparison:
    more: dict[str, Any] = {"local": local} if local is not None else {}
    return compare_runs(dumps, network.simulator(picture), model=network.model, golden=network.golden(picture), **more)


def plan(network: Network, healthy: int, faulty: int, seed: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(picture, fault, layers with their faults) for one network and noise."""
    random = np.random.default_rng((seed, *network.name.encode()))
    for number in range(healthy):
        yield network.pictures[number % len(network.pictures)], "", {}
    layers = network.layers()
    kinds = [*FAULTS, *SEVERAL]
    for number in range(faulty):
        fault = kinds[number % len(kinds)]
        picture = network.pictures[int(random.integers(len(network.pictures)))]
        if fault == "older model":
            yield picture, fault, dict.fromkeys(layers, "older")
            continue
        usable = [name for name in layers if fault not in FAULTS or _can(network, name, fault)]
        chosen = [usable[int(random.integers(len(usable)))] for _ in range(2)] if usable else []
        if not chosen:
            continue
        if fault == "two faults":
            yield picture, fault, {chosen[0]: "x1.15", chosen[1]: "+2 LSB"}
        else:
            yield picture, fault, {chosen[0]: fault}


def _can(network: Network, name: str, fault: str) -> bool:
    shape = tuple(network.tensors[name]["files"][0][1])
    return fits(fault, shape, bool(network.tensors[name]["scale"]))


def measure(network: Network, healthy: int, faulty: int, ways: tuple[bool, ...], seed: int) -> list[Outcome]:
    """Runs one network's plan at every noise."""
    found = []
    orders = {name: place for place, name in enumerate(network.tensors)}
    for level, noise in enumerate(NOISES[network.quantized]):
        for number, (picture, fault, faults) in enumerate(plan(network, healthy, faulty, seed + level)):
            stale = next(item for item in network.pictures if item != picture) if fault == "stale" else None
            dumps, local, sizes = network.run(picture, dict(noise), faults, 1000 * level + number + seed, stale)
            layers = tuple(sorted(sizes, key=lambda name: orders[name]))
            steps = max((size[0] for size in sizes.values()), default=0.0)
            energy = max((size[1] for size in sizes.values()), default=0.0)
            if faults and steps == 0:
                # The layer held nothing the fault could change.
                continue
            for with_local in ways:
                comparison = judged(dumps, network, picture, local if with_local else None)
                found.append(
                    Outcome(
                        f"{network.name} {'int8' if network.quantized else 'fp16'}",
                        picture,
                        json.dumps(noise),
                        fault,
                        tuple(name[:-5] if name.endswith("_int8") else name for name in layers),
                        steps,
                        energy,
                        with_local,
                        comparison.verdict.value,
                        first_named(comparison),
                    )
                )
    return found


def table(outcomes: list[Outcome]) -> str:
    """The confusion table, with and without the local run."""
    lines = []
    for way in (True, False):
        rows = [item for item in outcomes if item.local is way]
        if not rows:
            continue
        healthy = [item for item in rows if not item.fault]
        alarms = [item for item in healthy if item.caught]
        lines.append(f"with{'' if way else 'out'} the local run: healthy {len(healthy)}, false alarms {len(alarms)}")
        lines.append(f"  {'fault':16} {'size':6} {'runs':>5} {'caught':>7} {'right layer':>12} {'wrong layer':>12}")
        total: Counter[tuple[str, bool]] = Counter()
        for fault in [*FAULTS, *SEVERAL, "all"]:
            for small in (False, True):
                some = [
                    item for item in rows if item.fault and (fault in (item.fault, "all")) and item.is_small is small
                ]
                if not some:
                    continue
                caught = [item for item in some if item.caught]
                right = [item for item in caught if item.layers and item.named == item.layers[0]]
                size = "small" if small else "plain"
                lines.append(
                    f"  {fault:16} {size:6} {len(some):5} {len(caught):7} {len(right):12} {len(caught) - len(right):12}"
                )
                total[size, small] += 1
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/verdicts", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NAME", help=f"of scripts/zoo (default: {' '.join(DEFAULT)})")
    parser.add_argument("--healthy", type=int, default=4, help="healthy runs per network, precision and noise")
    parser.add_argument("--faulty", type=int, default=16, help="faulty runs per network, precision and noise")
    parser.add_argument("--precision", choices=["int8", "fp16", "both"], default="both")
    parser.add_argument("--local", choices=["on", "off", "both"], default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=ROOT / ".verdicts", help="where all is kept (.verdicts)")
    parser.add_argument("--json", type=Path, help="write every run's outcome to this file")
    default = ROOT / ".toolkit" / "2.5.0" / "bin" / "python"
    parser.add_argument("--toolkit-python", type=Path, default=default, metavar="FILE")
    arguments = parser.parse_args()
    precisions = {"int8": (True,), "fp16": (False,), "both": (True, False)}[arguments.precision]
    ways = {"on": (True,), "off": (False,), "both": (True, False)}[arguments.local]
    outcomes: list[Outcome] = []
    for name in arguments.networks or DEFAULT:
        for quantized in precisions:
            started = time.monotonic()
            folder = arguments.folder.resolve()
            network = make(name, quantized, folder, arguments.toolkit_python, folder / "wheels")
            try:
                outcomes += measure(network, arguments.healthy, arguments.faulty, ways, arguments.seed)
            finally:
                network.close()
            print(f"{name} {'int8' if quantized else 'fp16'}: {time.monotonic() - started:.1f} s", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([item.__dict__ for item in outcomes], indent=1))
    print(table(outcomes))
    for item in outcomes:
        wrong = item.caught and (not item.layers or item.named != item.layers[0])
        if wrong or (item.fault and not item.caught and not item.is_small):
            print(json.dumps(item.__dict__))
    return 0


if __name__ == "__main__":
    sys.exit(main())
