"""The list of commands. Modules are imported only when their command runs, so `--help` stays fast."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Protocol


class CommandModule(Protocol):
    """What each module named in COMMANDS offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the command's arguments to its parser; imports nothing heavy."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Does the work and returns the exit code; expected failures are raised as RkparityError."""


@dataclass(frozen=True)
class Command:
    """A command's name, the module that has it, and its line in `rkparity --help`."""

    name: str
    module: str
    summary: str


COMMANDS: tuple[Command, ...] = (
    Command("setup-toolkit", "rkparity.cli.setup_toolkit", "make the environment rknn-toolkit2 runs in"),
    Command("build", "rkparity.cli.build", "convert a model to .rknn with rknn-toolkit2"),
    Command("simulate", "rkparity.cli.simulate", "run the simulator and keep every layer's tensor as a run"),
    Command("import-snapshot", "rkparity.cli.import_snapshot", "turn a toolkit snapshot folder into runs"),
    Command("inspect", "rkparity.cli.inspect", "show what a .rknn file says about itself"),
    Command("board", "rkparity.cli.board", "look at a board, deploy or remove the device agent"),
    Command("run", "rkparity.cli.run", "run a model on a board, with every layer dumped, and keep it as a run"),
    Command("pull", "rkparity.cli.pull", "copy dumps from a board or a folder into a run"),
    Command("compare-dumps", "rkparity.cli.compare_dumps", "compare dumps with the simulator, layer by layer"),
    Command("resimulate", "rkparity.cli.resimulate", "recompute every layer alone on the board's own inputs"),
    Command("diagnose", "rkparity.cli.diagnose", "name the cause of a divergence and what to change"),
    Command("run-app", "rkparity.cli.run_app", "run your own program on a board, with dumps and a trace of its calls"),
    Command("lint", "rkparity.cli.lint", "say what your program does wrong with librknnrt, from a trace of its calls"),
    Command("init", "rkparity.cli.init", "write rkparity.toml, the one file that `check` needs"),
    Command("check", "rkparity.cli.check", "walk the whole troubleshooting order and stop where it breaks"),
    Command("bundle", "rkparity.cli.bundle", "pack model, input, dumps, versions and report for the vendor"),
    Command("emulator", "rkparity.cli.emulator", "start a virtual board: an SSH server with an emulated librknnrt"),
)
