"""The whole check on a small model with a virtual board over SSH, and what it writes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from check_projects import MEAN, STD, fed, other_toolkits, picture, toolkit_python, write_project

import traced_app
from rkparity.cli.main import main
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.snapshot_table import read_table
from support import require

pytestmark = pytest.mark.toolkit
CASE = Path(__file__).resolve().parents[2] / "data" / "toolkit" / "cnn_classifier.zip"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> traced_app.Built:
    return traced_app.build(traced_app.NATIVE, tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, built: traced_app.Built) -> Path:
    """A project with the program of the lint tests as its application."""
    toolkit_python()
    home = tmp_path_factory.mktemp("project")
    with zipfile.ZipFile(CASE) as archive:
        archive.extractall(home)  # noqa: S202 - our own archive
    case = home / "cnn_classifier"
    config = json.loads((case / "case.json").read_text())["config"]
    script = "import sys, cv2; cv2.imread(sys.argv[1])[..., ::-1].tofile(sys.argv[2])"
    subprocess.run(
        [str(find_toolkit_python(None)), "-c", script, str(case / "data/s6_0.png"), str(home / "pixels.bin")],
        check=True,
    )
    shutil.copy(built.app, home / "app")
    (home / "rkparity.toml").write_text(
        f"""
name = "small"
[model]
file = "cnn_classifier/model.onnx"
[build]
mean_values = {config["mean_values"]}
std_values = {config["std_values"]}
do_quantization = true
dataset = "cnn_classifier/dataset.txt"
[input]
files = ["cnn_classifier/data/s6_0.png"]
[original]
mean = {config["mean_values"][0]}
std = {config["std_values"][0]}
[board]
application = ["./app", "{{model}}", "--data", "pixels.bin"]
uploads = ["app", "pixels.bin"]
"""
    )
    return home


def check(folder: Path, built: traced_app.Built, *options: str) -> tuple[int, dict[str, Any]]:
    """Runs the command; its exit code and its JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RKPARITY_EMULATOR_LIBRARY", str(built.libraries / "librknnrt.so"))
        patch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
        out = folder / "check.json"
        code = main(
            [
                "check",
                "--project",
                str(folder / "rkparity.toml"),
                "--virtual",
                "--quiet",
                "--force",
                "--json",
                str(out),
                *options,
            ]
        )
    return code, json.loads(out.read_text())


@pytest.fixture(scope="module")
def first(folder: Path, built: traced_app.Built) -> tuple[int, dict[str, Any]]:
    return check(folder, built, "--junit", str(folder / "check.xml"), "--markdown", str(folder / "check.md"), "--fresh")


def test_every_stage_passes(first: tuple[int, dict[str, Any]]) -> None:
    code, report = first
    verdicts = {stage["stage"]: stage["verdict"] for stage in report["stages"]}
    assert list(verdicts) == ["fp16", "quantized", "connected", "runtime"]
    assert set(verdicts.values()) <= {"pass", "warn"}, verdicts
    assert (code, report["schema"], report["exit_code"]) == (0, "rkparity.check/1", 0)
    for stage in report["stages"]:
        assert 1 <= len(stage["facts"]) <= 3
        assert stage["next_action"]
        assert not stage["reused"]
    assert report["versions"]["toolkit"] and report["disk_nbytes"] > 0 and report["seconds"] > 1


def test_the_toolkits_table_has_four_columns_from_our_dumps(first: tuple[int, dict[str, Any]], folder: Path) -> None:
    connected = first[1]["stages"][2]
    rows = read_table(folder / ".rkparity" / connected["artefacts"]["error_analysis"])
    measured = [row for row in rows if row.runtime_entire is not None]
    assert len(measured) == 10
    for row in measured:
        assert row.runtime_single is not None and row.runtime_single.cosine is not None
        assert row.runtime_single.cosine > 0.9999
        assert row.entire is not None and row.runtime_entire is not None
        assert abs((row.runtime_entire.cosine or 0) - (row.entire.cosine or 0)) < 1e-4
    assert "no runtime bug" in connected["facts"][1]


