"""accuracy_analysis(target=...) without a board on USB: the toolkit's own analyser fed with dumps that lie in a folder.

With a target the analyser builds the model on the device through the class RKNNRuntime, runs it, asks where the dumps
are, and fetches them with `adb pull`. Inside `board_of` all three are stand-ins; everything it computes and prints from
the dumps is its own. The names replaced are private; 2.3.2 and 2.5.0 have them.
"""

from __future__ import annotations

import importlib
import shlex
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator

import numpy as np
import rknn.api.simulator as simulator_module

from rkparity_toolkit_worker.capture import replaced, snapshot_tap_works
from rkparity_toolkit_worker.failures import JobFailed, call_toolkit

if TYPE_CHECKING:
    from rkparity_toolkit_worker.jobs import Jobs

_DUMP_PATH = "/userdata/dumps"


class BoardJobs:
    """The jobs about boards."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def table(self) -> dict[str, Callable[..., Any]]:
        """Job name to function."""
        return {"analyse_board": self.analyse_board}

    def analyse_board(
        self, model_id: int, inputs: list[str], dumps: str, outputs: list[str], folder: str, target: str, tensors: bool
    ) -> dict[str, Any]:
        """The four-column error_analysis.txt in `folder` from the dump files in `dumps`.

        `outputs` are the board's outputs (files). `tensors`: the toolkit also writes its snapshot of every tensor.
        """
        rknn = self._jobs.model(model_id)
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        values = [np.load(path, allow_pickle=False) for path in outputs]
        with ExitStack() as stack:
            stack.enter_context(board_of(rknn, Path(dumps), values, out.parent / f"{out.name}-adb"))
            if not tensors and snapshot_tap_works(simulator_module):
                stack.enter_context(replaced(simulator_module, "_snapshot_tensor", _write_nothing))
            call_toolkit("accuracy_analysis", rknn.accuracy_analysis, inputs=inputs, output_dir=str(out), target=target)
        return {"table": str(out / "error_analysis.txt")}


@contextmanager
def board_of(rknn: Any, dumps: Path, outputs: list[Any], adb: Path) -> Iterator[None]:
    """Inside the block the toolkit finds a board whose last run left `dumps` and gave `outputs`."""
    # Private modules: a version without them can do everything but this.
    try:
        base_module: Any = importlib.import_module("rknn.api.rknn_base")
        platform_module: Any = importlib.import_module("rknn.api.rknn_platform")
    except ImportError:
        base_module = platform_module = None
    known = hasattr(base_module, "RKNNRuntime") and hasattr(platform_module, "get_adb_path")
    if not known or not hasattr(rknn.rknn_base, "_get_dump_path_on_devices"):
        raise JobFailed("argument", "accuracy_analysis", "this version's way to a board is not one rkparity knows")
    adb.write_text(_ADB.format(source=shlex.quote(str(dumps))), encoding="utf-8")
    adb.chmod(0o700)

    def adb_path(*rest: Any, **more: Any) -> str:
        return str(adb)

    with ExitStack() as stack:
        stack.enter_context(replaced(base_module, "RKNNRuntime", DumpedRuntime))
        stack.enter_context(replaced(platform_module, "get_adb_path", adb_path))
        if hasattr(base_module, "get_adb_path"):
            stack.enter_context(replaced(base_module, "get_adb_path", adb_path))
        rknn.rknn_base._get_dump_path_on_devices = lambda *rest, **more: _DUMP_PATH
        rknn.rknn_base.inference = lambda *rest, **more: outputs
        try:
            yield
        finally:
            del rknn.rknn_base._get_dump_path_on_devices
            del rknn.rknn_base.inference
            adb.unlink()


class DumpedRuntime:
    """Stands for the client of a board's runtime: everything succeeds, nothing is done."""

    def __init__(self, *rest: Any, **more: Any) -> None:
        pass

    def get_graph_is_built(self) -> bool:
        """The model is on the board."""
        return True

    def __getattr__(self, name: str) -> Callable[..., int]:
        def succeed(*rest: Any, **more: Any) -> int:
            return 0

        return succeed


def _write_nothing(*rest: Any, **more: Any) -> None:
    """Instead of a tensor's npy and text files."""


# `adb pull SOURCE TARGET`: into TARGET/dumps when TARGET exists, as adb does with a folder. Everything else succeeds.
_ADB = """#!/bin/sh
while [ $# -gt 0 ] && [ "$1" != pull ]; do shift; done
[ "$1" = pull ] || exit 0
target=$3
if [ -d "$target" ]; then target=$target/dumps; fi
mkdir -p "$target" && cp {source}/*.npy "$target"/
"""
