"""rkparity's folder on the board: kits, models by hash, one folder for each run; all removed by one command."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable
from pathlib import Path

from rkparity.board.files.listing import list_folder
from rkparity.board.files.push import Outgoing, push_files, verify_pushed
from rkparity.board.install.kit import Kit
from rkparity.board.link.process import Completed, last_line
from rkparity.board.link.transport import Transport
from rkparity.errors import BoardError, UsageError

MARKER = ".rkparity-workspace"
# The agent's `clean` knows folders that hold this file as rkparity's own; see docs/agent.md.
RUN_MARKER = ".rkparity-run"


class Workspace:
    """The folder `root` on the board, an absolute path; it is made when opened."""

    def __init__(self, transport: Transport, root: str, tools: frozenset[str]) -> None:
        self.transport = transport
        self.root = root
        self.tools = tools

    @classmethod
    def open(cls, transport: Transport, root: str, tools: frozenset[str]) -> Workspace:
        """Makes the folder and marks it as ours; BoardError when the board refuses, UsageError for a relative path."""
        _check_root(root)
        q = shlex.quote(root)
        answer = transport.run_script(
            f"mkdir -p {q} {q}/kits {q}/models {q}/runs && : > {q}/{MARKER} && cd {q} && pwd -P\n"
        )
        if answer.exit_code != 0:
            raise BoardError(
                f"{transport.name}: {root} cannot be made: {_said(answer)}",
                hint="name another folder of the board: --work-dir /userdata/rkparity",
            )
        return cls(transport, answer.text.strip() or root, tools)

    def deploy(self, kit: Kit, on_bytes: Callable[[int], None] = lambda nbytes: None) -> str:
        """The kit's folder on the board, copied and verified first if it is not there yet."""
        final = f"{self.root}/kits/{kit.folder_name}"
        if list_folder(self.transport, final) is not None:
            return final
        temporary = self._make_temporary(f"{self.root}/kits")
        try:
            outgoing = [Outgoing(name, kit.path / name, kit.is_executable(name)) for name in (*kit.files, "kit.json")]
            push_files(self.transport, temporary, outgoing, tools=self.tools, on_bytes=on_bytes)
            verify_pushed(self.transport, temporary, kit.files, tools=self.tools)
            self._move(temporary, final)
        except BaseException:
            self.remove(temporary)
            raise
        return final

    def put_model(self, path: Path, sha256: str, on_bytes: Callable[[int], None] = lambda nbytes: None) -> str:
        """The model's path on the board, copied and verified first if that board has not got it yet."""
        folder = f"{self.root}/models"
        final = f"{folder}/{sha256}.rknn"
        listing = list_folder(self.transport, folder)
        sizes = {file.name: file.nbytes for file in listing.files} if listing is not None else {}
        if sizes.get(f"{sha256}.rknn") == path.stat().st_size:
            return final
        temporary = self._make_temporary(folder)
        try:
            push_files(self.transport, temporary, [Outgoing("model.rknn", path)], tools=self.tools, on_bytes=on_bytes)
            verify_pushed(self.transport, temporary, {"model.rknn": sha256}, tools=self.tools)
            self._must(f"mv -f {shlex.quote(temporary)}/model.rknn {shlex.quote(final)}", "the model cannot be stored")
        finally:
            self.remove(temporary)
        return final

    def make_run_folder(self) -> str:
        """A fresh folder for one run."""
        folder = f"{self.root}/runs/{secrets.token_hex(8)}"
        self._must(
            f"mkdir {shlex.quote(folder)} && : > {shlex.quote(folder)}/{RUN_MARKER}", "the run folder cannot be made"
        )
        return folder

    def remove(self, folder: str) -> None:
        """Removes a folder inside the workspace; a lost connection or a refusal here hides nothing else."""
        if not folder.startswith(f"{self.root}/"):
            raise AssertionError(f"{folder} is not inside {self.root}")
        try:
            self.transport.run_script(f"rm -rf {shlex.quote(folder)}\n")
        except BoardError:
            # What went wrong before is what the user has to hear; the next `board clean` removes the folder.
            return

    def _make_temporary(self, parent: str) -> str:
        folder = f"{parent}/.{secrets.token_hex(8)}.part"
        self._must(f"mkdir {shlex.quote(folder)}", f"{parent} cannot be written")
        return folder

    def _move(self, temporary: str, final: str) -> None:
        # Two hosts may deploy the same kit at once: whoever is second throws its copy away.
        t, f = shlex.quote(temporary), shlex.quote(final)
        self._must(f"if [ -d {f} ]; then rm -rf {t}; else mv {t} {f}; fi", f"{final} cannot be made")

    def _must(self, script: str, what: str) -> None:
        answer = self.transport.run_script(script + "\n")
        if answer.exit_code != 0:
            raise BoardError(
                f"{self.transport.name}: {what}: {_said(answer)}",
                hint="is the board's disk full or read-only? `rkparity board clean BOARD`, or --work-dir",
            )


def clean(transport: Transport, root: str) -> bool:
    """Removes the whole workspace; False if there is none. Refuses a folder that rkparity did not make (UsageError)."""
    _check_root(root)
    listing = list_folder(transport, root)
    if listing is None:
        return False
    if MARKER not in {file.name for file in listing.files}:
        raise UsageError(f"{transport.name}: {root} was not made by rkparity (no {MARKER} in it), it is left alone")
    answer = transport.run_script(f"rm -rf {shlex.quote(root)}\n", timeout_s=300)
    if answer.exit_code != 0:
        raise BoardError(f"{transport.name}: {root} cannot be removed: {_said(answer)}")
    return True


def _check_root(root: str) -> None:
    if not root.startswith("/") or "\n" in root or not root.strip("/"):
        raise UsageError(f"--work-dir {root!r}: must be an absolute path of a folder on the board")


def _said(answer: Completed) -> str:
    return last_line(answer.stderr) or f"exit code {answer.exit_code}"
