"""How far the emulator's general rules carry: chosen on half of the recorded cases, each is tried on the other half.

A rule is one of several that could be meant; `candidates` lists them, the emulated one first. Those that explain every
case of one half are tried on the other, then the halves change places: a rule that holds by chance fails there.
`python -m fidelity.rules` prints it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fidelity.corpus import Experiment, read_experiments, unpack
from fidelity.stand_ins import stand_in
from fidelity.transcript import Step
from rkparity.model import Model, read_model

Facts = Mapping[str, int]
_SEQUENCE = "seq_"


@dataclass(frozen=True)
class Case:
    """One recorded answer and what could decide it."""

    experiment: str
    facts: Facts
    answer: int


@dataclass(frozen=True)
class Rule:
    """`candidates` by name; the first is the emulator's. `cases` finds the answers in an experiment."""

    name: str
    cases: Callable[[Experiment, Model], Iterator[Case]]
    candidates: Mapping[str, Callable[[Facts], int]]


@dataclass(frozen=True)
class Trial:
    """What one half chose, and how often it was right on the other."""

    chosen_on: int
    chosen: tuple[str, ...]
    tried_on: int
    right: int


def _said(step: Step, text: str) -> int:
    return int(any(text in line.text for line in step.lines))


def _padded(model: Model, index: int) -> int:
    tensor = model.input_tensors[index]
    step = 16 if tensor.dtype == "int8" else 8
    return int(len(tensor.shape) == 4 and tensor.shape[3] % step != 0)


def _image(model: Model) -> int:
    tensor = model.input_tensors[0]
    return int(len(tensor.shape) == 4 and tensor.shape[1] in (1, 3, 4))


def _sets(experiment: Experiment, model: Model) -> Iterator[tuple[Step, dict[str, int]]]:
    """Every rknn_inputs_set of a sequence, with what is known before it."""
    sticky = 0
    for step in experiment.transcript.steps:
        match = re.match(r"set type=(\d) fmt=-1 pt=(\d) n=(\d) d=(\d+)", step.call)
        if not match or not any("rknn_inputs_set rc=0" in line for line in step.answers):
            continue
        kind, through, _, extra = map(int, match.groups())
        int8 = int(model.input_tensors[0].dtype == "int8")
        pixels = int(kind == 3 and int8 and _image(model) and not through)
        wide = {0: 4, 1: 2, 8: 8}.get(kind, 1)
        facts = {"type": kind, "through": through, "image": _image(model), "int8": int8, "pixels": pixels}
        sticky |= pixels
        facts |= {"npu": sticky, "padded": _padded(model, 0), "long": int(extra > 0 or (sticky and wide > 1))}
        facts["extra"] = extra
        yield step, facts


def _normalizer(experiment: Experiment, model: Model) -> Iterator[Case]:
    for step, facts in _sets(experiment, model):
        if not facts["through"] and facts["image"]:
            yield Case(experiment.name, facts, _said(step, "normalize target: NPU"))


def _size(experiment: Experiment, model: Model) -> Iterator[Case]:
    for step, facts in _sets(experiment, model):
        if not facts["through"]:
            yield Case(experiment.name, facts, _said(step, "current input size("))


def _pass_through(experiment: Experiment, model: Model) -> Iterator[Case]:
    calls = [call for call in experiment.calls if call.startswith("in:i=0") and "pt=1" in call]
    same = {"i8": "int8", "f16": "float16", "u8": "uint8", "f32": "float32"}
    for step in experiment.transcript.steps:
        if step.kind == "set" and calls and any("rc=0" in line for line in step.answers) and _image(model):
            key = re.search(r"type=(\w+)", calls[0])
            if key and key[1] in same:
                native = int(same[key[1]] == model.input_tensors[0].dtype)
                facts = {"native": native, "number": int(key[1] in ("i8", "f16"))}
                yield Case(experiment.name, facts, _said(step, "enable argb mode"))
    for step, facts in _sets(experiment, model):
        if facts["through"] and facts["image"]:
            native = int((facts["type"] == 2) == bool(facts["int8"]))
            yield Case(experiment.name, {"native": native, "number": 1}, _said(step, "enable argb mode"))


def _stride(experiment: Experiment, model: Model) -> Iterator[Case]:
    """The size of the second memory of an output, made from RKNN_QUERY_OUTPUT_ATTR after a float one was bound."""
    made = [step for step in experiment.transcript.steps if step.call.startswith("create_mem ")]
    tensor = model.output_tensors[0]
    if not experiment.name.startswith(f"{_SEQUENCE}25") or len(tensor.shape) != 4:
        return
    nbytes = 2 if tensor.dtype == "float16" else 1
    n, c, h, w = tensor.shape
    facts = {"n": n, "c": c, "h": h, "w": w, "nbytes": nbytes, "least": n * c * h * w}
    yield Case(experiment.name, facts, int(made[-1].call.split()[1]))
    yield Case(experiment.name, {**facts, "fresh": 1, "least": n * c * h * w * 4}, int(made[-2].call.split()[1]))


