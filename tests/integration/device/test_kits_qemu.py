"""Board kits for aarch64 and armhf, run under qemu-user against the cross-built test double."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from agent_bench import DUMPS, Answer, answer, image
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, ROOT, Double, build_double
from support import require

pytestmark = pytest.mark.qemu

QEMU = {"aarch64": "qemu-aarch64-static", "armhf": "qemu-arm-static"}
TRIPLET = {"aarch64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf"}
GLIBC = {"aarch64": (2, 17), "armhf": (2, 28)}


@pytest.fixture(scope="session")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both kits, built once."""
    for arch in QEMU:
        for tool in (QEMU[arch], f"{TRIPLET[arch]}-gcc", f"{TRIPLET[arch]}-objdump"):
            require(shutil.which(tool), f"{tool} is not installed")
    require(shutil.which("cmake"), "cmake is not installed")
    out = tmp_path_factory.mktemp("kits")
    for arch in QEMU:
        done = subprocess.run(
            [str(ROOT / "scripts" / "build-kit"), "--arch", arch, "--out", str(out)],
            env={**os.environ, "RKPARITY_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        if "pip download" in done.stderr:
            require(False, f"cffi's wheels cannot be fetched: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def sysroot() -> Path:
    """An aarch64 Python; kept between test runs in the user's cache."""
    require(shutil.which("apt-get"), "apt-get is not here to fetch an aarch64 Python")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rkparity" / "qemu-sysroot"
    done = subprocess.run(
        [str(ROOT / "scripts" / "qemu-sysroot"), str(folder)], capture_output=True, text=True, check=False
    )
    require(done.returncode == 0, f"no aarch64 Python: {done.stderr[-300:]}")
    return folder


def crossed(arch: str, folder: Path) -> Double:
    made = Double(build_double(folder, compiler=f"{TRIPLET[arch]}-gcc"), folder)
    made.configure(IMAGE_INPUT, IMAGE_OUTPUT, *DUMPS)
    np.save(folder / "x.npy", image())
    return made


def under_qemu(arch: str, root: Path, double: Double, *arguments: str, stdin: bytes = b"") -> Answer:
    done = subprocess.run(
        [QEMU[arch], "-L", str(root), *arguments],
        input=stdin,
        env={"PATH": "/usr/bin", **double.environment},
        cwd=double.folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return answer(done)


@pytest.mark.parametrize("arch", ["aarch64", "armhf"])
def test_binaries_need_no_new_glibc(kits: Path, arch: str) -> None:
    binaries = [path for path in (kits / arch).rglob("*") if path.suffix == ".so" or path.name == "rkrun"]
    assert len(binaries) == (9 if arch == "aarch64" else 2)
    for binary in binaries:
        table = subprocess.run(
            [f"{TRIPLET[arch]}-objdump", "-T", str(binary)], capture_output=True, text=True, check=True
        ).stdout
        needed = {(int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", table)}
        assert max(needed) <= GLIBC[arch], binary.name


@pytest.mark.parametrize("arch", ["aarch64", "armhf"])
def test_kit_json_describes_the_kit(kits: Path, arch: str) -> None:
    kit = json.loads((kits / arch / "kit.json").read_text())
    assert (kit["schema"], kit["arch"]) == ("rkparity.kit/1", {"aarch64": "aarch64", "armhf": "armv7l"}[arch])
    present = {path.relative_to(kits / arch).as_posix() for path in (kits / arch).rglob("*") if path.is_file()}
    assert set(kit["files"]) == present - {"kit.json"}
    for name, digest in kit["files"].items():
        assert hashlib.sha256((kits / arch / name).read_bytes()).hexdigest() == digest
    with tarfile.open(kits / f"rkparity-kit-{arch}-{kit['version']}.tar") as tar:
        files = [member for member in tar if member.isfile()]
        assert {member.name for member in files} == present
        assert {(member.mtime, member.uid, member.gname) for member in files} == {(0, 0, "")}


def test_kit_is_the_same_when_built_again(kits: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "RKPARITY_PYTHON": sys.executable}
    command = [str(ROOT / "scripts" / "build-kit"), "--arch", "armhf", "--out", str(tmp_path)]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    (first,) = kits.glob("rkparity-kit-armhf-*.tar")
    assert (tmp_path / first.name).read_bytes() == first.read_bytes()


@pytest.mark.parametrize("arch", ["aarch64", "armhf"])
@pytest.mark.parametrize("api", ["general", "zero-copy"])
def test_rkrun_on_the_board(kits: Path, tmp_path: Path, arch: str, api: str) -> None:
    double = crossed(arch, tmp_path)
    arguments = ["--model", str(double.model), "--library", str(double.library)]
    root = Path("/usr") / TRIPLET[arch]
    program = str(kits / arch / "bin" / "rkrun")
    query = under_qemu(arch, root, double, program, "query", *arguments)
    assert query.result["inputs"][0]["dims"] == [1, 9, 30, 3]
    found = under_qemu(
        arch,
        root,
        double,
        program,
        "run",
        *arguments,
        *("--input", "x.npy", "--api", api, "--want-float", "1", "--dump-dir", "d", "--output-dir", "o"),
    )
    (output,) = found.result["outputs"]
    assert (output["dtype"], output["shape"]) == ("float32", [1, 5, 9, 30])
    values = np.load(tmp_path / "o" / "output0.npy")
    assert np.array_equal(values.ravel(), np.arange(1350, dtype="f4") / 2)
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [line.split()[1] for line in DUMPS]
    if api == "general":
        assert double.received("input0") == image().tobytes()
    else:
        memory = np.frombuffer(double.received("mem_in0"), dtype="u1").reshape(9, 32, 3)
        assert np.array_equal(memory[:, :30], image()[0])


@pytest.mark.parametrize("api", ["general", "zero-copy"])
def test_agent_on_an_aarch64_python(kits: Path, sysroot: Path, tmp_path: Path, api: str) -> None:
    double = crossed("aarch64", tmp_path)
    program = [str(sysroot / "usr" / "bin" / "python3"), str(kits / "aarch64" / "agent.py")]
    check = under_qemu("aarch64", sysroot, double, *program, "selfcheck").result
    assert (check["arch"], check["chip"]) == ("aarch64", "rk3588")
    job = {
        "schema": "rkparity.job/1",
        "library": str(double.library),
        "model": str(double.model),
        "api": api,
        "inputs": [{"file": str(tmp_path / "x.npy")}],
        "want_float": False,
        "dump_dir": str(tmp_path / "dumps"),
        "output_dir": str(tmp_path / "out"),
    }
    result = under_qemu(
        "aarch64", sysroot, double, *program, "run", "--job", "-", stdin=json.dumps(job).encode()
    ).result
    assert [dump["file"] for dump in result["dumps"]] == [line.split()[1] for line in DUMPS]
    values = np.load(tmp_path / "out" / "output0.npy")
    assert (values.dtype, values.shape) == (np.dtype("i1"), (1, 5, 9, 30))
    assert np.array_equal(values.ravel(), (np.arange(1350) & 127).astype("i1"))
    digest = under_qemu("aarch64", sysroot, double, *program, "digest", str(tmp_path / "dumps")).result
    assert digest["files"][0]["statistics"]["n"] == 810
