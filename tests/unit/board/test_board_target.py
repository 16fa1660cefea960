"""How boards are named, what the board file says, and which kit fits."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from rkparity.board.files.progress import PlainReporter, Reporter, printable, size_text
from rkparity.board.install.build_kit import local_kit
from rkparity.board.install.find_kit import find_kit
from rkparity.board.install.kit import normal_arch, read_kit
from rkparity.board.link.ssh_settings import resolve
from rkparity.board.link.target import AdbTarget, LocalTarget, SshTarget, parse_target
from rkparity.board.runs.events import agent_error, listen, parse_event
from rkparity.board.runs.job import InputFile, RunSettings, api_of
from rkparity.cli.options import add_board_options, target_of
from rkparity.errors import AgentError, BoardError, ConfigError, DataError, UsageError


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("board", SshTarget("board")),
        ("root@10.0.0.7", SshTarget("10.0.0.7", user="root")),
        ("u.s-er@board.local:2222", SshTarget("board.local", user="u.s-er", port=2222)),
        ("root@[fe80::1%eth0]:22", SshTarget("fe80::1%eth0", user="root", port=22)),
        ("adb", AdbTarget("")),
        ("adb:0123ABC", AdbTarget("0123ABC")),
        ("local:", LocalTarget(None)),
        ("local:/b", LocalTarget(Path("/b"))),
    ],
)
def test_names_of_boards(text: str, target: object) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "root@-oProxyCommand=x", "a b", "host:0", "host:70000", "h:p", "a@b@c", "-x@host"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_target(text)


def test_board_file(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    value = {
        "host": "127.0.0.1",
        "port": 4022,
        "user": "me",
        "identity": "keys/id",
        "known_hosts": "/abs/known",
        "pid": 1,
    }
    file.write_text(json.dumps(value))
    assert parse_target(f"@{file}") == SshTarget(
        "127.0.0.1", "me", 4022, tmp_path / "keys/id", known_hosts=Path("/abs/known")
    )
    file.write_text('{"host": "h", "port": "22"}')
    with pytest.raises(ConfigError, match="port must be a number, not '22'"):
        parse_target(f"@{file}")
    file.write_text("{}")
    with pytest.raises(ConfigError, match='at least "host"'):
        parse_target(f"@{file}")
    file.write_text("[]")
    with pytest.raises(ConfigError, match="must hold a JSON object, not list"):
        parse_target(f"@{file}")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        parse_target(f"@{tmp_path}/none")


def test_options_win_over_the_board_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    parser = argparse.ArgumentParser()
    add_board_options(parser)
    target = target_of(
        parser.parse_args(["--board", "u@h", "--identity", str(key), "--jump", "j", "--accept-new-host-key"])
    )
    assert target == SshTarget("h", "u", None, key, jump="j", accept_new_host_key=True)
    with pytest.raises(UsageError, match="--identity /none: no such file"):
        target_of(parser.parse_args(["--board", "h", "--identity", "/none"]))
    with pytest.raises(UsageError, match="--jump has no meaning for local:"):
        target_of(parser.parse_args(["--board", "local:", "--jump", "j"]))
    with pytest.raises(UsageError, match="no board given"):
        target_of(parser.parse_args([]))


def test_ssh_configuration_is_merged(tmp_path: Path) -> None:
    config = tmp_path / "config"
    key = tmp_path / "id"
    key.write_text("x")
    config.write_text(
        f"Host b\n HostName 10.1.1.1\n Port 2022\n User pi\n IdentityFile {key}\nHost loop\n ProxyJump loop\n"
    )
    settings = resolve(SshTarget("b"), config_file=config)
    assert (settings.host, settings.port, settings.user, settings.identities) == ("10.1.1.1", 2022, "pi", (key,))
    assert settings.name == "pi@10.1.1.1:2022"
    given = resolve(SshTarget("b", user="root", port=22), config_file=config)
    assert (given.name, given.only_these_identities) == ("root@10.1.1.1", False)
    with pytest.raises(ConfigError, match="ProxyJump leads back to loop"):
        resolve(SshTarget("loop"), config_file=config)
    with pytest.raises(UsageError, match="--password-file"):
        resolve(SshTarget("b", password_file=tmp_path / "none"), config_file=config)


def test_architectures() -> None:
    assert [normal_arch(name) for name in ("aarch64", "arm64", "armv8l", "armv7l", "x86_64")] == [
        "aarch64",
        "aarch64",
        "armv7l",
        "armv7l",
        "x86_64",
    ]


def test_a_kit_of_this_installation(tmp_path: Path) -> None:
    kit = local_kit(tmp_path / "kit")
    assert kit.has_agent
    assert "rkparity_agent/__main__.py" in kit.files
    assert any(name.startswith("backends/cp3") for name in kit.files)
    assert read_kit(tmp_path / "kit") == kit
    assert local_kit(tmp_path / "again").hash == kit.hash
    (tmp_path / "kit" / "agent.py").unlink()
    with pytest.raises(DataError, match=r"the kit lacks agent\.py"):
        read_kit(tmp_path / "kit")


def test_kits_that_lead_out_of_their_folder_are_refused(tmp_path: Path) -> None:
    value = {
        "schema": "rkparity.kit/1",
        "arch": "riscv64",
        "version": "1",
        "hash": "x",
        "files": {"../../etc/passwd": "0"},
    }
    (tmp_path / "kit.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match="leads out of the folder"):
        read_kit(tmp_path)


def test_no_kit_names_how_to_build_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKPARITY_KITS", str(tmp_path))
    with pytest.raises(BoardError, match="no board kit for riscv64") as caught:
        find_kit("riscv64", scratch=tmp_path)
    assert "scripts/build-kit --arch riscv64" in caught.value.hint


def test_events() -> None:
    assert parse_event(b'{"event":"start","pid":1}')["pid"] == 1
    for line in (b"hello", b"[]", b'{"pid":1}', b'{"event":1}', b"[" * 100_000, b"\xff"):
        with pytest.raises(AgentError, match="is not its protocol"):
            parse_event(line)
    assert listen([b'{"event":"start"}', b"", b'{"event":"result","x":1}'], Reporter()) == {"event": "result", "x": 1}
    assert listen([b'{"event":"start"}'], Reporter()) is None
    error = agent_error({"message": "m", "hint": "h", "exit_code": 2, "call": "rknn_run", "code_name": "RKNN_ERR_FAIL"})
    assert (str(error), error.hint, error.exit_code) == ("on the board: m (rknn_run: RKNN_ERR_FAIL)", "h", 2)


def test_inputs_are_checked_before_anything_is_sent(tmp_path: Path) -> None:
    raw = tmp_path / "x.bin"
    raw.write_bytes(bytes(6))
    with pytest.raises(UsageError, match="does not say its type"):
        InputFile(raw).check()
    with pytest.raises(DataError, match="6 bytes are no whole number of FLOAT32"):
        InputFile(raw, type="FLOAT32").check()
    InputFile(raw, type="INT16").check()
    assert InputFile(raw, type="INT16").load().shape == (3,)
    picture = tmp_path / "x.png"
    picture.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"is neither \.npy nor \.bin"):
        InputFile(picture).check()
    assert RunSettings().job("m", [("/f/x.bin", InputFile(raw, "INT16", "NHWC", True))], "/f")["inputs"] == [
        {"file": "/f/x.bin", "type": "INT16", "fmt": "NHWC", "pass_through": True}
    ]


def test_text_from_a_board_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[2Jb\r\nü\udcff") == "a\\x1b[2Jb\\x0d\\x0aü\\udcff"
    PlainReporter().note("\x1b]0;title\x07")
    assert capsys.readouterr().err == "\\x1b]0;title\\x07\n"
    assert [size_text(value) for value in (999, 1500, 2_500_000, 3e9)] == ["999 B", "1.5 kB", "2.5 MB", "3.00 GB"]


def test_the_chips_whose_runtime_has_one_api_only_are_run_with_it() -> None:
    chips = ("rk3588", "rv1103", "rv1106", "RV1106", "rv1106b", "")
    assert [api_of(chip) for chip in chips] == ["general", "zero-copy", "zero-copy", "zero-copy", "general", "general"]
