"""Pulling dumps: over real SSH servers and misbehaving ones, into runs that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rkparity.cli.main import main
from rkparity.runs import RunReader
from ssh_server import Faults, Server, dropbear, faulty, openssh

pytestmark = pytest.mark.sshd

ODD = '002_ConvRelu_it\'s "a" <b> ö日_shape_1_3_shape_1_float.npy'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with openssh(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    folder = tmp_path / "the dumps"
    folder.mkdir()
    values = np.random.default_rng(1)
    np.save(
        folder / "000_InputOperator_x_shape_1_3_8_8_uint8.npy", values.integers(0, 255, (1, 3, 8, 8), dtype=np.uint8)
    )
    for index in range(1, 30):
        name = ODD if index == 2 else f"{index:03d}_ConvRelu_layer{index}{'_long' * 20}_shape_1_{index}_float.npy"
        np.save(folder / name, values.normal(size=(1, index) if index != 2 else (1,)).astype(np.float32))
    np.save(
        folder / "030_OutputOperator_out_shape_1_40000_float.npy", values.normal(size=(1, 40000)).astype(np.float32)
    )
    (folder / "app.log").write_text("I RKNN: hello\n")
    return folder


def pull(server: Server, dumps: Path, out: Path, *more: str) -> int:
    return main(["pull", *server.options, "--from", str(dumps), "-o", str(out), *more])


def check_run(out: Path, dumps: Path) -> RunReader:
    """The run holds every dump, byte for byte, and nothing is left beside it."""
    reader = RunReader.open(out)
    here = {path.name: path.read_bytes() for path in (out / "dumps").iterdir()}
    assert here == {path.name: path.read_bytes() for path in dumps.glob("*.npy")}
    for record in reader.manifest.tensors:
        assert reader.tensor(record).shape == record.shape
    assert not out.with_name(out.name + ".part").exists()
    return reader


def left_over(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path.name.startswith((out.name, f".{out.name}")))


def test_pull_over_openssh(server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dumps / "notes.md").write_text("mine")
    (dumps / "link_shape_1_float.npy").symlink_to("/etc/passwd")
    (dumps / "001_Conv_a_shape_1_to_1_1_sa8_int8.tensor").write_text("00")
    out = tmp_path / "run"
    assert pull(server, dumps, out) == 0
    assert (dumps / "link_shape_1_float.npy").is_symlink()
    (dumps / "link_shape_1_float.npy").unlink()
    reader = check_run(out, dumps)
    manifest = reader.manifest
    assert manifest.engine.value == "board"
    assert manifest.precision.value == "quantized"
    assert manifest.settings["source"] == str(dumps)
    assert manifest.settings["verified_by"] == "sha256"
    assert manifest.logs == ("logs/app.log",)
    assert (out / "logs" / "app.log").read_text() == "I RKNN: hello\n"
    assert len(manifest.tensors) == 31
    odd = next(record for record in manifest.tensors if record.order == 2)
    assert (odd.name, odd.op_type, odd.shape, odd.name_is_sanitized) == (
        'it\'s "a" <b> ö日_shape_1_3',
        "ConvRelu",
        (1,),
        True,
    )
    assert manifest.tensors[0].role.value == "input"
    assert manifest.tensors[-1].role.value == "output"
    warnings = "\n".join(manifest.warnings)
    assert "notes.md: not the name of a dump or a log" in warnings
    assert "link_shape_1_float.npy: a symbolic link" in warnings
    assert ".tensor: a text dump" in warnings
    said = capsys.readouterr().out
    assert "32 files" in said
    assert "verified by sha256" in said


def test_an_existing_run_is_kept_without_force(
    server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert pull(server, dumps, out) == 0
    (out / "mark").write_text("x")
    assert pull(server, dumps, out) == 2
    assert "exists already" in capsys.readouterr().err
    assert (out / "mark").exists()
    assert pull(server, dumps, out, "--force") == 0
    assert not (out / "mark").exists()
    check_run(out, dumps)


def test_lost_connection_then_the_rest_only(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", without("ssh"))
    out = tmp_path / "run"
    folder = tmp_path / "server"
    folder.mkdir()
    faults = Faults(drop_after=64 * 1024)
    with faulty(folder, faults) as server:
        assert pull(server, dumps, out) == 3
        said = capsys.readouterr().err
        assert "connection was lost" in said
        assert "30 of 32 files are here" in said
        assert "run the same command again" in said
        assert not out.exists()
        part = out.with_name("run.part")
        arrived = sorted(path.name for path in (part / "files").iterdir())
        assert len(arrived) == 30
        inodes = {path.name: path.stat().st_ino for path in (part / "files").iterdir()}
        assert pull(server, dumps, out) == 0
    assert "30 of them from an earlier try" in capsys.readouterr().out
    check_run(out, dumps)
    assert {name: (out / "dumps" / name).stat().st_ino for name in inodes} == inodes


def test_lost_connection_of_the_systems_ssh(dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """tar on the board ends the server's process of its session after some of its output."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "tar").write_text('#!/bin/sh\n/usr/bin/tar "$@" | head -c 100000\nkill -9 $PPID\nsleep 20\n')
    (tools / "tar").chmod(0o755)
    out = tmp_path / "run"
    folder = tmp_path / "server"
    folder.mkdir()
    with openssh(folder, environment={"PATH": f"{tools}:/usr/bin:/bin"}) as server:
        assert pull(server, dumps, out) == 3
        said = capsys.readouterr().err
        assert "connection was lost" in said
        assert "30 of 32 files are here" in said
        assert not out.exists()
        (tools / "tar").unlink()
        assert pull(server, dumps, out) == 0
    assert "30 of them from an earlier try" in capsys.readouterr().out
    check_run(out, dumps)


