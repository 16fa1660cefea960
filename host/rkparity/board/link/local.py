"""This machine as the board: for rkparity running on the board itself, and for tests without a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rkparity.board.link.pipes import PipeProcess
from rkparity.board.link.process import RemoteProcess, shell_command
from rkparity.board.link.transport import Transport
from rkparity.errors import UsageError


class LocalTransport(Transport):
    """Runs commands with this machine's `sh`; `home` stands for the board's home directory."""

    def __init__(self, home: Path | None = None) -> None:
        if home is not None and not home.is_dir():
            raise UsageError(f"{home}: no such folder", hint="give `local:` or `local:FOLDER` with an existing folder")
        self.name = "local" if home is None else f"local:{home}"
        self._home = home

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> RemoteProcess:
        """Starts a command through `sh`, as the SSH server would."""
        environment = dict(os.environ)
        if self._home is not None:
            environment["HOME"] = str(self._home.resolve())
        folder = str(self._home) if self._home is not None else str(Path.home())
        return PipeProcess(self.name, ["sh", "-c", shell_command(argv, env=env, cwd=cwd)], env=environment, cwd=folder)

    def close(self) -> None:
        """Ends the shell kept for scripts."""
        self.close_shell()
