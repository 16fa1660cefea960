"""Takes one model through rkparity's commands, each with a time limit, and says what became of every step."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from catalogue import ZooModel

RKPARITY = Path(sys.executable).with_name("rkparity")
PLAIN = Path(__file__).resolve().parent / "plain.py"
PRECISIONS = ("fp16", "int8")
WEIGHTS = {"caffe": "model.caffemodel", "darknet": "model.weights"}
_EXITS = (0, 1, 2, 3)
PASS, DIVERGES, REFUSED, FAILED, LIMIT = "pass", "fail", "toolkit refuses", "rkparity failed", "time limit"


@dataclass(frozen=True)
class Step:
    """One command: its outcome, its exit code, its time and the line that says most."""

    name: str
    outcome: str
    exit_code: int | None
    seconds: float
    line: str


class Walk:
    """The commands for one model in its folder."""

    def __init__(self, model: ZooModel, folder: Path, toolkit: Path, limit_s: float, *, target: str = "rk3588") -> None:
        self.model = model
        self.target = target
        self.folder = folder
        self.toolkit = toolkit
        self._deadline = time.monotonic() + limit_s
        self.steps: list[Step] = []

    def take(self, *, check: bool = True) -> list[Step]:
        """Every step that can be taken; a step whose predecessor failed is left out. `check` is the longest."""
        built = [precision for precision in PRECISIONS if self._built(precision)]
        simulated = [precision for precision in built if self._simulated(precision)]
        if simulated:
            self._on_board(simulated)
        if built and check:
            self._checked("int8" if "int8" in built else "fp16")
        return self.steps

    def options(self, precision: str) -> list[str]:
        """How the model is built."""
        model = self.model
        options = ["--framework", model.framework, f"--{precision}", "--target", self.target]
        if precision == "int8":
            options += ["--dataset", "dataset.txt"]
        if model.framework in WEIGHTS:
            options += ["--weights", WEIGHTS[model.framework]]
        if model.inputs:
            options += ["--inputs", ",".join(model.inputs)]
        if model.inputs or model.framework == "pytorch":
            options += ["--input-size", ",".join(str(size) for size in model.shape)]
        if model.outputs:
            options += ["--outputs", ",".join(model.outputs)]
        if model.scaling is not None:
            for flag, value in zip(("--mean", "--std"), model.scaling):
                options += [flag, ",".join([f"{value:g}"] * 3)]
        return options

    def samples(self) -> list[str]:
        """The options that name the sample's files."""
        count = 1 + len(self.model.more_shapes)
        return [part for index in range(count) for part in ("--input", f"input{index}.npy")]

    def _built(self, precision: str) -> bool:
        command = ["build", self.model.file, *self.options(precision), "-o", f"{precision}.rknn", "--force"]
        step = self._run(f"build {precision}", command)
        alone = self._plain_builds(precision) if step.outcome == REFUSED else False
        if alone is not False:
            what, said = (FAILED, "built without rkparity: ") if alone else ("exit 3", "the toolkit alone hangs: ")
            self.steps[-1] = replace(step, outcome=what, line=said + step.line)
        return step.outcome == PASS

    def _simulated(self, precision: str) -> bool:
        command = ["simulate", f"{precision}.rknn", *self.samples(), "-o", f"{precision}-sim", "--force"]
        return self._run(f"simulate {precision}", command).outcome == PASS

    def _on_board(self, precisions: Sequence[str]) -> None:
        models = [part for precision in precisions for part in ("--model", f"{precision}.rknn")]
        if self._run("board", ["emulator", "start", *models, "--board-file", "board.json"]).outcome != PASS:
            return
        try:
            for precision in precisions:
                rknn = ["--model", f"{precision}.rknn"]
                run = ["run", "--board", "@board.json", *rknn, *self.samples(), "-o", f"{precision}-board", "--force"]
                if self._run(f"run {precision}", run).outcome == PASS:
                    self._run(
                        f"compare {precision}",
                        ["compare-dumps", f"{precision}-board", f"{precision}-sim", *rknn, "--no-diagnosis"],
                    )
        finally:
            self._run("board stop", ["emulator", "stop", "--board-file", "board.json"], keep=False)

    def _checked(self, precision: str) -> None:
        init = ["init", self.model.file, *self.options(precision), *self.samples(), "--no-input", "--force"]
        if self._run("init", [*init, "--board", "virtual", "--budget", "20"]).outcome != PASS:
            return
        step = self._run("check", ["check", "--quiet", "--fresh", "--json", "check.json"])
        report = self.folder / "check.json"
        if step.outcome in (PASS, DIVERGES) and report.is_file():
            stages = json.loads(report.read_text())["stages"]
            told = ", ".join(f"{stage['stage']} {stage['verdict']}" for stage in stages if stage["stage"] != "runtime")
            bad = next((stage["facts"][0] for stage in stages if stage["verdict"] in ("fail", "incomplete")), "")
            self.steps[-1] = replace(step, line=f"{told}. {bad}".strip())

    def _run(self, name: str, command: Sequence[str], *, keep: bool = True) -> Step:
        started = time.monotonic()
        environment = {**os.environ, "RKPARITY_TOOLKIT_PYTHON": str(self.toolkit), "COLUMNS": "200"}
        left = max(self._deadline - started, 1.0) if keep else 60.0
        try:
            done = subprocess.run(
                [str(RKPARITY), *command],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=left,
            )
            text, code = done.stderr + done.stdout, done.returncode
        except subprocess.TimeoutExpired:
            text, code = "", None
        step = Step(name, outcome(text, code), code, round(time.monotonic() - started, 1), telling_line(text))
        (self.folder / f"{name.replace(' ', '-')}.log").write_text(text)
        if keep:
            self.steps.append(step)
        return step

    def _plain_builds(self, precision: str) -> bool | None:
        """Whether the toolkit alone builds it; None when it does not end."""
        model, load = self.model, {"model": self.model.file}
        if model.framework in WEIGHTS:
            load["blobs" if model.framework == "caffe" else "weight"] = WEIGHTS[model.framework]
        if model.inputs:
            load.update(inputs=list(model.inputs))
        if model.inputs or model.framework == "pytorch":
            load.update(input_size_list=[list(model.shape)])
        if model.outputs:
            load.update(outputs=list(model.outputs))
        names = ("mean_values", "std_values")
        config = {key: [[value] * 3] for key, value in zip(names, model.scaling)} if model.scaling else {}
        spec = {
            "target": self.target,
            "framework": model.framework,
            "load": load,
            "config": config,
            "int8": precision == "int8",
        }
        (self.folder / "plain.json").write_text(json.dumps({**spec, "dataset": "dataset.txt"}))
        command = [str(self.toolkit), str(PLAIN), "plain.json"]
        try:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False, timeout=120)
        except subprocess.TimeoutExpired:
            return None
        return done.returncode == 0


def outcome(text: str, code: int | None) -> str:
    """What a command's output and exit code come to; a traceback or an undocumented code is never a refusal."""
    if code is None:
        return LIMIT
    if "Traceback (most recent call last)" in text or code not in _EXITS:
        return FAILED
    if code in (0, 1):
        return PASS if code == 0 else DIVERGES
    return REFUSED if re.search(r"^rkparity: error: rknn-toolkit2", text, re.MULTILINE) else "exit " + str(code)


def telling_line(text: str) -> str:
    """The error line, else the verdict, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in (r"^rkparity: error: ", r"^(PASS|WARN|FAIL|INCOMPLETE)\b", r"^\w*(Error|Exception)\b"):
        found = [line for line in lines if re.match(pattern, line)]
        if found:
            return found[0].replace("rkparity: error: ", "")
    return lines[-1] if lines else ""


def as_json(steps: Sequence[Step]) -> list[dict[str, object]]:
    """For the cache."""
    return [asdict(step) for step in steps]
