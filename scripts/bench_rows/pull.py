"""pull of 300 files, 300 MB, against tar over ssh, from an sshd on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench_rows.row import NotMeasured, Row, fastest
from rkparity.emulator.keys import make_key
from rkparity.emulator.openssh import OpenSshServer, find_sshd

FILES = 300
ELEMENTS = 250_000


def measure(work: Path) -> list[Row]:
    """Both write the same files to the same disk; rkparity also verifies what arrived and makes a run of it."""
    if find_sshd() is None or shutil.which("ssh") is None:
        raise NotMeasured("OpenSSH's sshd or ssh is not installed")
    import numpy as np

    dumps = work / "userdata"
    dumps.mkdir()
    random = np.random.default_rng(3)
    for number in range(FILES):
        tensor = random.standard_normal((1, 1, 500, ELEMENTS // 500), dtype=np.float32)
        np.save(dumps / f"{number:03d}_Conv_t{number}_shape_1_1_500_{ELEMENTS // 500}_float.npy", tensor)
    nbytes = sum(path.stat().st_size for path in dumps.iterdir())
    host_key, user_key = make_key(work / "host_key"), make_key(work / "user_key")
    server = OpenSshServer(work, host_key=host_key, user_key=user_key, home=work, environment={}, port=0)
    with contextlib.closing(server):
        known_hosts = work / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{server.port} {host_key.public_line}\n", encoding="ascii")
        with_tar, with_rkparity = fastest(
            lambda: tar_over_ssh(work, dumps, server), lambda: pull(work, dumps, server), rounds=3
        )
    return [
        Row(
            "pull: rate / tar over ssh",
            f"{with_tar / with_rkparity:.2f} ({nbytes / with_rkparity / 1e6:.0f} MB/s)",
            ">= 0.9",
            with_tar / with_rkparity >= 0.9,
        ),
    ]


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def tar_over_ssh(work: Path, dumps: Path, server: OpenSshServer) -> None:
    """ssh board tar -c | tar -x, both ends as they come."""
    out = fresh(work / "by-tar")
    out.mkdir()
    ssh = [
        "ssh",
        "-F",
        "none",
        "-p",
        str(server.port),
        "-i",
        str(work / "user_key"),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        f"UserKnownHostsFile={work / 'known_hosts'}",
        f"{server.user}@127.0.0.1",
        f"tar -C '{dumps}' -c .",
    ]
    with subprocess.Popen(ssh, stdout=subprocess.PIPE) as source:
        subprocess.run(["tar", "-C", str(out), "-x"], stdin=source.stdout, check=True)
    if source.returncode != 0 or len(list(out.iterdir())) != FILES:
        raise NotMeasured("tar over ssh does not work here")


def pull(work: Path, dumps: Path, server: OpenSshServer) -> None:
    """The whole command, start-up included."""
    out = fresh(work / "by-rkparity")
    board = [
        "--board",
        f"{server.user}@127.0.0.1:{server.port}",
        "--identity",
        str(work / "user_key"),
        "--known-hosts",
        str(work / "known_hosts"),
    ]
    command = [sys.executable, "-m", "rkparity", "pull", *board, "--from", str(dumps), "-o", str(out)]
    environment = {**os.environ, "HOME": str(work)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise NotMeasured(f"rkparity pull failed: {done.stderr.strip()}")
