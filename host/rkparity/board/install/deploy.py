"""Copying the device agent to a board and checking that it starts there."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rkparity.board.files.progress import Reporter
from rkparity.board.install.find_kit import find_kit
from rkparity.board.install.kit import Kit
from rkparity.board.install.preflight import BoardInfo, check_board, inspect_board
from rkparity.board.install.workspace import Workspace
from rkparity.board.link.process import last_line
from rkparity.board.link.transport import Transport
from rkparity.board.runs.events import listen
from rkparity.errors import AgentError, BoardError

MIN_PYTHON = (3, 8)
_KIT_NBYTES = 16 << 20


@dataclass(frozen=True)
class DeployedKit:
    """A kit on a board: its folder there, and what is used of it, in words."""

    folder: str
    agent: str


def deploy(transport: Transport, *, work_dir: str | None = None) -> DeployedKit:
    """Copies the kit for the board's architecture if it is not there, and starts the agent's selfcheck.

    Raises BoardError when the board is unfit or no kit fits, AgentError when the agent does not start.
    """
    info = inspect_board(transport, work_dir=work_dir)
    check_board(info, needed_nbytes=_KIT_NBYTES)
    with tempfile.TemporaryDirectory(prefix="rkparity-kit-") as scratch:
        kit = find_kit(info.arch, scratch=Path(scratch))
        check_kit(info, kit)
        folder = Workspace.open(transport, info.work_dir, frozenset(info.tools)).deploy(kit)
    if not uses_agent(info, kit):
        return DeployedKit(folder, f"rkrun is used: {_python_text(info)}")
    answer = transport.run([*interpreter(transport, kit, info), f"{folder}/agent.py", "selfcheck"])
    result = listen(answer.stdout.split(b"\n"), Reporter())
    if result is None:
        raise AgentError(
            f"{transport.name}: the device agent does not start: {last_line(answer.stderr) or answer.exit_code}",
            hint="does the kit have a backend for the board's Python version?",
        )
    return DeployedKit(folder, f"it works with Python {result.get('python')}")


def uses_agent(info: BoardInfo, kit: Kit) -> bool:
    """Whether the Python agent runs on this board; rkrun does otherwise."""
    return kit.has_agent and info.python_version >= MIN_PYTHON


def check_kit(info: BoardInfo, kit: Kit) -> None:
    """BoardError when neither the agent nor rkrun of the kit can run on the board."""
    if uses_agent(info, kit) or kit.has_runner:
        return
    arch = "armhf" if kit.arch == "armv7l" else kit.arch
    raise BoardError(
        f"{info.board}: {_python_text(info)}; the device agent needs 3.8 or later, and this kit has no rkrun",
        hint=f"build a kit with rkrun: scripts/build-kit --arch {arch}",
    )


def interpreter(transport: Transport, kit: Kit, info: BoardInfo) -> list[str]:
    """The Python a kit of this very machine was made with, where the board has it; the board's own otherwise."""
    if kit.python and transport.run(["test", "-x", kit.python]).exit_code == 0:
        return [kit.python, "-s"]
    return [info.python_path]


def _python_text(info: BoardInfo) -> str:
    return f"the board has Python {info.python}" if info.python else "the board has no Python"