def adb_listens() -> bool:
    """Whether an adb server is on its port; the toolkit's own way to a board starts one."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 5037)) == 0


def test_the_four_columns_come_over_ssh_without_adb_on_other_toolkits(
    folder: Path, built: traced_app.Built, tmp_path: Path
) -> None:
    pythons = other_toolkits()
    require(pythons, "no other toolkit version: set RKPARITY_TEST_TOOLKITS")
    listened = adb_listens()
    text = (folder / "rkparity.toml").read_text()
    for number, python in enumerate(pythons):
        home = tmp_path / str(number)
        shutil.copytree(folder / "cnn_classifier", home / "cnn_classifier")
        (home / "rkparity.toml").write_text(text[: text.index("[board]")])
        code, report = check(home, built, "--stage", "connected", "--toolkit-python", str(python))
        assert code == 0
        assert report["versions"]["toolkit"] != "2.5.0"
        connected = report["stages"][2]
        rows = read_table(home / ".rkparity" / connected["artefacts"]["error_analysis"])
        measured = [row for row in rows if row.runtime_entire is not None]
        assert (connected["verdict"], len(measured)) == ("pass", 10)
        assert all((row.runtime_single.cosine or 0) > 0.9999 for row in measured if row.runtime_single is not None)
    assert adb_listens() == listened


def test_the_disk_holds_at_most_three_times_the_tensors_of_one_run(
    first: tuple[int, dict[str, Any]], folder: Path
) -> None:
    work = folder / ".rkparity" / "work"
    one = sum(path.stat().st_size for path in next(work.glob("fp16-*")).rglob("tensors/*.npy"))
    every = sum(path.stat().st_size for path in work.rglob("*.npy"))
    assert every <= 3 * one


def test_junit_and_markdown_say_the_same(first: tuple[int, dict[str, Any]], folder: Path) -> None:
    suite = ElementTree.parse(folder / "check.xml").getroot().find("testsuite")  # noqa: S314 - written by us
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
    }
    assert [case.get("name") for case in suite.iter("testcase")] == ["fp16", "quantized", "connected", "runtime"]
    text = (folder / "check.md").read_text()
    assert text.startswith("# rkparity check: small: ")
    assert text.count("\n## ") == 4


def test_nothing_is_done_again_when_nothing_changed(
    first: tuple[int, dict[str, Any]], folder: Path, built: traced_app.Built
) -> None:
    code, report = check(folder, built, "--resume")
    assert code == 0
    assert [stage["reused"] for stage in report["stages"]] == [True] * 4
    assert report["seconds"] < first[1]["seconds"] / 2


def test_the_bundle_holds_what_the_vendor_asks_for(first: tuple[int, dict[str, Any]], folder: Path) -> None:
    out = folder / "bundle.tar.gz"
    assert main(["bundle", "--project", str(folder / "rkparity.toml"), "-o", str(out), "--force"]) == 0
    with tarfile.open(out) as tar:
        names = tar.getnames()
        assert all(member.uname == "" and member.uid == 0 for member in tar.getmembers() if member.name != "")
    for needed in ("bundle.json", "report.md", "model/model.onnx", "input/0.png", "connected/error_analysis.txt"):
        assert f"small/{needed}" in names
    assert any(name.endswith(".rknn") for name in names)
    assert sum(name.startswith("small/connected/board-run/dumps/") for name in names) == 12
    assert main(["bundle", "--project", str(folder / "rkparity.toml"), "-o", str(out)]) == 2


def test_a_mistake_of_the_program_fails_only_stage_runtime(
    first: tuple[int, dict[str, Any]], folder: Path, built: traced_app.Built
) -> None:
    pixels = np.fromfile(folder / "pixels.bin", np.uint8).reshape(-1, 3)
    pixels[:, ::-1].copy().tofile(folder / "pixels.bin")
    code, report = check(folder, built)
    pixels.copy().tofile(folder / "pixels.bin")
    verdicts = [stage["verdict"] for stage in report["stages"]]
    assert code == 1 and verdicts[3] == "fail" and "fail" not in verdicts[:3]
    assert [stage["reused"] for stage in report["stages"][:3]] == [True] * 3
    assert any("bgr" in finding["id"] or "channel" in finding["id"] for finding in report["stages"][3]["findings"])


def test_a_stage_behind_a_failing_one_is_not_judged(folder: Path, built: traced_app.Built, tmp_path: Path) -> None:
    text = (folder / "rkparity.toml").read_text().replace('"cnn_classifier/', f'"{folder}/cnn_classifier/')
    text = text.replace('uploads = ["app", "pixels.bin"]', "").replace("application =", "# application =")
    wrong = text.replace("mean = [", "mean = [50.0, 20.0, 10.0]\n# mean = [")
    (tmp_path / "rkparity.toml").write_text(wrong)
    code, report = check(tmp_path, built)
    assert code == 1
    assert [stage["verdict"] for stage in report["stages"]] == ["fail", "not run", "not run", "not run"]
    assert report["stages"][0]["findings"][0]["id"] == "config.mean_std.values"
    assert report["next_action"] == report["stages"][0]["findings"][0]["fix"]
    code, report = check(tmp_path, built, "--stage", "connected")
    assert code == 1
    assert [stage["verdict"] for stage in report["stages"]] == ["fail", "not run", "not judged", "not run"]


def test_without_a_board_the_board_stages_say_so(folder: Path, tmp_path: Path) -> None:
    out = folder / "no-board.json"
    assert main(["check", "--project", str(folder), "--quiet", "--json", str(out)]) == 0
    stages = json.loads(out.read_text())["stages"]
    assert [stage["verdict"] for stage in stages[2:]] == ["not run", "not run"]
    assert "--virtual" in stages[2]["next_action"]


def test_no_adb_was_started() -> None:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().split(b"\0")
        except OSError:
            continue
        assert line[0].rpartition(b"/")[2] != b"adb"


def test_a_qat_model_goes_the_whole_way(built: traced_app.Built, tmp_path: Path) -> None:
    toolkit_python()
    project = write_project(
        tmp_path,
        model="trained",
        mean=MEAN,
        std=STD,
        original=fed(picture()),
        build='do_quantization = true\ndataset = "dataset.txt"',
    )
    np.save(tmp_path / "calibration.npy", np.ascontiguousarray(picture().transpose(0, 3, 1, 2)))
    (tmp_path / "dataset.txt").write_text("calibration.npy\n")
    code, report = check(project.parent, built)
    assert code == 0
    assert [stage["verdict"] for stage in report["stages"]] == ["pass", "warn", "pass", "not run"]
    quantized, connected = report["stages"][1:3]
    assert quantized["findings"][0]["id"] == "quantized.qat_model"
    assert quantized["next_action"] == "set do_quantization = false in [build]"
    rows = read_table(project.parent / ".rkparity" / connected["artefacts"]["error_analysis"])
    measured = [row.runtime_single for row in rows if row.runtime_single is not None]
    assert measured and all((cell.cosine or 0) > 0.9999 for cell in measured)
    project.write_text(project.read_text().replace("do_quantization = true", "do_quantization = false"))
    code, report = check(project.parent, built)
    assert [stage["verdict"] for stage in report["stages"]] == ["pass", "pass", "pass", "not run"]
    assert report["verdict"] == "pass"
