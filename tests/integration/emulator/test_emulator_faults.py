"""Ordered faults on the emulated library: what the program gets, what is dumped, what compare-dumps says of it."""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulated_library
import numpy as np
import pytest
from emulated_library import Runtime

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.model import read_model

U8, NHWC = 3, 1
FAULTS = "RKPARITY_EMULATOR_FAULTS"
STEM, POOL, LAYER0, FC = (
    "/stem/Relu_output_0",
    "/pool/MaxPool_output_0",
    "/layer0/Relu_output_0",
    "/fc/Gemm_output_0_mm__float16",
)


class Bench:
    """A classifier of 64x64 pixels on the emulated library."""

    def __init__(self, library: ctypes.CDLL, rknn: Path, dumps: Path) -> None:
        self.library, self.rknn, self.dumps = library, rknn, dumps
        self.pixels = np.random.default_rng(5).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
        self.runtime = Runtime(library)
        assert self.runtime.init(rknn.read_bytes()) == 0

    def run(self) -> tuple[int, bytes]:
        """One run of this context; status and output 0."""
        assert self.runtime.inputs_set([(self.pixels.tobytes(), U8, NHWC, 0)]) == 0
        status = self.runtime.run()
        got, outputs = self.runtime.outputs_get([True])
        assert got == 0
        return status, outputs[0]

    def sizes(self) -> dict[str, int]:
        """The dump files' sizes by operator number and type."""
        return {"_".join(path.name.split("_")[:2]): path.stat().st_size for path in sorted(self.dumps.iterdir())}


@pytest.fixture
def rknn(models: Path) -> Path:
    return models / "cnn_classifier" / "c25_cnn_classifier_int8.rknn"


@pytest.fixture
def bench(
    library: ctypes.CDLL,
    counting_models: Any,
    served: Any,
    rknn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.delenv(FAULTS, raising=False)
    with served(counting_models.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
        yield Bench(library, rknn, tmp_path / "dumps")


def test_stuck_output_keeps_what_the_run_before_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, counting_models: Any
) -> None:
    monkeypatch.setenv(FAULTS, "stuck-output:0")
    status, output = bench.run()
    assert (status, output) == (0, bytes(40))
    monkeypatch.setenv(FAULTS, "")
    first = bench.run()[1]
    assert np.frombuffer(first, np.float32).tolist() == list(range(10))
    source = counting_models.sources[bench.rknn.name]
    compute = source.compute

    def other(inputs: Any, *, want_layers: bool) -> Any:
        values = compute(inputs, want_layers=want_layers)
        return type(values)(tuple(array + 1 for array in values.outputs), values.layers)

    monkeypatch.setattr(source, "compute", other)
    monkeypatch.setenv(FAULTS, "stuck-output:0")
    assert bench.run()[1] == first
    monkeypatch.setenv(FAULTS, "")
    assert np.frombuffer(bench.run()[1], np.float32).tolist() == list(range(1, 11))


def test_slow_and_failing_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FAULTS, "slow:300ms")
    begin = time.monotonic()
    assert bench.run()[0] == 0
    assert time.monotonic() - begin >= 0.3
    run_us = ctypes.c_int64()
    assert bench.library.rknn_query(bench.runtime.context, 4, ctypes.byref(run_us), 8) == 0
    assert run_us.value >= 300_000
    monkeypatch.setenv(FAULTS, "fail-run:-2")
    assert bench.run()[0] == -2
    log = capfd.readouterr().err
    assert "rkparity emulated runtime: faults are ordered: fail-run:-2" in log
    assert "rknn_run: the fault fail-run was ordered" in log
    monkeypatch.setenv(FAULTS, "melt:x")
    assert bench.run()[0] == -1
    assert "fault 'melt:x': 'melt' is not known" in capfd.readouterr().err


def test_failing_layer_leaves_the_dumps_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FAULTS, f"fail-layer:{LAYER0}")
    status, output = bench.run()
    assert (status, output) == (-1, bytes(40))
    assert list(bench.sizes()) == ["000_InputOperator", "001_ConvRelu", "002_MaxPool"]
    assert f"Op type:ConvRelu, name: ConvRelu:{LAYER0}, fallback cpu failed" in capfd.readouterr().err
    monkeypatch.setenv(FAULTS, "")
    assert bench.run()[0] == 0 and len(bench.sizes()) == 12


