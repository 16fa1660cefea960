"""Connections, logins and host keys against real SSH servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rkparity.board.link.process import lines
from rkparity.board.link.ssh import SshTransport
from rkparity.board.link.ssh_settings import resolve
from rkparity.board.link.target import SshTarget
from rkparity.board.link.transport import Transport
from rkparity.cli.main import main
from rkparity.errors import BoardError, ConnectionFailed, HostKeyError, LoginRefused
from ssh_server import Faults, Server, dropbear, faulty, openssh

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with openssh(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def board(server: Server) -> Iterator[Transport]:
    with SshTransport.connect(server.target) as transport:
        yield transport


ODD_WORDS = ["a b", "quote's", 'double"', "$HOME", "`id`", "äöü 日本", "*", "", "-n", "back\\slash", "new\nline"]


def test_arguments_arrive_as_they_are(board: Transport) -> None:
    answer = board.run(["printf", "[%s]", *ODD_WORDS])
    assert answer.exit_code == 0
    assert answer.text == "".join(f"[{word}]" for word in ODD_WORDS)


def test_environment_folder_input_and_exit_code(board: Transport, tmp_path: Path) -> None:
    folder = tmp_path / "with space 'n quote"
    folder.mkdir()
    answer = board.run(
        ["sh", "-c", 'cat; pwd; echo "$A B"; echo problem >&2; exit 7'],
        env={"A B": "x", "A": "v 'q'"},
        cwd=str(folder),
        stdin=b"given\n",
    )
    assert answer.text == f"given\n{folder}\nv 'q' B\n"
    assert answer.stderr == "problem\n"
    assert answer.exit_code == 7


def test_death_by_signal_has_no_exit_code(board: Transport) -> None:
    assert board.run(["sh", "-c", "kill -9 $$"]).exit_code in (None, 137)


def test_a_command_that_takes_too_long_is_an_error(board: Transport) -> None:
    start = time.monotonic()
    with pytest.raises(BoardError, match=r"`sleep` did not end within 0\.3 s"):
        board.run(["sleep", "20"], timeout_s=0.3)
    assert time.monotonic() - start < 10


def test_much_standard_error_does_not_block(board: Transport) -> None:
    answer = board.run(["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' e >&2; echo end"], timeout_s=30)
    assert answer.text == "end\n"
    assert answer.stderr == "e" * 65536


def test_lines_come_one_by_one(board: Transport) -> None:
    with board.start(["sh", "-c", "printf 'one\\ntwo\\n\\nlast'"]) as process:
        assert list(lines(process)) == [b"one", b"two", b"", b"last"]


def test_bulk_data_go_through_the_systems_ssh(board: Transport) -> None:
    with board.start_bulk_script("head -c 3000000 /dev/zero; exit 5\n") as process:
        assert type(process).__name__ == "PipeProcess"
        total = 0
        while data := process.read(timeout_s=30):
            total += len(data)
        assert total == 3_000_000
        assert process.wait() == 5


def test_unknown_host_key_names_the_fingerprint(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*server.options[:-1], str(tmp_path / "empty")]
    assert main(["board", "info", options[1], *options[2:]]) == 3
    said = capsys.readouterr().err
    assert "unknown host key ssh-ed25519 SHA256:" in said
    assert "--accept-new-host-key" in said
    assert not (tmp_path / "empty").exists()


def test_a_new_key_is_remembered_when_accepted(server: Server, tmp_path: Path) -> None:
    target = replace(server.target, known_hosts=tmp_path / "sub" / "known_hosts", accept_new_host_key=True)
    SshTransport.connect(target).close()
    assert target.known_hosts is not None
    assert target.known_hosts.read_text() == server.known_hosts.read_text()
    SshTransport.connect(replace(target, accept_new_host_key=False)).close()


def test_a_changed_key_is_refused_even_when_new_ones_are_accepted(server: Server, tmp_path: Path) -> None:
    other = (server.folder / "id.pub").read_text().split()[1]
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} ssh-ed25519 {other}\n")
    before = known.read_text()
    with pytest.raises(HostKeyError, match="CHANGED") as caught:
        SshTransport.connect(replace(server.target, known_hosts=known, accept_new_host_key=True))
    assert "ssh-keygen -R" in caught.value.hint
    assert caught.value.exit_code == 3
    assert known.read_text() == before


def test_a_revoked_key_is_refused(server: Server, tmp_path: Path) -> None:
    line = server.known_hosts.read_text()
    known = tmp_path / "known_hosts"
    known.write_text(line + f"@revoked {line}")
    with pytest.raises(HostKeyError, match="revoked"):
        SshTransport.connect(replace(server.target, known_hosts=known))


def test_refused_login(server: Server) -> None:
    with pytest.raises(LoginRefused, match="refused the login") as caught:
        SshTransport.connect(replace(server.target, identity=server.folder / "host"))
    assert "--identity" in caught.value.hint


def test_nobody_listens(server: Server) -> None:
    with pytest.raises(ConnectionFailed, match=r"cannot reach 127\.0\.0\.1 port 1: Connection refused"):
        SshTransport.connect(replace(server.target, port=1))


def test_a_name_that_does_not_exist(server: Server) -> None:
    with pytest.raises(ConnectionFailed, match=r"cannot reach no-such-board\.invalid"):
        SshTransport.connect(replace(server.target, host="no-such-board.invalid"))


def test_through_a_jump_host(server: Server, tmp_path: Path) -> None:
    target = replace(server.target, jump=f"{server.user}@127.0.0.1:{server.port}")
    with SshTransport.connect(target) as transport:
        assert transport.run(["echo", "there"]).text == "there\n"
        with transport.start_bulk(["echo", "bulk"]) as process:
            assert process.read() == b"bulk\n"


def test_names_of_the_ssh_configuration(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host myboard\n HostName 127.0.0.1\n Port {server.port}\n User {server.user}\n"
        f" IdentityFile {server.identity}\n UserKnownHostsFile {server.known_hosts}\n"
        f"Host behind\n HostName 127.0.0.1\n Port {server.port}\n User {server.user}\n ProxyJump myboard\n"
        f" IdentityFile {server.identity}\n UserKnownHostsFile {server.known_hosts}\n"
    )
    for name, hops in (("myboard", 0), ("behind", 1)):
        settings = resolve(SshTarget(name), config_file=config)
        assert len(settings.jumps) == hops
        with SshTransport.connect(SshTarget(name), settings=settings) as transport:
            assert transport.run(["echo", name]).text == f"{name}\n"


def test_password_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim ß\n")
    (tmp_path / "wrong").write_text("other\n")
    with faulty(tmp_path, Faults(password="geheim ß")) as server:  # noqa: S106
        target = replace(server.target, identity=None, password_file=tmp_path / "password")
        with SshTransport.connect(target) as transport:
            assert transport.run(["echo", "in"]).text == "in\n"
            with transport.start_bulk_script("exit 4\n") as process:
                assert process.wait(timeout_s=20) == 4
        with pytest.raises(LoginRefused, match="tried the password"):
            SshTransport.connect(replace(target, password_file=tmp_path / "wrong"))


def test_connection_lost_while_a_command_runs(tmp_path: Path) -> None:
    with faulty(tmp_path, Faults(drop_after=100_000)) as server, SshTransport.connect(server.target) as transport:
        with pytest.raises(ConnectionFailed, match="the connection was lost"):
            transport.run(["head", "-c", "10000000", "/dev/zero"])
        with pytest.raises(ConnectionFailed):
            transport.run(["true"])


def test_no_ssh_server_at_the_other_end(tmp_path: Path) -> None:
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        connection.close()

    threading.Thread(target=greet, daemon=True).start()
    known = tmp_path / "known_hosts"
    target = SshTarget("127.0.0.1", user="u", port=listener.getsockname()[1], known_hosts=known)
    with listener, pytest.raises(ConnectionFailed, match="SSH connection failed"):
        SshTransport.connect(target)


def test_dropbear(tmp_path: Path) -> None:
    with dropbear(tmp_path) as server, SshTransport.connect(server.target) as transport:
        assert transport.run(["printf", "[%s]", *ODD_WORDS]).text == "".join(f"[{word}]" for word in ODD_WORDS)
        assert transport.bulk_limit_nbytes == 256 << 20
        long_list = " ".join(f"word{number:06d}" for number in range(3000))
        assert transport.run_script(f"echo {long_list}\n").text == long_list + "\n"
        for system in (True, False):
            if not system:
                transport._system = None
            with transport.start_bulk_script(f"echo {long_list}\n") as process:
                data = b""
                while piece := process.read(timeout_s=20):
                    data += piece
                assert data.decode() == long_list + "\n"
