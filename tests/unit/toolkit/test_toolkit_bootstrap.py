"""The recipe, finding the environment, and failures of setting it up."""

from __future__ import annotations

import re
import stat
import sys
import time
from pathlib import Path

import pytest

from rkparity.errors import ToolkitError, UsageError
from rkparity.toolkit import bootstrap
from rkparity.toolkit.bootstrap import Recipe, find_toolkit_python, setup_toolkit
from rkparity.toolkit.frameworks import FrameworkPackage

ROOT = Path(__file__).resolve().parents[3]

# Plays the part of a Python interpreter: knows its version, `-m venv` copies itself, `-m pip` obeys the file beside it.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    "-c import sys;"*) echo "3 11" ;;
    "-c import sysconfig"*) mkdir -p "$(dirname "$0")/../site"; echo "$(dirname "$0")/../site" ;;
    "-m venv"*) for folder; do :; done; mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"; touch "$folder/pyvenv.cfg" ;;
    "-m pip"*) echo "$*" >> "{calls}"; echo "Downloading something-1.0.whl (1 MB)"
        case "$*" in *torch==*+cpu*) if [ -f "{no_cpu}" ]; then echo "ERROR: No CPU"; exit 1; fi ;; esac
        if [ -f "{fail}" ]; then echo "ERROR: No matching distribution found for rknn-toolkit2==9"; exit 1; fi ;;
    "-c from rknn"* | "-c import torch"* | "-c import tensorflow"*) exit 0 ;;
