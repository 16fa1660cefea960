"""The virtual board through both of its SSH servers: login, environment, processes, files, refusals."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from rkparity.emulator.keys import make_key
from rkparity.emulator.openssh import find_sshd
from rkparity.emulator.runtime import EmulatedRuntime, runtime_version
from rkparity.emulator.service import is_running, process_start, read_board_file, write_board_file
from rkparity.emulator.virtual_board import SshKind, VirtualBoard
from rkparity.errors import UsageError
from support import require

KINDS = [
    pytest.param(SshKind.OPENSSH, marks=pytest.mark.sshd, id="openssh"),
    pytest.param(SshKind.EMBEDDED, id="embedded"),
]


@pytest.fixture(params=KINDS)
def board(request: pytest.FixtureRequest, library_path: Path, counting_models: Any) -> Iterator[VirtualBoard]:
    if request.param is SshKind.OPENSSH:
        require(find_sshd(), "OpenSSH's sshd is not installed")
    with VirtualBoard(counting_models, ssh=request.param) as board:
        yield board


@contextlib.contextmanager
def logged_in(board: VirtualBoard, identity: Path | None = None) -> Iterator[paramiko.SSHClient]:
    client = paramiko.SSHClient()
    client.load_host_keys(str(board.known_hosts_file))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        board.host,
        board.port,
        board.user,
        key_filename=str(identity or board.identity_file),
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
    )
    try:
        yield client
    finally:
        client.close()


def run(client: paramiko.SSHClient, command: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
    stdin, stdout, stderr = client.exec_command(command)
    if given:
        stdin.channel.sendall(given)
    stdin.channel.shutdown_write()
    output, errors = stdout.read(), stderr.read()
    return stdout.channel.recv_exit_status(), output, errors


def test_commands(board: VirtualBoard) -> None:
    with logged_in(board) as client:
        assert run(client, "pwd") == (0, f"{board.home}\n".encode(), b"")
        assert run(client, "echo out; echo err >&2; exit 7") == (7, b"out\n", b"err\n")
        assert run(client, "kill -TERM $$")[0] in (143, -1)
        data = os.urandom(3_000_000)
        assert run(client, "cat", data) == (0, data, b"")
        _, output, _ = run(client, "echo $HOME $LD_LIBRARY_PATH $RKPARITY_LIBRKNNRT $RKPARITY_VIRTUAL_BOARD")
        assert output.decode().split() == [
            str(board.home),
            str(board.root / "lib"),
            str(board.root / "lib/librknnrt.so"),
            "rk3588",
        ]


def test_the_runtime_that_is_emulated(
    library_path: Path, counting_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RKPARITY_EMULATOR_VERSION", raising=False)
    assert [runtime_version(), runtime_version(chip="rv1106")] == ["1.6.0", "mini-2.3.2"]
    assert runtime_version("1.5.2", "rv1106") == "1.5.2"
    monkeypatch.setenv("RKPARITY_EMULATOR_VERSION", "1.5.2")
    assert runtime_version(chip="rk3588") == "1.5.2"
    with pytest.raises(UsageError, match=r"runtime '9\.9' is not emulated"):
        runtime_version("9.9")
    with EmulatedRuntime(counting_models, tmp_path) as runtime:
        assert runtime.environment()["RKPARITY_EMULATOR_VERSION"] == "1.5.2"


PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import emulated_library as e
runtime = e.Runtime(e.load(Path("librknnrt.so")))
assert runtime.init(Path(sys.argv[2]).read_bytes()) == 0 and runtime.run() == 0
print(runtime.version())
"""


def test_a_program_uses_the_runtime_by_its_plain_name(board: VirtualBoard, models: Path) -> None:
    model = models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn"
    (board.home / "program.py").write_text(PROGRAM)
    with logged_in(board) as client:
        code, output, errors = run(
            client, f"mkdir dumps && RKNN_LOG_LEVEL=5 {sys.executable} program.py {Path(__file__).parent} {model}"
        )
    assert code == 0, errors
    assert b"rkparity emulated runtime" in output
    assert sorted(path.name for path in (board.home / "dumps").iterdir()) == [
        "000_InputOperator_x_shape_1_3_9_30_float.npy",
        "001_Conv_y_shape_1_5_9_30_float.npy",
        "002_OutputOperator_y_shape_1_5_9_30_float.npy",
    ]


def test_python_is_the_one_at_work_here(board: VirtualBoard) -> None:
    with logged_in(board) as client:
        code, output, _ = run(client, "python3 -c 'import sys, json; print(sys.version_info[:3], sys.prefix)'")
    assert code == 0 and output.decode() == f"{tuple(sys.version_info[:3])} {sys.base_prefix}\n"


