"""The log rules on what librknnrt printed under a real program: emulated versions, and the double."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import traced_app
from rkparity.lint.rules_log import LOG_RULES, check_log, read_logs
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double, build_double

C3 = "b25_c3w30_int8_rk3588"
CNN = "c25_cnn_classifier_int8"
CNN16 = "c25_cnn_classifier_fp16"
MULTI = "c25_multi_input_int8"
MINI = "b25_c3w30_int8_rv1106"
GENERAL, ZERO = "general", "zero-copy"
OLD, NEW, SMALL = "1.5.2", "1.6.0", "mini-2.3.2"

MISTAKES = [
    ("log-input-layout", OLD, C3, GENERAL, "fmt-nchw", {}),
    ("log-input-layout", NEW, C3, GENERAL, "fmt-undefined", {}),
    ("log-input-type", NEW, C3, GENERAL, "type-refused", {}),
    ("log-input-size-big", NEW, CNN, GENERAL, "size-big", {}),
    ("log-input-size-small", NEW, C3, GENERAL, "size-small", {}),
    ("log-input-count", NEW, MULTI, GENERAL, "inputs-few", {}),
    ("log-output-size", NEW, C3, GENERAL, "prealloc-small", {}),
    ("log-output-index", NEW, C3, GENERAL, "output-range", {}),
    ("log-memory-size", NEW, C3, ZERO, "zc-size", {}),
    ("log-memory-size", SMALL, MINI, ZERO, "zc-size", {}),
    ("log-dump-path", NEW, C3, GENERAL, "-", {"RKNN_LOG_LEVEL": "5", "RKNN_DUMP_DIR": "/nowhere"}),
    ("log-dump-path", SMALL, MINI, ZERO, "-", {"RKNN_LOG_LEVEL": "5", "RKNN_DUMP_DIR": "/nowhere"}),
    ("log-model-version", NEW, C3, GENERAL, "init-garbage", {}),
    ("log-general-api", SMALL, MINI, GENERAL, "-", {}),
    # At this level the emulated runtime does not say that it is one, and its warning stands.
    ("log-version", NEW, C3, GENERAL, "-", {}),
]
# What no emulated version says: printed by the double, in the words of the threads and of the library itself.
PRINTED = {
    "log-output-layout": ("rknn_run", "E RKNN: [10:00:00.123] Unsupport output: output for NPU NHWC"),
    "log-platform": (
        "rknn_init",
        "E RKNN: [10:00:00.123] This rknn model is for RK3566, but current platform is RK3588",
    ),
    "log-driver": (
        "rknn_init",
        "E RKNN: [10:00:00.123] failed to open rknpu module, need to insmod rknpu driver!",
    ),
    "log-batch": ("rknn_init", "E RKNN: [10:00:00.123] only support input n_dims == 4 when batch_size > 1"),
    "log-float16-range": (
        "rknn_init",
        "W RKNN: [10:00:00.123] The range [-1.0, inf] of tensor x is out of the float16!",
    ),
}


def found_in(text: str, folder: Path) -> set[str]:
    log = folder / "printed.txt"
    log.write_text(text)
    return {known.rule.id for known, _ in check_log(read_logs([log]))}


def printed(
    built: traced_app.Built,
    socket: str,
    model: Path,
    folder: Path,
    version: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
) -> str:
    own = {
        **built.environment(None, folder),
        "RKPARITY_EMULATOR_SOCKET": socket,
        "RKPARITY_EMULATOR_VERSION": version,
        **(environment or {}),
    }
    done = built.run([str(model), *arguments], own)
    return done.stdout + done.stderr


@pytest.mark.parametrize(("rule", "version", "model", "api", "mistake", "environment"), MISTAKES)
def test_mistake_is_read_from_the_log(
    rule: str,
    version: str,
    model: str,
    api: str,
    mistake: str,
    environment: dict[str, str],
    built: traced_app.Built,
    socket: str,
    models: dict[str, Path],
    tmp_path: Path,
) -> None:
    arguments = ("--api", api, "--mistake", mistake)
    text = printed(built, socket, models[model], tmp_path, version, *arguments, environment=environment)
    assert rule in found_in(text, tmp_path)


@pytest.mark.parametrize(
    ("version", "model", "api"),
    [
        (version, model, api)
        for version in (OLD, NEW)
        for model, api in ((C3, GENERAL), (C3, ZERO), (CNN16, GENERAL), (MULTI, ZERO), (C3, "contexts"))
    ]
    + [(SMALL, MINI, ZERO)],
)
def test_log_of_a_correct_program_says_nothing(
    version: str,
    model: str,
    api: str,
    built: traced_app.Built,
    socket: str,
    models: dict[str, Path],
    tmp_path: Path,
) -> None:
    everything = {"RKNN_LOG_LEVEL": "5"}
    text = printed(built, socket, models[model], tmp_path, version, "--api", api, environment=everything)
    assert text.count("RKNN") > 10
    assert found_in(text, tmp_path) == set()


@pytest.mark.parametrize("rule", PRINTED)
def test_line_that_no_emulated_version_prints(rule: str, built: traced_app.Built, tmp_path: Path) -> None:
    library = build_double(tmp_path)
    (tmp_path / "lib").mkdir()
    shutil.copyfile(library, tmp_path / "lib" / "librknnrt.so")
    double = Double(library, tmp_path)
    function, line = PRINTED[rule]
    outputs = []
    for more in ([], [f"log {function} {line}"]):
        double.configure(IMAGE_INPUT, "native_" + IMAGE_INPUT, IMAGE_OUTPUT, *more)
        environment = {**built.environment(None, tmp_path), "LD_LIBRARY_PATH": str(tmp_path / "lib")}
        done = built.run([str(double.model)], {**environment, **double.environment})
        outputs.append(found_in(done.stdout + done.stderr, tmp_path))
    assert outputs == [set(), {rule}]


def test_every_log_rule_has_a_program() -> None:
    assert {case[0] for case in MISTAKES} | set(PRINTED) == {known.rule.id for known in LOG_RULES}
