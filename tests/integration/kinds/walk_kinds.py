"""Takes a kind through the commands: every one ends with a verdict or a message, a healthy run passes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.cli.main import main


@dataclass(frozen=True)
class Step:
    """One command: what it is called, its exit code, the line that says most."""

    name: str
    code: int
    line: str

    @property
    def refused_by_toolkit(self) -> bool:
        """Whether rknn-toolkit2 itself does not take the model."""
        return self.code == 3 and "rknn-toolkit2 " in self.line


def command(name: str, *arguments: str) -> Step:
    """Runs one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    said = [line for line in err.getvalue().splitlines() if "error:" in line]
    lines = said or [line for line in out.getvalue().splitlines() if line.strip()] or [""]
    return Step(name, code, lines[0])


class Walk:
    """One kind in its folder, built in one precision; the board runs the models of `boards`, a folder it serves."""

    def __init__(self, home: Path, precision: str, board: Sequence[str]) -> None:
        self.home, self.precision = home, precision
        about = json.loads((home / "kind.json").read_text())
        self.samples: list[list[str]] = about["samples"]
        self.options = [*about["options"], f"--{precision}"]
        if precision == "int8":
            self.options += ["--dataset", str(home / "dataset.txt")]
        self.board = list(board)
        self.rknn = home / f"{home.name}-{precision}.rknn"

    def _given(self, number: int) -> list[str]:
        # A cube can be both layouts; the files here are NCHW.
        layout = ["--layout", "nchw"] if self.home.name == "cube" else []
        return [*(word for name in self.samples[number] for word in ("--input", str(self.home / name))), *layout]

    def build(self) -> list[Step]:
        """The model, and what inspect says of it."""
        model = str(self.home / "model.onnx")
        step = command("build", "build", model, *self.options, "-o", str(self.rknn), "--force")
        if step.code:
            return [step]
        said = command("inspect", "inspect", str(self.rknn))
        if self.precision == "fp16" and ", float16" not in said.line:
            said = Step("inspect", 1, f"is not called float16: {said.line}")
        return [step, said]

    def runs(self, number: int) -> list[Step]:
        """Simulator and board on one sample, compared and diagnosed."""
        out = self.home / f"{self.precision}-{number}"
        shutil.rmtree(out, ignore_errors=True)
        sim, run = str(out / "sim"), str(out / "run")
        steps = [command("simulate", "simulate", str(self.rknn), *self._given(number), "-o", sim)]
        if steps[0].code:
            return steps
        model = ["--model", str(self.rknn)]
        steps.append(command("run", "run", *self.board, *model, *self._given(number), "-o", run))
        if steps[1].code:
            return steps
        steps.append(command("compare-dumps", "compare-dumps", run, sim, *model))
        steps.append(command("compare-dumps, no model", "compare-dumps", run, sim))
        steps.append(command("diagnose", "diagnose", run, sim, *model))
        return steps

    def check(self) -> list[Step]:
        """The whole check on the virtual board."""
        project = self.home / f"check-{self.precision}" / "rkparity.toml"
        shutil.rmtree(project.parent, ignore_errors=True)
        project.parent.mkdir()
        model = str(self.home / "model.onnx")
        step = command("init", "init", model, *self._given(0), *self.options, "--no-input", "-o", str(project))
        if step.code:
            return [step]
        out = project.parent / "check.json"
        checked = command("check", "check", "--project", str(project), "--virtual", "--quiet", "--json", str(out))
        if not out.is_file():
            return [step, checked]
        stages = json.loads(out.read_text())["stages"]
        text = "; ".join(
            f"{stage['stage']} {stage['verdict']}"
            + (f" ({stage['facts'][0]})" if stage["verdict"] not in _FINE else "")
            for stage in stages
        )
        unjudged = [fact for stage in stages for fact in stage["facts"] if "end to end only" in fact]
        if unjudged and checked.code == 0:
            # Every layer can be recomputed on the virtual board's inputs: the toolkit and the build record are there.
            return [step, Step("check", 1, unjudged[0])]
        return [step, Step("check", checked.code, text)]


_FINE = ("pass", "warn", "not run")