esac
"""


def fake_python(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    python = folder / "python"
    python.write_text(FAKE_PYTHON.format(calls=folder / "calls", fail=folder / "fail", no_cpu=folder / "no-cpu"))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return python


def test_the_recipe_is_the_extra_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^toolkit = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert tuple(re.findall(r'"([^"]+)"', block.group(1))) == bootstrap.REQUIREMENTS


def test_set_up_runs_the_recipe_once(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "fake")
    said: list[str] = []
    made = setup_toolkit(tmp_path / "env", Recipe("2.3.2"), python=python, say=said.append)
    assert made == tmp_path / "env" / "bin" / "python"
    calls = (tmp_path / "fake" / "calls").read_text().splitlines()
    assert "--no-deps rknn-toolkit2==2.3.2" in calls[0]
    assert "numpy<=1.26.4" in calls[1]
    assert len(calls) == 2
    assert (tmp_path / "env" / "site" / "torch" / "nn" / "__init__.py").is_file()
    assert said[0].startswith("[1/3]")
    assert "      Downloading something-1.0.whl (1 MB)" in said
    started = time.monotonic()
    setup_toolkit(tmp_path / "env", Recipe("2.3.2"), python=python)
    assert time.monotonic() - started < 0.5
    assert len((tmp_path / "fake" / "calls").read_text().splitlines()) == 2


def test_frameworks_are_added_to_what_is_there_and_stay(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "fake")
    env, calls = tmp_path / "env", tmp_path / "fake" / "calls"
    setup_toolkit(env, Recipe("2.3.2"), python=python)
    torch = frozenset([FrameworkPackage.TORCH])
    setup_toolkit(env, Recipe("2.3.2", torch, "https://example.org/x"), python=python)
    lines = calls.read_text().splitlines()
    assert len(lines) == 3
    assert '--extra-index-url https://example.org/x torch==2.13.0+cpu; python_version >= "3.10"' in lines[2]
    # What the toolkit itself needs is asked for again, so that nothing of it is replaced by a version it fails with.
    assert "numpy<=1.26.4" in lines[2] and "setuptools<82" in lines[2]
    assert not (env / "site" / "torch" / "_missing.py").exists()
    tflite = frozenset([FrameworkPackage.TFLITE])
    setup_toolkit(env, Recipe("2.3.2", tflite), python=python)
    lines = calls.read_text().splitlines()
    assert len(lines) == 4
    assert "tensorflow-cpu==2.14.0" in lines[3] and "ai-edge-litert==2.3.0" in lines[3]
    # Nothing is missing for any of these, and the version is told from the folder.
    assert bootstrap.version_in(env) == "2.3.2"
    for packages in (frozenset[FrameworkPackage](), torch, tflite, torch | tflite):
        setup_toolkit(env, Recipe("2.3.2", packages), python=python)
    assert len(calls.read_text().splitlines()) == 4
    setup_toolkit(env, Recipe("2.3.2"), python=python, force=True)
    assert len(calls.read_text().splitlines()) == 8


def test_without_a_cpu_build_the_one_of_the_index_is_taken_and_its_size_told(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "fake")
    (tmp_path / "fake" / "no-cpu").touch()
    said: list[str] = []
    setup_toolkit(
        tmp_path / "env", Recipe("2.3.2", frozenset([FrameworkPackage.TORCH])), python=python, say=said.append
    )
    calls = (tmp_path / "fake" / "calls").read_text().splitlines()
    assert "torch==2.13.0+cpu" in calls[2]
    assert "torch==2.13.0;" in calls[3]
    assert any("no CPU-only build" in line and bootstrap.TORCH_CPU_INDEX in line for line in said)


def test_a_framework_that_cannot_be_added_leaves_the_environment_usable(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "fake")
    env = tmp_path / "env"
    setup_toolkit(env, Recipe("2.3.2"), python=python)
    (tmp_path / "fake" / "fail").touch()
    with pytest.raises(ToolkitError, match="No matching distribution"):
        setup_toolkit(env, Recipe("2.3.2", frozenset([FrameworkPackage.TORCH])), python=python)
    assert (env / "site" / "torch" / "_missing.py").is_file()
    assert setup_toolkit(env, Recipe("2.3.2"), python=tmp_path / "absent") == env / "bin" / "python"


def test_pip_s_last_line_is_the_error_and_the_next_try_starts_afresh(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "fake")
    (tmp_path / "fake" / "fail").touch()
    with pytest.raises(ToolkitError) as caught:
        setup_toolkit(tmp_path / "env", Recipe(), python=python)
    assert caught.value.message == (
        "setting up rknn-toolkit2 failed: ERROR: No matching distribution found for rknn-toolkit2==9"
    )
    assert "setup.log" in caught.value.hint
    assert not (tmp_path / "env" / bootstrap.STAMP_NAME).exists()
    (tmp_path / "fake" / "fail").unlink()
    setup_toolkit(tmp_path / "env", Recipe(), python=python)
    assert (tmp_path / "env" / bootstrap.STAMP_NAME).is_file()


def test_what_cannot_work_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"rknn-toolkit2 1.6.0 is not supported"):
        setup_toolkit(tmp_path / "env", Recipe("1.6.0"))
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 3 7\n")
    old.chmod(0o755)
    with pytest.raises(UsageError, match=r"is Python 3.7; rknn-toolkit2 2.5.0 needs 3.8 to 3.12"):
        setup_toolkit(tmp_path / "env", Recipe(), python=old)
    with pytest.raises(UsageError, match="is not a Python interpreter"):
        setup_toolkit(tmp_path / "env", Recipe(), python=tmp_path / "absent")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.doc").touch()
    with pytest.raises(UsageError, match="is not empty and is no Python environment"):
        setup_toolkit(full, Recipe(), python=fake_python(tmp_path / "fake"))
    assert (full / "thesis.doc").exists()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(UsageError, match="x86_64 and aarch64 only"):
        setup_toolkit(tmp_path / "env", Recipe(), python=Path(sys.executable))
    assert not (tmp_path / "env").exists()


def test_the_interpreter_is_found_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(bootstrap.PYTHON_ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(bootstrap, "_checkout_folder", tuple)

    def environment(folder: Path, *, stamped: bool = True) -> Path:
        python = folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        if stamped:
            (folder / bootstrap.STAMP_NAME).touch()
        return python

    with pytest.raises(ToolkitError) as caught:
        find_toolkit_python(None)
    assert "rkparity setup-toolkit" in caught.value.hint
    environment(tmp_path / ".toolkit" / "2.5.0", stamped=False)
    cached = environment(tmp_path / "home" / ".cache" / "rkparity" / "toolkit" / "2.3.0")
    assert find_toolkit_python(None) == cached
    local = environment(tmp_path / ".toolkit" / "2.2.0")
    assert find_toolkit_python(None) == local
    (tmp_path / ".toolkit" / "2.5.0" / bootstrap.STAMP_NAME).touch()
    assert find_toolkit_python(None) == tmp_path / ".toolkit" / "2.5.0" / "bin" / "python"
    monkeypatch.setenv(bootstrap.PYTHON_ENVIRONMENT_VARIABLE, str(local))
    assert find_toolkit_python(None) == local
    assert find_toolkit_python(cached.parent.parent) == cached
    with pytest.raises(UsageError, match="there is no interpreter"):
        find_toolkit_python(tmp_path / "nowhere")
