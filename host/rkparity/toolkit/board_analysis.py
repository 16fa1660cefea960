"""The toolkit's own four-column analysis of a board, from dumps that came over any way, without adb."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from rkparity.errors import ToolkitError
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.snapshot_table import PrintedRow, read_table
from rkparity.toolkit.worker_client import Worker

TABLE_NAME = "error_analysis.txt"


def analyse_board(
    worker: Worker,
    built: BuiltModel,
    inputs: Sequence[Path],
    dumps: Path,
    outputs: Sequence[Path],
    table: Path,
    *,
    tensors: bool = False,
) -> tuple[PrintedRow, ...]:
    """Lets accuracy_analysis(target=...) compute its table from the dump files in `dumps` and writes it to `table`.

    `inputs` are the files the simulator gets (NCHW for 4-D, before mean and std), `outputs` the board's outputs as
    .npy. rknn-toolkit2 reads the dumps whose name ends in `_float.npy` or `_int64.npy` and whose shape is the
    simulator's; of the others the runtime cells stay blank (evidence toolkit/*/int8_fakeboard). With `tensors` the
    whole snapshot is left beside the table. Raises ToolkitError.
    """
    folder = worker.new_folder("board")
    try:
        worker.job(
            "analyse_board",
            model_id=built.model_id,
            inputs=[str(path.resolve()) for path in inputs],
            dumps=str(dumps.resolve()),
            outputs=[str(path.resolve()) for path in outputs],
            folder=str(folder),
            target=built.spec.target_platform,
            tensors=tensors,
        )
        if not (folder / TABLE_NAME).is_file():
            raise ToolkitError(f"rknn-toolkit2 accuracy_analysis: wrote no {TABLE_NAME}")
        table.parent.mkdir(parents=True, exist_ok=True)
        if tensors:
            shutil.copytree(folder, table.parent, dirs_exist_ok=True)
        shutil.copyfile(folder / TABLE_NAME, table)
        return tuple(read_table(table))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
