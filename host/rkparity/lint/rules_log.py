"""Rules about what librknnrt printed: the lines that say what its return codes do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import DataError
from rkparity.findings.finding import Severity
from rkparity.findings.runtime_log import LogLine
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import Subject

MAX_LOG_NBYTES = 256 << 20
_MAX_LINE_NBYTES = 4096
_EMULATED = "rkparity emulated runtime"
_LINE = re.compile(r"^(?:.*?\s)?([EWID]) RKNN(?:API)?: (?:\[[0-9:.]+\] )?(.*)$")


@dataclass(frozen=True)
class LogRule:
    """A line's pattern and what it means; left out where a rule of `same_as` found the cause in the calls."""

    rule: Rule
    pattern: re.Pattern[str]
    same_as: tuple[str, ...] = ()


def read_log(path: Path) -> Iterator[LogLine]:
    """The lines of a captured output that librknnrt printed; DataError when it cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_LOG_NBYTES:
            raise DataError(f"{path}: has {path.stat().st_size} bytes, at most {MAX_LOG_NBYTES} are read")
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE_NBYTES), b""), start=1):
                match = _LINE.match(raw.decode("utf-8", "replace").rstrip("\r\n"))
                if match is not None:
                    yield LogLine(f"{path.name}:{number}", match[1], match[2])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def read_logs(paths: Iterable[Path]) -> tuple[LogLine, ...]:
    """The library's lines in several files.

    The emulated runtime plays 1.6.0 for models of any toolkit: what it warns about versions is left out.
    """
    lines = tuple(line for path in paths for line in read_log(path))
    if not any(_EMULATED in line.text for line in lines):
        return lines
    return tuple(line for line in lines if not (line.level == "W" and "version" in line.text))


def check_log(lines: Iterable[LogLine]) -> Iterator[tuple[LogRule, Observation]]:
    """Which lines a rule knows."""
    for line in lines:
        if line.level in "DI":
            continue
        for known in LOG_RULES:
            if known.pattern.search(line.text):
                yield (
                    known,
                    Observation(0, (), f"{line.where}: {line.text}", "", {"line": line.text, "where": line.where}),
                )
                break


def _nothing(_: Subject) -> Iterable[Observation]:
    return ()


def _row(
    name: str,
    pattern: str,
    title: str,
    reference: str,
    fix: str,
    *,
    severity: Severity = Severity.ERROR,
    same_as: tuple[str, ...] = (),
) -> LogRule:
    return LogRule(Rule(f"log-{name}", severity, title, reference, fix, "", _nothing), re.compile(pattern), same_as)


LOG_RULES = (
    _row(
        "input-layout",
        r"Meet unsupported src layout|meet unsupported layout|when input channel is \d+, not support|"
        r"rknn_inputs_set, normalize error",
        "the library did not take an input's layout, and returned success",
        "evidence 152_gen_u8_nchw_pt0, 160_gen_u8_undefined_pt0, 160_gen_u8_nc1hwc2_pt0; airockchip/rknn-toolkit2#304",
        "Give 4-D inputs as RKNN_TENSOR_NHWC, others as RKNN_TENSOR_UNDEFINED.",
        same_as=("input-fmt-4d", "input-type-refused"),
    ),
    _row(
        "input-type",
        r"Normalize does not support for this data type",
        "the library did not take an input's type, and returned success",
        "evidence 160_gen_int64_nhwc_pt0, 160_gen_int32_nhwc_pt0",
        "Use a type the input takes: INT8, UINT8 or FLOAT32 for int8, UINT8, FLOAT16 or FLOAT32 for float16.",
        same_as=("input-type-refused",),
    ),
    _row(
        "input-size-big",
        r"current input size\(\d+\) > need input size\(\d+\)",
        "an input buffer is too large; the library returned success and took nothing",
        "evidence 160_err_size_big",
        "Set size to exactly elements * bytes of the declared type.",
        same_as=("input-size-big",),
    ),
    _row(
        "input-size-small",
        r"param input size\(\d+\) < model input size\(\d+\)",
        "an input buffer is too small",
        "evidence 160_err_size_small, 160_err_f32_u8size",
        "Set size to elements * bytes of the declared type; a type left 0 is FLOAT32.",
        same_as=("input-size-small", "input-type-zero"),
    ),
    _row(
        "input-count",
        r"param input num\(\d+\) != model input num\(\d+\)",
        "not all inputs were given, and the library returned success",
        "evidence 160_err_one_of_two",
        "Give every input in one rknn_inputs_set.",
        same_as=("input-count",),
    ),
    _row(
        "output-size",
        r"output\[\d+\] buf size error",
        "a preallocated output has the wrong size; the library returned success and wrote nothing",
        "evidence 160_out_wf0_pre1_small",
        "Preallocate elements * 4 bytes for want_float 1, elements * bytes of the type for 0.",
        same_as=("output-prealloc-small",),
    ),
    _row(
        "output-index",
        r"param output index\(\d+\) is out of range",
        "an output index is out of range",
        "evidence 160_out_idx_oob; airockchip/rknn-toolkit2#295",
        "Zero the outputs array, set index, and fetch all outputs in one call.",
        same_as=("output-index", "output-count", "struct-garbage"),
    ),
    _row(
        "output-layout",
        r"Unsupport(ed)? output|meet unsupported output|not support output",
        "the library cannot give an output in this form",
        "airockchip/rknn-toolkit2#433",
        "Use the native attributes' fmt and type for this output, or a newer runtime.",
        same_as=("io-mem-attributes",),
    ),
    _row(
        "memory-size",
        # Not "size_with_stride larger than model origin size": 1.5.2 warns so of every model with a padded output,
        # whatever the program does.
        r"(input|output) memory size\(\d+\) < model|memory size must be: \d+",
        "a zero-copy memory has the wrong size",
        "evidence 160_zc_small, mrt232_zc_small",
        "Allocate size_with_stride of the native attributes.",
        same_as=("io-mem-size",),
    ),
    _row(
        "dump-path",
        r"failed open dump path|Unable to create file",
        "dumps could not be written; rknn_run returned success",
        "evidence 160_nodir, mrt232_zc_nodir",
        "Make the folder of RKNN_DUMP_DIR beforehand; the library never does.",
    ),
    _row(
        "model-version",
        r"Invalid RKNN model version|invalid RKNN_MAGIC|parseRKNN",
        "the library cannot read this model",
        "evidence 160_init_garbage, 160_init_trunc; airockchip/rknn-toolkit2#308",
        "Copy the .rknn again; if it is whole, the runtime is older than the toolkit: update librknnrt.so.",
    ),
    _row(
        "platform",
        r"This rknn model is for \S+, but current platform is",
        "the model was built for another chip",
        "evidence 160_init_*; RKNN manual, target_platform",
        "Build the model again with this chip as target_platform.",
    ),
    _row(
        "version",
        r"version.*(mismatch|not match|too old|newer)|is newer than",
        "versions do not fit together",
        "airockchip/rknn-toolkit2#38, airockchip/rknn-toolkit2#308, airockchip/rknn-toolkit2#229",
        "Bring toolkit, librknnrt.so and the NPU driver to versions released together.",
        severity=Severity.WARNING,
        same_as=("version-runtime",),
    ),
    _row(
        "driver",
        r"failed to open rknpu module",
        "there is no NPU driver",
        "RKNN manual, rknn_init",
        "Load the rknpu driver, and see that this user may open it.",
    ),
    _row(
        "general-api",
        r"context config invalid",
        "the general API on a chip that has zero-copy only",
        "airockchip/rknn-toolkit2#335; evidence mrt232_run_noio",
        "Use rknn_create_mem and rknn_set_io_mem on RV1103/RV1106.",
        same_as=("mini-general-api",),
    ),
    _row(
        "batch",
        r"only support input n_dims == 4 when batch_size > 1",
        "rknn_batch_size with an input that is not 4-D",
        "airockchip/rknn-toolkit2#82",
        "Build the model without rknn_batch_size, or give it a 4-D input.",
    ),
    _row(
        "float16-range",
        r"out of the float16",
        "a value is outside the range of float16",
        "RKNN manual 7.1.1 (F9); airockchip/rknn-toolkit2#274",
        "Find the tensor with `rkparity compare-dumps` and change the model so that it stays within +-65504.",
        severity=Severity.WARNING,
    ),
)
RULES = tuple(known.rule for known in LOG_RULES)
