"""The vendor's own runtime on this machine: its library in a folder of its own, the stand-in NPU, the value server."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

from rkparity.emulator.description import graph_views
from rkparity.emulator.npu.binding import GraphCandidate
from rkparity.emulator.npu.chips import Chip, chip_named
from rkparity.emulator.npu.commands import read_commands
from rkparity.emulator.npu.guest import Guest
from rkparity.emulator.npu.journal import JOURNAL_NAME, Journal
from rkparity.emulator.npu.messages import conversations
from rkparity.emulator.npu.session import NpuBoard
from rkparity.emulator.runtime import LIBRARY_NAME, Models
from rkparity.emulator.server import LayerValueServer
from rkparity.errors import UsageError
from rkparity.model import Model, read_model

FAULTS_VARIABLE = "RKPARITY_EMULATOR_FAULTS"
FAULTS_FILE = "librknnrt.faults"
VALUES = "the simulator of rknn-toolkit2"


@runtime_checkable
class NpuModels(Models, Protocol):
    """Models whose files are known; `rkparity.emulator.catalogue.ModelCatalogue` is the real one."""

    def files(self) -> list[Path]:
        """Every `.rknn` file there is now."""


class VendorRuntime:
    """The library in `folder`/lib, the board's files, and the server; a context manager. `models` is closed with it.

    `chip` is the machine the library is told it runs on. RkparityError when the models are of other chips.
    """

    def __init__(self, models: NpuModels, folder: Path, guest: Guest, *, chip: str) -> None:
        self._models = models
        self._guest = guest
        self._chip = chip_named(chip)
        self._known: dict[Path, tuple[tuple[int, int], tuple[GraphCandidate, ...]]] = {}
        self.library_folder = folder / "lib"
        self.library = self.library_folder / LIBRARY_NAME
        self.files = folder / "board"
        self.journal = folder / JOURNAL_NAME
        self.library_folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(guest.library.path, self.library)
        self.library.chmod(0o755)
        _write_board_files(self.files, self._chip)
        board = NpuBoard(
            self._candidates, models.open, self._chip, Journal(self.journal, self.about()), faults=self._fault_orders
        )
        self._server = LayerValueServer(models.open, conversations(board, guest.library.driver_version))

    def about(self) -> dict[str, str]:
        """Whose code runs and whose values come out: for manifests and reports."""
        library = self._guest.library
        return {
            "runtime": library.about(),
            "runtime_sha256": hashlib.sha256(library.path.read_bytes()).hexdigest(),
            "npu": f"a stand-in for the {self._chip.name}'s",
            "values": VALUES,
        }

    def __enter__(self) -> VendorRuntime:
        try:
            for candidate in self._candidates():
                if candidate.model.platform != self._chip.name:
                    raise UsageError(
                        f"{candidate.model.path}: was built for {candidate.model.platform}, this virtual board is a "
                        f"{self._chip.name}",
                        hint="start one virtual board for each chip",
                    )
            self._models.prepare()
            self._server.__enter__()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and frees the models."""
        self._server.close()
        self._models.close()

    def environment(self) -> Mapping[str, str]:
        """What a program, and the shell that starts it, need."""
        return {
            "LD_LIBRARY_PATH": str(self.library_folder),
            "RKPARITY_LIBRKNNRT": str(self.library),
            "RKPARITY_NPU_SOCKET": str(self._server.socket_path),
            "RKPARITY_NPU_FILES": str(self.files),
            **self._guest.environment(),
        }

    def _candidates(self) -> Iterator[GraphCandidate]:
        """Every graph of every model there is now."""
        for path in self._models.files():
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if path not in self._known or self._known[path][0] != stamp:
                model = read_model(path)
                views: list[Model] = graph_views(model)
                self._known[path] = (
                    stamp,
                    tuple(GraphCandidate(view, commands) for view, commands in zip(views, read_commands(path))),
                )
            yield from self._known[path][1]

    def _fault_orders(self) -> str:
        """The orders that hold for a run that begins now; docs/emulator.md has them."""
        orders = [os.environ.get(FAULTS_VARIABLE, "")]
        file = self.library_folder / FAULTS_FILE
        if file.is_file():
            orders.append(file.read_text(encoding="utf-8", errors="replace"))
        return "\n".join(order for order in orders if order)


def _write_board_files(folder: Path, chip: Chip) -> None:
    """The device tree that the library knows the chip by."""
    tree = folder / "proc" / "device-tree"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "compatible").write_bytes(b"".join(name.encode("ascii") + b"\0" for name in chip.compatible))
    (tree / "model").write_bytes(f"rkparity virtual board ({chip.name})".encode("ascii") + b"\0")
