"""The emulated library against what the real one (1.6.0) did: codes, attributes, log lines, dumps."""

from __future__ import annotations

import ctypes
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from emulated_library import play

DATA = Path(__file__).resolve().parents[2] / "data" / "emulator"
CRASHING = {"160_b25_c3w30_f32nchw_fp16", "160_b25_c3w30_f32nchw_int8"}
with zipfile.ZipFile(DATA / "experiments.zip") as archive:
    NAMES = sorted({name.split("/")[0] for name in archive.namelist()})

# What depends on the replaced driver, tables the emulator does not print, and two notes: on a size inside the library,
# and on what it finds beyond the end of a too short outputs[] (docs/emulator.md, deviations).
_OTHER_LINES = re.compile(
    r"freq, take|^D ( |-|[0-9]+ +[A-Za-z])|^D (ID|OpType|Total) |%$|Unknow dtype|Get rknn_outputs|output.1..index.0."
    # Of rknn_init; what comes after it is compared here.
    r"|RKNN Model version|OpenCL will not be initialized"
)


def lines(log: str) -> list[str]:
    """Log lines after rknn_init, without times and numbers of addresses, files and sizes."""
    kept = []
    for line in log.splitlines():
        match = re.match(r"([EWID]) RKNN: \[[0-9:.]+\] ?(.*)", line)
        if match is None:
            continue
        text = f"{match[1]} {match[2]}".rstrip()
        if _OTHER_LINES.search(text) or "dump npy" in text or "rkparity emulated runtime" in text:
            continue
        kept.append(re.sub(r"fd: \d+", "fd: N", text))
    return kept


def model_of(folder: Path, models: Path) -> bytes:
    name = json.loads((folder / "experiment.json").read_text())["model"]
    return next(models.rglob(name)).read_bytes()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CRASHING])
def test_same_as_recorded(
    name: str,
    library: ctypes.CDLL,
    experiments: Path,
    models: Path,
    counting_models: Any,
    served: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    folder = experiments / name
    experiment = json.loads((folder / "experiment.json").read_text())
    log = (folder / "log.txt").read_text(errors="replace")
    with served(counting_models.open):
        for key, value in experiment["env"].items():
            monkeypatch.setenv(key, value)
        played = play(library, folder, model_of(folder, models))

    codes = re.findall(
        r"^(rknn_(?:init|inputs_set|run|outputs_get|set_io_mem|destroy))(?:\(n=\d+\))? rc=(-?\d+)", log, re.M
    )
    assert played.codes == [(call, int(code)) for call, code in codes]
    if played.attributes:
        recorded = [line for line in log.splitlines() if "_ATTR" in line and " rc=" in line and "CURRENT" not in line]
        assert played.attributes == recorded

    dumps = {Path(dump["file"]).name: dump for dump in experiment["dumps"]}
    written = {path.name: path for path in (tmp_path / "dumps").iterdir()}
    assert sorted(written) == sorted(dumps)
    for dump_name, dump in dumps.items():
        content = written[dump_name].read_bytes()
        assert len(content) == dump["bytes"], dump_name
        assert content[:8] == b"\x93NUMPY\x01\x00"
        header = content[10 : 10 + int.from_bytes(content[8:10], "little")].decode()
        assert header == dump["header"].replace("\\n", "\n"), dump_name
        if (folder / "dumps" / dump_name).exists():
            assert content == (folder / "dumps" / dump_name).read_bytes(), dump_name

    said = lines(capfd.readouterr().err)
    wanted = [
        line
        for line in lines(log.partition("rknn_init rc=")[2])
        if "RKNN_QUERY_CURRENT" not in line and "INPUT_DYNAMIC_RANGE" not in line
    ]
    after_init = [line for line in said if not line.startswith("I ")]
    assert after_init == wanted


@pytest.mark.parametrize("name", sorted(CRASHING))
def test_where_the_real_library_crashes(
    name: str, library: ctypes.CDLL, experiments: Path, models: Path, counting_models: Any, served: Any, capfd: Any
) -> None:
    folder = experiments / name
    with served(counting_models.open):
        played = play(library, folder, model_of(folder, models))
    assert dict(played.codes)["rknn_inputs_set"] == -5
    assert "the real library crashes here: fmt NCHW on a 4-D input" in capfd.readouterr().err