def test_resume_sends_again_what_changed_meanwhile(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", without("ssh"))
    out = tmp_path / "run"
    folder = tmp_path / "server"
    folder.mkdir()
    with faulty(folder, Faults(drop_after=64 * 1024)) as server:
        assert pull(server, dumps, out) == 3
        np.save(
            dumps / "005_ConvRelu_layer5_shape_1_5_float.npy".replace("layer5", "layer5" + "_long" * 20),
            np.ones((1, 5), np.float32),
        )
        (dumps / ODD).unlink()
        capsys.readouterr()
        assert pull(server, dumps, out) == 0
    assert "28 of them from an earlier try" in capsys.readouterr().out
    check_run(out, dumps)


@pytest.mark.parametrize("sftp", [True, False])
def test_a_board_without_tar_and_hash_programs(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], sftp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", without("ssh"))
    path = tools_folder(tmp_path, "sh", "cat", "find", "stat", "ls", "printf", "wc", "tr", "echo")
    out = tmp_path / "run"
    folder = tmp_path / "server"
    folder.mkdir()
    with faulty(folder, Faults(path=path, sftp=sftp)) as server:
        assert pull(server, dumps, out) == 0
    reader = check_run(out, dumps)
    assert reader.manifest.settings["verified_by"] == "size"
    assert any("neither sha256sum nor openssl" in warning for warning in reader.manifest.warnings)
    assert "verified by size" in capsys.readouterr().out


def test_a_board_without_stat(dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", without("ssh"))
    path = tools_folder(tmp_path, "sh", "ls", "wc", "tr", "tar", "sha256sum")
    out = tmp_path / "run"
    folder = tmp_path / "server"
    folder.mkdir()
    (dumps / "sub").mkdir()
    with faulty(folder, Faults(path=path)) as server:
        assert pull(server, dumps, out) == 0
    (dumps / "sub").rmdir()
    assert "not copied: sub: a folder" in check_run(out, dumps).manifest.warnings


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-files=10", "holds 32 files"),
        ("--max-bytes=5000", "the caps are 20000 files and 5.0 kB: nothing was copied"),
    ],
)
def test_caps_are_shown_when_hit(
    server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    out = tmp_path / "run"
    assert pull(server, dumps, out, option) == 3
    assert message in capsys.readouterr().err
    assert left_over(out) == []


def test_no_such_folder(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pull(server, tmp_path / "nowhere", tmp_path / "run") == 3
    said = capsys.readouterr().err
    assert f"there is no folder {tmp_path}/nowhere" in said
    assert "RKNN_LOG_LEVEL=5" in said
    assert left_over(tmp_path / "run") == []


def test_folder_without_dumps(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "x.txt").write_text("x")
    assert pull(server, tmp_path / "some", tmp_path / "run") == 3
    assert "holds no dump of librknnrt (1 other files)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-8], "truncated"),
        (lambda data: b"not numpy" + data, "is not an npy file"),
        (lambda data: b"", "is not an npy file"),
    ],
)
def test_damaged_dumps_are_named(
    server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object, message: str
) -> None:
    assert callable(damage)
    victim = dumps / "030_OutputOperator_out_shape_1_40000_float.npy"
    victim.write_bytes(damage(victim.read_bytes()))
    out = tmp_path / "run"
    assert pull(server, dumps, out) == 3
    said = capsys.readouterr().err
    assert victim.name in said
    assert message in said
    assert not out.exists()


