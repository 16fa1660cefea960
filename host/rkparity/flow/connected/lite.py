"""rknn-toolkit-lite2 on the board, where it is installed: the vendor's own use of the runtime as a second reference."""

from __future__ import annotations

import base64
import binascii
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.board.files.push import Outgoing, push_files
from rkparity.board.install.preflight import inspect_board
from rkparity.board.install.workspace import Workspace
from rkparity.board.runs.job import InputFile
from rkparity.board.runs.samples import for_runtime
from rkparity.compare.verdict import Verdict
from rkparity.flow.deployed import DeployedModel
from rkparity.flow.simulation import run_outputs, score_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.board.link.transport import Transport

_TIMEOUT_S = 120.0
_MAX_NBYTES = 256 << 20
_LEAST_COSINE = 0.99


@dataclass(frozen=True)
class LiteAnswer:
    """What it answered; `outputs` is empty when it is not installed or failed, and `text` says so."""

    verdict: Verdict
    text: str
    outputs: tuple[NDArray[Any], ...] = ()


def run_lite(transport: Transport, deployed: DeployedModel, work_dir: str | None) -> LiteAnswer:
    """Runs the same model and input through rknn-toolkit-lite2; never fails the stage when it is not there."""
    info = inspect_board(transport, work_dir=work_dir)
    if not info.python_path:
        return LiteAnswer(Verdict.NOT_COMPARED, "rknn-toolkit-lite2: the board has no Python")
    probe = transport.run([info.python_path, "-c", "import rknnlite.api"])
    if probe.exit_code != 0:
        return LiteAnswer(Verdict.NOT_COMPARED, "rknn-toolkit-lite2 is not installed on the board")
    workspace = Workspace.open(transport, info.work_dir, frozenset(info.tools))
    model = workspace.put_model(deployed.model.path, deployed.model.sha256, lambda nbytes: None)
    folder = workspace.make_run_folder()
    try:
        files = _push_sample(transport, deployed, folder, frozenset(info.tools))
        formats = ["nhwc" if len(tensor.shape) == 4 else "undefined" for tensor in deployed.model.input_tensors]
        arguments = [model, json.dumps(formats), *(f"{folder}/{file.name}" for file in files)]
        done = transport.run([info.python_path, "-c", _SCRIPT, *arguments], timeout_s=_TIMEOUT_S)
    finally:
        workspace.remove(folder)
    if done.exit_code != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return LiteAnswer(Verdict.NOT_COMPARED, f"rknn-toolkit-lite2 failed: {lines[-1] if lines else 'no message'}")
    return _judged(deployed, _outputs(done.stdout))


def _push_sample(transport: Transport, deployed: DeployedModel, folder: str, tools: frozenset[str]) -> list[Outgoing]:
    """Sends the sample as the runtime takes it: rknn-toolkit-lite2 knows no other layout than nhwc either."""
    given = [
        InputFile(path, data_layout=None if item.layout == "UNDEFINED" else item.layout)
        for path, item in zip(deployed.sample_files, deployed.inputs)
    ]
    with tempfile.TemporaryDirectory(prefix="rkparity-inputs-") as scratch:
        prepared, _ = for_runtime(given, deployed.model, Path(scratch))
        files = [Outgoing(f"input{index}.npy", item.path) for index, item in enumerate(prepared)]
        push_files(transport, folder, files, tools=tools)
    return files


def _judged(deployed: DeployedModel, outputs: tuple[NDArray[Any], ...]) -> LiteAnswer:
    wanted = run_outputs(deployed.simulation.simulator, deployed.built.outputs)
    if [array.size for array in outputs] != [array.size for array in wanted.values()]:
        return LiteAnswer(Verdict.NOT_COMPARED, "rknn-toolkit-lite2 gave outputs of other sizes", outputs)
    worst = min(item.cosine for item in score_outputs(dict(zip(wanted, outputs)), wanted))
    verdict = Verdict.PASS if worst >= _LEAST_COSINE else Verdict.FAIL
    return LiteAnswer(verdict, f"rknn-toolkit-lite2 on the board: worst output cos {worst:.5f}", outputs)


def _outputs(stdout: bytes) -> tuple[NDArray[Any], ...]:
    """The arrays the script printed, one base64 line each after its mark; other lines are the vendor's."""
    import numpy as np

    found = []
    for line in stdout.splitlines():
        if line.startswith(b"rkparity-output ") and len(line) < _MAX_NBYTES:
            try:
                data = base64.b64decode(line.split()[1], validate=True)
                found.append(np.load(io.BytesIO(data), allow_pickle=False))
            except (binascii.Error, ValueError, EOFError):
                return ()
    return tuple(found)


# Runs on the board with the vendor's own Python package; prints each output as one line.
_SCRIPT = """
import base64, io, json, sys
import numpy as np
from rknnlite.api import RKNNLite
lite = RKNNLite()
if lite.load_rknn(sys.argv[1]) != 0 or lite.init_runtime() != 0:
    sys.exit("load_rknn or init_runtime failed")
formats = json.loads(sys.argv[2])
inputs = [np.load(path, allow_pickle=False) for path in sys.argv[3:]]
pictures = [name if name != "undefined" else None for name in formats]
outputs = lite.inference(inputs=inputs, data_format=pictures if any(pictures) else None)
for output in outputs:
    data = io.BytesIO()
    np.save(data, np.asarray(output))
    print("rkparity-output " + base64.b64encode(data.getvalue()).decode())
lite.release()
"""
