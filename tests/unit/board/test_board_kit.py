"""Finding board kits, and assembling one for this machine from the installation."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from rkparity.board.install.build_kit import local_kit
from rkparity.board.install.find_kit import KITS_ENVIRONMENT, find_kit
from rkparity.board.install.kit import SCHEMA
from rkparity.errors import BoardError


def write_kit(folder: Path, arch: str) -> None:
    folder.mkdir(parents=True)
    (folder / "agent.py").write_text("print()\n")
    digest = hashlib.sha256(b"print()\n").hexdigest()
    value = {"schema": SCHEMA, "arch": arch, "version": "0", "hash": "ab" * 32, "files": {"agent.py": digest}}
    (folder / "kit.json").write_text(json.dumps(value))


def test_kits_of_the_checkout_that_venv_belongs_to_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.delenv(KITS_ENVIRONMENT, raising=False)
    write_kit(tmp_path / "dist" / "kits" / "other", "riscv64")
    assert find_kit("riscv64", scratch=tmp_path / "work").path == tmp_path / "dist" / "kits" / "other"


def test_a_missing_kit_names_what_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KITS_ENVIRONMENT, str(tmp_path))
    with pytest.raises(BoardError, match="mips") as caught:
        find_kit("mips", scratch=tmp_path / "work")
    assert "build-kit" in caught.value.hint


def test_the_local_kit_has_rkrun_though_it_is_not_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    runner = tmp_path / "bin" / "rkrun"
    runner.write_text("#!/bin/sh\n")
    runner.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))
    monkeypatch.setenv("PATH", "/nowhere")
    made = local_kit(tmp_path / "kit")
    assert made.has_runner
    assert (tmp_path / "kit" / "bin" / "rkrun").read_text() == "#!/bin/sh\n"
    assert set(made.files) >= {"agent.py", "bin/rkrun", "rkparity_agent/__main__.py"}
    for name, digest in made.files.items():
        assert hashlib.sha256((made.path / name).read_bytes()).hexdigest() == digest