def test_full_disk_here(server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        assert pull(server, dumps, out) == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written: File too large" in capsys.readouterr().err
    assert not out.exists()
    assert pull(server, dumps, out) == 0
    assert "30 of them from an earlier try" in capsys.readouterr().out
    check_run(out, dumps)


def test_a_folder_in_the_way_is_not_touched(
    server: Server, dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "run.part"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    assert pull(server, dumps, tmp_path / "run") == 2
    assert "was not made by a pull" in capsys.readouterr().err
    assert (mine / "thesis.txt").read_text() == "mine"


def test_a_hostile_board_writes_nothing_outside(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import tarfile

    monkeypatch.setattr("shutil.which", without("ssh"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as writer:
        member = tarfile.TarInfo("../../owned")
        member.size = 5
        writer.addfile(member, io.BytesIO(b"owned"))
    folder = tmp_path / "server"
    folder.mkdir()
    out = tmp_path / "sub" / "run"
    with faulty(folder, Faults(replace_output={"exec tar": buffer.getvalue()})) as server:
        assert pull(server, dumps, out) == 3
    assert "'../../owned', which was not asked for" in capsys.readouterr().err
    assert not list(tmp_path.rglob("owned"))
    assert left_over(out) == []


def test_damage_on_the_way_is_found_by_the_hash(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", without("ssh"))
    names = sorted(path.name for path in dumps.iterdir())
    ordered = sorted(name for name in names if name.endswith(".npy")) + [
        name for name in names if name.endswith(".log")
    ]
    digests = "".join(f"{hashlib.sha256((dumps / name).read_bytes()).hexdigest()} *./{name}\n" for name in ordered)
    wrong = digests.replace(digests[:64], "0" * 64, 1)
    folder = tmp_path / "server"
    folder.mkdir()
    out = tmp_path / "run"
    with faulty(folder, Faults(replace_output={"|| exit 1": wrong.encode()})) as server:
        assert pull(server, dumps, out) == 3
    assert "1 files differ from the board's after the transfer, first '000_InputOperator" in capsys.readouterr().err
    assert not out.exists()


def test_dropbear_by_chunks(dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rkparity.board.link.ssh._DROPBEAR_BULK_NBYTES", 20_000)
    folder = tmp_path / "server"
    folder.mkdir()
    with dropbear(folder) as server:
        for name in ("with ssh", "paramiko"):
            if name == "paramiko":
                monkeypatch.setattr("shutil.which", without("ssh"))
            assert pull(server, dumps, tmp_path / name) == 0
            check_run(tmp_path / name, dumps)


def test_from_a_local_folder(dumps: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["pull", "--from-folder", str(dumps), "-o", str(out), "--app", "--precision", "fp16"]) == 0
    manifest = check_run(out, dumps).manifest
    assert manifest.engine.value == "app"
    assert manifest.precision.value == "fp16"
    assert main(["pull", "--from-folder", str(tmp_path / "no"), "-o", str(tmp_path / "r2")]) == 2
    assert main(["pull", "-o", str(tmp_path / "r2")]) == 2


def test_this_machine_as_the_board(dumps: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["pull", "--board", f"local:{tmp_path}", "--from", str(dumps), "-o", str(out)]) == 0
    check_run(out, dumps)
    assert json.loads((out / "manifest.json").read_text())["settings"]["board"] == f"local:{tmp_path}"


def without(program: str) -> object:
    real = shutil.which
    return lambda name, *rest, **more: None if name == program else real(name, *rest, **more)


def tools_folder(tmp_path: Path, *programs: str) -> str:
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in programs:
        found = shutil.which(program, path="/usr/bin:/bin")
        assert found, program
        (folder / program).symlink_to(os.path.realpath(found))
    return str(folder)
