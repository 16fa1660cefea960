"""Lines of the runtime's log that name a cause themselves; most come with a return code of 0 (evidence 160_gen_*)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_MAX_NBYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class _Known:
    pattern: re.Pattern[str]
    id: str
    stage: FindingStage
    title: str
    cause: str
    fix: str
    code: str = ""
    reference: str = ""
    severity: Severity = Severity.ERROR


def _known(
    pattern: str,
    identity: str,
    stage: FindingStage,
    title: str,
    cause: str,
    fix: str,
    code: str = "",
    reference: str = "",
    severity: Severity = Severity.ERROR,
) -> _Known:
    return _Known(re.compile(pattern), identity, stage, title, cause, fix, code, reference, severity)


_NHWC = "inputs[i].fmt = RKNN_TENSOR_NHWC;\ninputs[i].type = RKNN_TENSOR_UINT8;"
_LINES = (
    _known(
        r"unsupport(?:ed)? src layout for normalize",
        "log.layout",
        FindingStage.INPUT,
        "the input's layout was refused",
        "A 4-D input was given as NCHW; the runtime normalises NHWC only, copies nothing, and rknn_inputs_set "
        "returns 0 all "
        "the same. The run then uses what was in the memory before.",
        "Give 4-D inputs as NHWC.",
        _NHWC,
        "airockchip/rknn-toolkit2#304, airockchip/rknn-toolkit2#258, rockchip-linux/rknn-toolkit2#319",
    ),
    _known(
        r"param input size\(\d+\) < model input size\(\d+\)",
        "log.input_size",
        FindingStage.INPUT,
        "an input is smaller than its declared type needs",
        "size is less than elements times bytes of the declared type; a type left 0 is FLOAT32, four times the size of "
        "uint8. Nothing was set.",
        "Clear the structure, set type, and size = elements * bytes of that type.",
        "memset(inputs, 0, sizeof(inputs));\ninputs[0].type = RKNN_TENSOR_UINT8;\ninputs[0].size = W * H * C;",
        "rockchip-linux/rknpu2#9",
    ),
    _known(
        r"current input size\(\d+\) > need input size\(\d+\)",
        "log.input_size",
        FindingStage.INPUT,
        "an input is larger than the model's",
        "With pass_through 0 nothing is copied then, and rknn_inputs_set returns 0.",
        "Give exactly elements * bytes of the declared type.",
        "inputs[0].size = W * H * C;",
    ),
    _known(
        r"not support NC1HWC2 layout|Normalize does not support for this data type",
        "log.input_type",
        FindingStage.INPUT,
        "the input's type or layout is not supported",
        "Nothing was set, and rknn_inputs_set returned 0.",
        "Give uint8 or float32 in NHWC.",
        _NHWC,
    ),
    _known(
        r"output\[\d+\] buf size error",
        "log.output_size",
        FindingStage.OUTPUT,
        "a preallocated output is too small",
        "The buffer is left as it is and rknn_outputs_get returns 0.",
        "size = n_elems * sizeof(float) with want_float = 1, attr.size otherwise.",
        "outputs[i].size = attr[i].n_elems * sizeof(float);",
        "rockchip-linux/rknpu#48",
    ),
    _known(
        r"memory size must be",
        "log.output_size",
        FindingStage.OUTPUT,
        "a bound memory has the wrong size",
        "The memory is not as large as the attributes it is bound with ask for.",
        "Allocate size_with_stride of the attributes given to rknn_set_io_mem.",
        "mem = rknn_create_mem(ctx, attr.size_with_stride);",
        "rockchip-linux/rknn-toolkit2#229",
    ),
    _known(
        r"param output index\(\d+\) is out of range",
        "log.output_count",
        FindingStage.OUTPUT,
        "outputs that do not exist are asked for",
        "n_outputs is more than the model has, or outputs[] was not cleared.",
        "Ask for all outputs, from a cleared array.",
        "rknn_output outputs[io_num.n_output];\nmemset(outputs, 0, sizeof(outputs));",
        "airockchip/rknn-toolkit2#295",
    ),
    _known(
        r"[Uu]nsupport output",
        "log.output_layout",
        FindingStage.OUTPUT,
        "the output layout asked for is not supported",
        "This runtime cannot give the output in this layout or type.",
        "Ask for the native attributes and convert, or use a newer runtime.",
        "",
        "airockchip/rknn-toolkit2#433",
    ),
    _known(
        r"context config invalid",
        "log.api",
        FindingStage.INPUT,
        "this chip has the zero-copy API only",
        "RV1103 and RV1106 refuse rknn_inputs_set and rknn_outputs_get.",
        "Use rknn_create_mem and rknn_set_io_mem.",
        "rknn_set_io_mem(ctx, mem, &native_attr);",
        "airockchip/rknn-toolkit2#335",
    ),
    _known(
        r"only support input n_dims == 4 when batch_size > 1",
        "log.batch",
        FindingStage.INPUT,
        "batches need 4-D inputs",
        "rknn_batch_size works for 4-D inputs only.",
        "Build with batch size 1, or give the input four dimensions.",
        "",
        "airockchip/rknn-toolkit2#82",
    ),
    _known(
        r"width stride should be 16 aligned",
        "log.rga_stride",
        FindingStage.INPUT,
        "RGA needs rows of 16 pixels",
        "RGA refused or misread a picture whose rows are not a multiple of 16 pixels.",
        "Give RGA a padded stride, or resize on the CPU.",
        "",
        "HyperInspire/InspireFace#276",
    ),
    _known(
        r"The bit width of field value exceeds the limit",
        "log.register",
        FindingStage.LAYER,
        "an operator is too large for the NPU",
        "A parameter of an operator (such as a long kernel) does not fit the NPU's registers; its result is wrong.",
        "Split the operator (a kernel of 50 into smaller ones), or compute it on the CPU.",
        "",
        "airockchip/rknn-toolkit2#315",
    ),
    _known(
        r"is out of the float16",
        "log.float16",
        FindingStage.LAYER,
        "a tensor leaves FP16's range",
        "Values beyond 65504 become infinite.",
        "Scale the tensor down, or quantise this part.",
        "",
        "airockchip/rknn-toolkit2#274",
        Severity.WARNING,
    ),
    _known(
        r"Model version: \S+ not match with rknn runtime|rknn_server version is too old|Invalid RKNN model version",
        "log.version",
        FindingStage.VERSIONS,
        "model and runtime are of different versions",
        "The runtime says that the model was made by another version.",
        "Use librknnrt (and rknn_server) of the toolkit's version.",
        "",
        "airockchip/rknn-toolkit2#308, airockchip/rknn-toolkit2#229",
        Severity.WARNING,
    ),
    _known(
        r"failed to submit",
        "log.driver",
        FindingStage.VERSIONS,
        "the NPU refused the job",
        "The driver failed to run an operator; its output is stale.",
        "Update the NPU driver; look at dmesg.",
        "",
        "rockchip-linux/rknn-toolkit2#329",
    ),
)


def log_findings(files: Iterable[Path], warnings: Iterable[str] = ()) -> Iterable[Finding]:
    """One finding for each known line in the logs (and in `warnings`, which quote them), with the line itself."""
    seen: dict[str, Finding] = {}
    sources = [(path.name, line) for path in files for line in _lines(path)]
    for where, line in [*sources, *(("manifest.json", text) for text in warnings)]:
        for known in _LINES:
            if known.id not in seen and known.pattern.search(line):
                seen[known.id] = Finding(
                    known.id,
                    known.stage,
                    known.severity,
                    0.9,
                    known.title,
                    known.cause,
                    (Evidence("log", line.strip()[:300], {}, where),),
                    known.fix,
                    known.code,
                    known.reference,
                )
    yield from seen.values()


def _lines(path: Path) -> Iterable[str]:
    """The lines of a log, of its first 16 MiB."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return file.read(_MAX_NBYTES).decode("utf-8", "replace").splitlines()
