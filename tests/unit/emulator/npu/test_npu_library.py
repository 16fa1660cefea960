"""What a library's file says of it, and what is missing to run it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from rkparity.emulator.npu import guest
from rkparity.emulator.npu.guest import DRIVERS_VARIABLE, find_guest, install_tools
from rkparity.emulator.npu.library import VendorLibrary, read_library
from rkparity.errors import RkparityError, UsageError

SYMBOLS = b"\0rknn_init\0rknn_destroy\0rknn_query\0rknn_run\0"


def library(path: Path, *, machine: int = 183, text: bytes = b"librknnrt version: 1.5.2 (x)", symbols: bytes = SYMBOLS):
    path.write_bytes(b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(60) + symbols + text + b"\0")
    return path


def test_version_and_machine_are_read(tmp_path: Path) -> None:
    found = read_library(library(tmp_path / "librknnrt.so"))
    assert (found.version, found.arch, found.machine) == ((1, 5, 2), "aarch64", 183)
    assert found.driver_version == 803
    assert found.about() == "the vendor's librknnrt 1.5.2 (aarch64)"
    newer = read_library(library(tmp_path / "b.so", machine=40, text=b"librknnrt version: 2.3.2 (x)"))
    assert (newer.arch, newer.driver_version) == ("armv7l", 908)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machine": 62}, "another machine"),
        ({"text": b"nothing"}, "does not say which librknnrt"),
        ({"text": b"librknnrt version: 1.3.0 (x)"}, "1.3.0; the stand-in NPU serves 1.4.0"),
        ({"text": b"librknnmrt version: 2.3.2 (x)"}, "mini runtime"),
        ({"symbols": b"\0rknn_init\0rknn_query\0"}, "does not export rknn_destroy, rknn_run"),
    ],
)
def test_a_library_that_will_not_do_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_library(library(tmp_path / "librknnrt.so", **changes))  # type: ignore[arg-type]


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="not a shared library"):
        read_library(tmp_path / "text")
    with pytest.raises(UsageError, match="cannot be read"):
        read_library(tmp_path / "none")


@pytest.fixture
def arm(tmp_path: Path) -> VendorLibrary:
    return read_library(library(tmp_path / "librknnrt.so"))


def sysroot(path: Path) -> Path:
    (path / "lib").mkdir(parents=True)
    for name in ("ld-linux-aarch64.so.1", "libc.so.6", "libstdc++.so.6"):
        (path / "lib" / name).touch()
    return path


def drivers(path: Path) -> Path:
    (path / "aarch64").mkdir(parents=True)
    (path / "aarch64" / guest.DRIVER_NAME).touch()
    (path / guest.EXEC_NAME).touch()
    return path


def test_a_missing_emulator_is_named_with_its_packages(
    arm: VendorLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(guest.shutil, "which", lambda name: None)
    with pytest.raises(RkparityError, match="qemu-aarch64-static is not installed") as caught:
        find_guest(arm)
    assert "apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross" in caught.value.hint


def test_a_sysroot_without_the_cpp_library_is_named(
    arm: VendorLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(guest.shutil, "which", lambda name: f"/usr/bin/{name}")
    root = sysroot(tmp_path / "root")
    (root / "lib" / "libstdc++.so.6").unlink()
    with pytest.raises(RkparityError, match=r"holds no libstdc\+\+.so.6") as caught:
        find_guest(arm, root)
    assert "libstdc++6-arm64-cross" in caught.value.hint
    with pytest.raises(RkparityError, match="no Arm C libraries"):
        find_guest(arm, tmp_path / "none")


def test_a_missing_driver_is_named(arm: VendorLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(guest.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv(DRIVERS_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(RkparityError, match="stand-in driver") as caught:
        find_guest(arm, sysroot(tmp_path / "root"))
    assert "gcc-aarch64-linux-gnu" in caught.value.hint


def test_the_tools_are_of_the_boards_machine(
    arm: VendorLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(guest.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv(DRIVERS_VARIABLE, str(drivers(tmp_path / "drivers")))
    root = sysroot(tmp_path / "root")
    found = find_guest(arm, root)
    environment = found.environment()
    assert environment["RKPARITY_GUEST_EMULATOR"] == "/usr/bin/qemu-aarch64-static"
    assert environment["LD_PRELOAD"] == str(tmp_path / "drivers" / guest.EXEC_NAME)
    folder = tmp_path / "bin"
    folder.mkdir()
    install_tools(found, folder)
    assert "echo aarch64" in (folder / "uname").read_text()
    assert "no Python" in (folder / "python3").read_text()
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "python3").touch()
    install_tools(found, folder)
    assert (folder / "python3").resolve() == root / "usr" / "bin" / "python3"


def test_an_arm_machine_needs_no_emulator(arm: VendorLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest.platform, "machine", lambda: "aarch64")
    monkeypatch.setenv(DRIVERS_VARIABLE, str(drivers(tmp_path / "drivers")))
    found = find_guest(arm)
    assert found.emulator is None
    assert found.environment() == {"LD_PRELOAD": str(tmp_path / "drivers" / "aarch64" / guest.DRIVER_NAME)}
