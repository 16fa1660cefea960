"""The scripts that run a program, under dash and busybox, without a board."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkparity.board.runs.app_script import ENDED, LAUNCHER, STARTED, SUPERVISOR, can_preload, launcher, supervisor
from support import require

TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(TEXTS, max_size=4), value=TEXTS)
def test_every_word_arrives_as_it_is(words: list[str], value: str, tmp_path: Path) -> None:
    script = tmp_path / "launch.sh"
    command = ["sh", "-c", 'printf "%s\\0" "$VALUE" "$@"', "sh", *words]
    script.write_bytes(launcher(command, str(tmp_path), {"VALUE": value}, None).encode())
    done = subprocess.run(["sh", str(script)], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [value, *words]


def start(shell: list[str], folder: Path, program: list[str], *, timeout_s: float | None) -> subprocess.Popen[bytes]:
    (folder / "outputs").mkdir(parents=True)
    (folder / LAUNCHER).write_text(launcher(program, str(folder), {}, None))
    (folder / SUPERVISOR).write_text(supervisor(str(folder), timeout_s=timeout_s, watches_stdin=True))
    return subprocess.Popen(
        [*shell, str(folder / SUPERVISOR)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(params=["dash", "busybox", "bash"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    require(shutil.which(request.param), f"no {request.param}")
    return ["busybox", "sh"] if request.param == "busybox" else [request.param]


@pytest.mark.parametrize(
    ("script", "timeout_s", "said"),
    [("exit 7", None, "7 0"), ("exit 0", 5, "0 0"), ("kill -9 $$", None, "137 0"), ("sleep 40", 0.5, "143 1")],
)
def test_end_is_told(script: str, timeout_s: float | None, said: str, shell: list[str], tmp_path: Path) -> None:
    process = start(shell, tmp_path / "run folder", ["sh", "-c", script], timeout_s=timeout_s)
    assert process.stdout is not None
    lines = process.stdout.read().decode().splitlines()
    assert process.wait(10) == 0
    assert lines[0].startswith(f"{STARTED} ") and lines[1] == f"{ENDED} {said}"
    assert len(lines) == 2


def test_closed_input_ends_the_program(shell: list[str], tmp_path: Path) -> None:
    process = start(shell, tmp_path / "run", ["sleep", "40"], timeout_s=None)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline().startswith(STARTED.encode())
    process.stdin.close()
    assert process.stdout.read().decode() == f"{ENDED} 143 0\n"


def test_layer_is_preloaded_before_the_users() -> None:
    plain = launcher(["./app"], "/w", {}, "/w/lib/layer.so")
    assert 'export LD_PRELOAD=/w/lib/layer.so"${LD_PRELOAD:+:$LD_PRELOAD}"' in plain
    assert "LD_LIBRARY_PATH" not in plain
    spaced = launcher(["./app"], "/w", {}, "/a b/lib/layer.so")
    assert 'export LD_PRELOAD=layer.so"${LD_PRELOAD:+:$LD_PRELOAD}"' in spaced
    assert "export LD_LIBRARY_PATH='/a b/lib'\"${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"" in spaced
    assert can_preload("/a b") and not can_preload("/a:b") and not can_preload("/a;b")
