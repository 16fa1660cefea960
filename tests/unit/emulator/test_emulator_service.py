"""Board files, finding the library, keys: what the virtual board does without being started."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.keys import make_key
from rkparity.emulator.runtime import runtime_library
from rkparity.emulator.service import is_running, process_start, read_board_file, stop
from rkparity.errors import DataError, RkparityError, UsageError
from rkparity.model import read_model
from rkparity.toolkit.same_build import check_same_build

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"


def test_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RKPARITY_EMULATOR_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(RkparityError, match=r"none\.so: the emulated runtime is not there") as caught:
        runtime_library()
    assert caught.value.exit_code == 3


def test_keys_are_private(tmp_path: Path) -> None:
    pair = make_key(tmp_path / "key")
    assert stat.S_IMODE(pair.private_file.stat().st_mode) == 0o600
    assert pair.public_line.startswith("ssh-ed25519 ")
    assert (tmp_path / "key.pub").read_text() == pair.public_line + "\n"
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "key")


def test_process_identity() -> None:
    own = {"pid": os.getpid(), "process_start": process_start(os.getpid())}
    assert is_running(own)
    assert not is_running({**own, "process_start": "0"})
    assert process_start(2**22 + 1) == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[]", "must hold a JSON object, not list"),
        ('{"emulated": true}', "is not the file of a virtual board"),
        ('{"host": "127.0.0.1", "pid": 1}', "is not the file of a virtual board"),
    ],
)
def test_board_files_that_are_none(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        read_board_file(tmp_path / "b.json")


def test_stopping_a_board_that_is_gone_removes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(json.dumps({"emulated": True, "pid": os.getpid(), "process_start": "0"}))
    stop(file)
    assert not file.exists()


def test_models_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.rknn: does not exist"):
        ModelCatalogue(Path("python"), [tmp_path / "m.rknn"])


def test_catalogue_looks_into_folders() -> None:
    catalogue = ModelCatalogue(Path("python"), [MODELS])
    assert MODELS / "cnn_classifier_int8.rknn" in catalogue.files()
    with pytest.raises(UsageError, match="the emulator was not started with this model"):
        catalogue.open("0" * 64)


def test_builds_are_compared_by_what_they_say() -> None:
    model = read_model(MODELS / "cnn_classifier_int8.rknn")
    check_same_build(model, model)
    with pytest.raises(DataError, match="gives another list of operators"):
        check_same_build(model, read_model(MODELS / "cnn_classifier_fp16.rknn"))
