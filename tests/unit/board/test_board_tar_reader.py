"""The tar reader takes what real tar programs write, and nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkparity.board.files.tar_reader import Received, TarReceiver
from rkparity.errors import TransferError

LONG = "012_ConvRelu_" + "name_" * 30 + "ü_shape_1_3_8_8_float.npy"
FILES = {
    "000_a_shape_1_float.npy": b"x" * 1300,
    LONG: os.urandom(5000),
    "001_b c'd_shape_1_float.npy": b"",
    "run.log": b"l" * 512,
}


def receive(stream: bytes, expected: dict[str, int], folder: Path, *, step: int = 700) -> list[Received]:
    source = io.BytesIO(stream)
    return list(TarReceiver(lambda: source.read(step), expected, folder, lambda nbytes: None).files())


def sizes() -> dict[str, int]:
    return {name: len(data) for name, data in FILES.items()}


def archive(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as writer:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            writer.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def one_member(name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", data: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as writer:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, target, len(data)
        writer.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [1, 511, 100_000])
def test_files_arrive_whole_from_any_split(tmp_path: Path, form: int, step: int) -> None:
    got = receive(archive(FILES, form), sizes(), tmp_path, step=step)
    assert {file.name: file.sha256 for file in got} == {
        name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()
    }
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize("form", ["gnu", "ustar", "pax", "oldgnu", "v7"])
def test_what_the_systems_tar_writes(tmp_path: Path, form: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    files = {name: data for name, data in FILES.items() if len(name) < 90 or form in ("gnu", "pax", "oldgnu")}
    for name, data in files.items():
        (source / name).write_bytes(data)
    command = ["tar", f"--format={form}", "-cf", "-", "-C", str(source), *(f"./{name}" for name in files)]
    stream = subprocess.run(command, check=True, capture_output=True).stdout
    receive(stream, {name: len(data) for name, data in files.items()}, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (one_member("/etc/passwd", data=b"root"), "'/etc/passwd', which was not asked for"),
        (one_member("../a", data=b"x"), r"'\.\./a', which was not asked for"),
        (one_member("./../a", data=b"x"), "which was not asked for"),
        (one_member("sub/a", data=b"x"), "which was not asked for"),
        (one_member("a", tarfile.SYMTYPE, target="/etc/passwd"), "'a' as a symbolic link, not a file"),
        (one_member("a", tarfile.LNKTYPE, target="/etc/passwd"), "'a' as a hard link, not a file"),
        (one_member("a", tarfile.CHRTYPE), "'a' as a character device, not a file"),
        (one_member("a", tarfile.FIFOTYPE), "'a' as a pipe, not a file"),
        (one_member("a", tarfile.DIRTYPE), "'a/' as a directory, not a file"),
        (one_member("a", data=b"xy"), "announced 'a' with 1 bytes and sends 2"),
        (one_member("b", data=b"x"), "'b', which was not asked for"),
        (one_member("a", data=b"x")[:512], "the stream ended inside 'a', 1 of 1 bytes are missing"),
        (one_member("a", data=b"x")[:600], "the board's tar stream is cut off"),
        (b"Welcome to the board!\n" * 60, "is no tar stream"),
        (one_member("x" * 70_000, data=b"x"), "a name record of 70001 bytes"),
    ],
)
def test_hostile_streams_write_nothing(tmp_path: Path, stream: bytes, message: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(TransferError, match=message):
        receive(stream, {"a": 1}, folder)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "a"]
    assert left == []


def test_a_second_copy_is_refused(tmp_path: Path) -> None:
    first = one_member("a", data=b"x")[:1024]
    with pytest.raises(TransferError, match="'a', which was not asked for"):
        receive(first + first, {"a": 1, "b": 1}, tmp_path)


def test_a_link_waiting_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / f".receiving-{os.getpid()}.part").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        receive(one_member("a", data=b"x"), {"a": 1}, folder)
    assert victim.read_text() == "precious"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_streams_end_in_one_error(tmp_path: Path, data: st.DataObject) -> None:
    stream = bytearray(
        archive({"a": b"1" * 600, "b": b"2" * 30}, data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    try:
        got = receive(bytes(stream[: data.draw(st.integers(0, len(stream)))]), {"a": 600, "b": 30}, tmp_path)
    except TransferError:
        got = []
    assert {file.name for file in got} <= {"a", "b"}
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b"}