def _rounded(facts: Facts, c2: int) -> int:
    up = {key: -(-facts[key] // c2) * c2 for key in ("c", "w")}
    return max(facts["least"], facts["n"] * up["c"] * facts["h"] * up["w"] * facts["nbytes"])


def _bound_stride(facts: Facts) -> int:
    return _rounded(facts, 16 // facts["nbytes"] if facts.get("fresh") else 4)


def _conversion(experiment: Experiment, model: Model) -> Iterator[Case]:
    """Whether a run converts again what was bound before rknn_inputs_set."""
    if not experiment.name.startswith(f"{_SEQUENCE}2") or experiment.name[4:6] not in ("23", "25", "27", "29"):
        return
    facts = {"cpu": int(not (_image(model) and model.input_tensors[0].dtype == "int8"))}
    facts["set"] = int(experiment.name[4:6] == "29")
    for step in experiment.transcript.steps:
        if step.call == "run":
            yield Case(experiment.name, facts, _said(step, "normalize target: CPU"))


RULES = (
    Rule(
        "who normalises",
        _normalizer,
        {
            "the NPU once pixels were given": lambda f: f["npu"],
            "the NPU for pixels": lambda f: f["pixels"],
            "the NPU for int8 models": lambda f: f["int8"],
        },
    ),
    Rule(
        "a longer buffer is refused",
        _size,
        {
            "where the NPU normalises and rows are not padded": lambda f: int(
                f["npu"] and not f["padded"] and f["long"]
            ),
            "always": lambda f: int(f["extra"] > 0),
            "where the NPU normalises": lambda f: int(f["npu"] and f["long"]),
            "for pixels": lambda f: int(f["type"] == 3 and f["extra"] > 0),
        },
    ),
    Rule(
        "pass_through prints the mode",
        _pass_through,
        {
            "for int8 and float16": lambda f: f["number"],
            "for the model's type": lambda f: f["native"],
            "always": lambda f: 1,
        },
    ),
    Rule(
        "size_with_stride of an output",
        _stride,
        {
            "groups of the bound memory's type": _bound_stride,
            "groups of the output's type": lambda f: _rounded(f, 16 // f["nbytes"]),
            "no padding once bound": lambda f: _rounded(f, 16 // f["nbytes"] if f.get("fresh") else 1),
        },
    ),
    Rule(
        "a bound memory is converted in the run",
        _conversion,
        {
            "whenever the CPU normalises": lambda f: f["cpu"],
            "until rknn_inputs_set": lambda f: int(f["cpu"] and not f["set"]),
            "always": lambda f: 1,
        },
    ),
)


def try_rule(rule: Rule, cases: list[Case]) -> list[Trial]:
    """Chooses among the candidates on each half of the experiments, and tries what was chosen on the other."""
    names = sorted({case.experiment for case in cases})
    trials = []
    for first in (0, 1):
        half = set(names[first::2])
        seen, unseen = ([c for c in cases if (c.experiment in half) is inside] for inside in (True, False))
        chosen = tuple(n for n, answer in rule.candidates.items() if all(answer(c.facts) == c.answer for c in seen))
        right = (
            sum(all(rule.candidates[name](c.facts) == c.answer for name in chosen[:1]) for c in unseen) if chosen else 0
        )
        trials.append(Trial(len(seen), chosen, len(unseen), right))
    return trials


def gather(scratch: Path) -> dict[str, list[Case]]:
    """The cases of every rule in the recordings of 1.6.0."""
    models = unpack("models.tar.xz", scratch / "models")
    experiments = read_experiments(unpack("sequences.tar.xz", unpack("experiments.tar.xz", scratch / "experiments")))
    found: dict[str, list[Case]] = {rule.name: [] for rule in RULES}
    for experiment in experiments:
        path = models / stand_in(experiment.model).file
        if experiment.version != "1.6.0" or not path.is_file():
            continue
        model = read_model(path)
        for rule in RULES:
            found[rule.name] += rule.cases(experiment, model)
    return found


def main() -> int:
    """Prints every rule's trials."""
    with tempfile.TemporaryDirectory(prefix="rkparity-rules-") as folder:
        cases = gather(Path(folder))
    wrong = 0
    for rule in RULES:
        emulated = next(iter(rule.candidates))
        print(f"{rule.name}: {emulated} ({len(cases[rule.name])} cases, {len(rule.candidates)} candidates)")
        for trial in try_rule(rule, cases[rule.name]):
            print(
                f"  {trial.chosen_on} cases leave {', '.join(map(repr, trial.chosen)) or 'none'}: "
                f"right in {trial.right} of {trial.tried_on} others"
            )
            wrong += trial.right != trial.tried_on
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