def test_sftp(board: VirtualBoard, tmp_path: Path) -> None:
    data = os.urandom(500_000)
    (tmp_path / "a").write_bytes(data)
    with logged_in(board) as client, client.open_sftp() as sftp:
        sftp.mkdir("folder")
        sftp.put(str(tmp_path / "a"), "folder/a")
        assert (board.home / "folder" / "a").read_bytes() == data
        assert sftp.listdir("folder") == ["a"]
        assert sftp.stat("folder/a").st_size == len(data)
        sftp.posix_rename("folder/a", "folder/b")
        sftp.chmod("folder/b", 0o600)
        assert (board.home / "folder" / "b").stat().st_mode & 0o777 == 0o600
        sftp.get("folder/b", str(tmp_path / "b"))
        assert (tmp_path / "b").read_bytes() == data
        sftp.remove("folder/b")
        sftp.rmdir("folder")
        with pytest.raises(FileNotFoundError):
            sftp.stat("folder")


def test_many_sessions_on_one_connection(board: VirtualBoard) -> None:
    with logged_in(board) as client:
        channels = [client.exec_command(f"sleep 0.2; echo {number}")[1] for number in range(6)]
        assert [channel.read() for channel in channels] == [f"{number}\n".encode() for number in range(6)]


def test_another_key_is_refused(board: VirtualBoard, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(paramiko.AuthenticationException), logged_in(board, stranger.private_file):
        pass


def test_another_host_key_is_noticed(board: VirtualBoard, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    board.known_hosts_file.write_text(f"[{board.host}]:{board.port} {other.public_line}\n")
    with pytest.raises(paramiko.BadHostKeyException), logged_in(board):
        pass


def test_everything_is_gone_afterwards(library_path: Path, counting_models: Any) -> None:
    with VirtualBoard(counting_models, ssh=SshKind.EMBEDDED) as board:
        root, port = board.root, board.port
        assert (root / "lib" / "librknnrt.so").is_file()
    assert not root.exists()
    client = paramiko.SSHClient()
    with pytest.raises(OSError, match="Unable to connect"):
        client.connect("127.0.0.1", port, timeout=5)


def test_a_lost_client_takes_its_command_with_it(library_path: Path, counting_models: Any) -> None:
    with VirtualBoard(counting_models, ssh=SshKind.EMBEDDED) as board:
        with logged_in(board) as client:
            _, stdout, _ = client.exec_command("echo $$; exec sleep 60")
            pid = int(stdout.readline())
        deadline = time.monotonic() + 10
        while process_start(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (
            not Path(f"/proc/{pid}").exists()
            or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        )


def test_board_file(library_path: Path, counting_models: Any, tmp_path: Path) -> None:
    with VirtualBoard(counting_models, ssh=SshKind.EMBEDDED, chip="rk3566") as board:
        write_board_file(tmp_path / "board.json", board)
        record = read_board_file(tmp_path / "board.json")
        assert (record["host"], record["port"], record["user"]) == ("127.0.0.1", board.port, board.user)
        assert (record["identity"], record["known_hosts"]) == (str(board.identity_file), str(board.known_hosts_file))
        assert record["chip"] == "rk3566" and is_running(record)
        assert not is_running({**record, "process_start": "1"})  # the same number, another process
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(UsageError, match="is not the file of a virtual board"):
        read_board_file(tmp_path / "no.json")


def test_both_libraries_and_the_switches_reach_the_board(
    library_path: Path, counting_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs for RV1103 and RV1106 link librknnmrt; faults ordered where the board starts hold on it."""
    lib = tmp_path / "installed"
    lib.mkdir()
    (lib / "librknnrt.so").write_bytes(library_path.read_bytes())
    (lib / "librknnmrt.so").write_bytes(b"the mini runtime")
    monkeypatch.setenv("RKPARITY_EMULATOR_LIBRARY", str(lib / "librknnrt.so"))
    monkeypatch.setenv("RKPARITY_EMULATOR_FAULTS", "slow:1ms")
    monkeypatch.setenv("RKPARITY_EMULATOR_CACHE", "")
    with EmulatedRuntime(counting_models, tmp_path / "board") as runtime:
        assert (tmp_path / "board" / "lib" / "librknnmrt.so").read_bytes() == b"the mini runtime"
        assert runtime.environment()["RKPARITY_EMULATOR_FAULTS"] == "slow:1ms"
        assert "RKPARITY_EMULATOR_CACHE" not in runtime.environment()
