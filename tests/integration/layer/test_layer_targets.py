"""The layer under the sanitizers, and cross-built for the boards' architectures under qemu-user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from layer_programs import AARCH64, ADDRESS, ARMHF, THREAD, Kit, Target, build_kit, without_addresses

from rkparity.trace import read_traces

MODES = ["general", "zero-copy", "wrong", "threads", "late", "missing", "fork", "exec"]


@pytest.mark.parametrize("target", [ADDRESS, THREAD], ids=lambda target: target.name)
def test_sanitizers_find_nothing(target: Target, tmp_path: Path) -> None:
    kit = build_kit(target, tmp_path)
    for mode in MODES:
        plain = kit.run(kit.linked, mode)
        done = kit.run(kit.linked, mode, trace=tmp_path / mode, environment={"RKPARITY_TRACE_BUFFERS": "3"})
        assert (done.code, done.errors) == (0, ""), mode
        assert done.output == plain.output
        assert read_traces(tmp_path / mode)


def _events(path: Path, exe: Path) -> list[dict[str, Any]]:
    """The lines of a trace without what must differ between machines."""
    text = without_addresses(path.read_text()).replace(json.dumps(str(exe)), '""')
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        event.pop("machine", None)
        if event["event"] == "library":
            event["path"] = ""
    return events


@pytest.mark.qemu
@pytest.mark.parametrize("target", [AARCH64, ARMHF], ids=lambda target: target.name)
def test_same_trace_on_the_boards_architectures(target: Target, native: Kit, tmp_path: Path) -> None:
    kit = build_kit(target, tmp_path)
    for mode in ("general", "zero-copy", "late", "missing", "wrong"):
        plain = kit.run(kit.linked, mode)
        done = kit.run(kit.linked, mode, trace=tmp_path / mode)
        assert (done.code, done.output, done.errors) == (0, plain.output, plain.errors), mode
        native.run(native.linked, mode, trace=tmp_path / f"{mode}-native")
        (here,) = read_traces(tmp_path / f"{mode}-native")
        (there,) = read_traces(tmp_path / mode)
        assert there.start.pointer_bits == (32 if target is ARMHF else 64)
        assert _events(there.path, kit.linked) == _events(here.path, native.linked)


@pytest.mark.qemu
@pytest.mark.parametrize("target", [AARCH64, ARMHF], ids=lambda target: target.name)
def test_other_ways_of_loading_on_the_boards_architectures(target: Target, tmp_path: Path) -> None:
    kit = build_kit(target, tmp_path)
    for program, mode in ((kit.opening, "general"), (kit.opening, "threads"), (kit.linked, "fork")):
        plain = kit.run(program, mode)
        done = kit.run(program, mode, trace=tmp_path / f"{program.name}-{mode}")
        assert (done.code, done.output) == (0, plain.output), done
        for trace in read_traces(tmp_path / f"{program.name}-{mode}"):
            assert trace.library is not None
            assert trace.library.found == ("dlopen" if program is kit.opening else "next")
            assert trace.exit is not None