def test_dump_directory_that_fills_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bench.run()[0] == 0
    whole = bench.sizes()
    monkeypatch.setenv(FAULTS, f"dump-dir-full:{LAYER0}")
    assert bench.run()[0] == 0
    cut = bench.sizes()
    assert list(cut) == list(whole)
    assert [cut[name] for name in list(cut)[:3]] == [whole[name] for name in list(whole)[:3]]
    assert cut["003_ConvRelu"] == whole["003_ConvRelu"] // 2
    assert [size for name, size in cut.items() if name > "003_Z"] == [0] * 8
    assert "the dump is cut short (disk full?)" in capfd.readouterr().err


def test_orders_in_a_file_beside_the_library(
    library_path: Path, counting_models: Any, served: Any, rknn: Path, tmp_path: Path
) -> None:
    """Read at every run: whoever teaches can change it while the program runs."""
    folder = tmp_path / "lib"
    folder.mkdir()
    shutil.copyfile(library_path, folder / "librknnrt.so")
    library = emulated_library.load(folder / "librknnrt.so")
    with served(counting_models.open):
        bench = Bench(library, rknn, tmp_path / "dumps")
        assert bench.run()[0] == 0
        (folder / "librknnrt.faults").write_text("slow:1ms\nfail-run:-3\n")
        assert bench.run()[0] == -3
        (folder / "librknnrt.faults").write_bytes(b"#" * 20000)
        assert bench.run()[0] == -1
        (folder / "librknnrt.faults").unlink()
        assert bench.run()[0] == 0


@pytest.fixture(scope="module")
def catalogue(toolkit_python: Path, models: Path) -> Iterator[ModelCatalogue]:
    catalogue = ModelCatalogue(toolkit_python, [models])
    yield catalogue
    catalogue.close()


def rkparity(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-m", "rkparity", *(str(item) for item in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def reference(toolkit_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """What the simulator makes of a picture."""
    folder = tmp_path_factory.mktemp("reference")
    rknn = models / "cnn_classifier" / "c25_cnn_classifier_int8.rknn"
    pixels = np.random.default_rng(5).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    np.save(folder / "x.npy", pixels)
    code, text = rkparity(
        "simulate", rknn, "--input", folder / "x.npy", "-o", folder / "sim", "--toolkit-python", toolkit_python
    )
    assert code == 0, text
    return folder / "sim", pixels


@pytest.mark.toolkit
@pytest.mark.parametrize(
    ("orders", "code", "first", "changed"),
    [
        ("", 0, None, None),
        (f"noise:{POOL}:0.2", 1, POOL, 2),
        (f"wrong:{LAYER0}", 1, LAYER0, 3),
        (f"nan:{FC}", 1, FC, 8),
        ("stuck-output:0", 1, "output", 11),
        (f"dump-dir-full:{FC}", 3, None, 8),
    ],
)
def test_what_compare_dumps_says(
    orders: str,
    code: int,
    first: str | None,
    changed: int | None,
    library: ctypes.CDLL,
    catalogue: ModelCatalogue,
    reference: tuple[Path, np.ndarray],
    rknn: Path,
    served: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ordered fault is the first divergence, layers before it are equal, layers behind it follow."""
    catalogue.open(hashlib.sha256(rknn.read_bytes()).hexdigest())
    with served(catalogue.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
        monkeypatch.setenv(FAULTS, orders)
        assert Bench(library, rknn, tmp_path / "dumps").run()[0] == 0
    found, text = rkparity(
        "compare-dumps", tmp_path / "dumps", reference[0], "--model", rknn, "--json", tmp_path / "result.json"
    )
    assert found == code, text
    result = json.loads((tmp_path / "result.json").read_text())
    names = {node.index: node for node in read_model(rknn).nodes}
    assert len(names) == 12
    divergence = result["first_divergence"]
    assert (divergence and divergence["tensor"]) == first, divergence
    if orders.startswith("dump-dir-full"):
        assert "008_exDataConvert" in text and "damaged" in text
        return
    simulator = reference[0] / "simulator"
    manifest = json.loads((simulator / "manifest.json").read_text())
    files = {tensor["name"]: simulator / tensor["file"] for tensor in manifest["tensors"]}
    for path in sorted((tmp_path / "dumps").iterdir()):
        index = int(path.name[:3])
        node = names[index]
        tensor = read_model(rknn).tensors[(node.outputs or node.inputs)[0]].name
        if index == 0 or tensor not in files:
            continue
        dumped, expected = np.load(path).reshape(-1), np.load(files[tensor]).reshape(-1)
        same = np.array_equal(dumped, expected.astype(np.float32), equal_nan=True)
        assert same == (changed is None or index < changed), path.name
