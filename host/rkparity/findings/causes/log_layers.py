"""What lines of librknnrt's log say about operators."""

from __future__ import annotations

from rkparity.findings.cause import CatalogueEntry, Text
from rkparity.findings.finding import FindingStage, Severity

CAUSES = (
    CatalogueEntry(
        "log.dump-type",
        FindingStage.LAYER,
        Text(
            "a tensor was not dumped",
            "The library cannot dump a tensor of this type.",
            "Compare the layers before and after it.",
        ),
        Text(
            "某个张量没有导出",
            "库不能导出这种类型的张量。",
            "比较它前后的层。",
        ),
        reference="evidence 160_b25_split_int8",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.submit",
        FindingStage.LAYER,
        Text(
            "the NPU refused or did not finish a job",
            "The driver failed to run an operator; its output is stale.",
            "Update the NPU driver; look at dmesg; compute this operator on the CPU (op_target) if it is "
            "always the same.",
        ),
        Text(
            "NPU 拒绝或没有完成任务",
            "驱动没能运行某个算子；它的输出是旧的。",
            "更新 NPU 驱动；看 dmesg；总是同一个算子就让它在 CPU 上计算（op_target）。",
        ),
        "dmesg | grep -i rknpu",
        "rockchip-linux/rknn-toolkit2#329, rockchip-linux/rknpu2#69",
    ),
    CatalogueEntry(
        "log.register",
        FindingStage.LAYER,
        Text(
            "an operator is too large for the NPU",
            "A parameter of an operator (such as a long kernel) does not fit the NPU's registers; its result is wrong.",
            "Split the operator (a kernel of 50 into smaller ones), or compute it on the CPU.",
        ),
        Text(
            "算子对 NPU 太大",
            "算子的某个参数（如很长的卷积核）超出 NPU 的寄存器；结果是错的。",
            "拆分算子（50 的卷积核拆成小的），或在 CPU 上计算。",
        ),
        reference="airockchip/rknn-toolkit2#315",
    ),
    CatalogueEntry(
        "log.cpu-fallback",
        FindingStage.LAYER,
        Text(
            "an operator runs on the CPU instead of the NPU",
            "The result is right as a rule, and slower.",
            "Nothing to do unless it is too slow; else write the operator another way or split it.",
        ),
        Text(
            "算子在 CPU 而不是 NPU 上运行",
            "结果一般正确，但更慢。",
            "除非太慢否则不用管；太慢就换一种写法或拆分。",
        ),
        reference="RKNN manual, operator support; airockchip/rknn-toolkit2#417",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.operator-unsupported",
        FindingStage.LAYER,
        Text(
            "an operator could not be computed",
            "Neither the NPU nor this runtime's CPU code has the operator in this form; its output is whatever "
            "was in the memory.",
            "Use librknnrt of the toolkit's version; if it stays, replace the operator, or register a custom "
            "operator before rknn_run.",
        ),
        Text(
            "有算子无法计算",
            "NPU 和此运行时的 CPU 代码都没有这种形式的算子；其输出是内存中原有的内容。",
            "用与工具包同版本的 librknnrt；仍不行就替换该算子，或在 rknn_run 之前注册自定义算子。",
        ),
        reference="evidence 160_load_*; rockchip-linux/rknpu2#91, airockchip/rknn-toolkit2#275",
    ),
    CatalogueEntry(
        "log.index-range",
        FindingStage.LAYER,
        Text(
            "an index tensor holds values outside the data",
            "A Gather operator read indices that do not exist: they are computed wrong, or the input is not "
            "the right one.",
            "Compare the layers before it with the simulator; keep index tensors in int32 or int64, not quantised.",
        ),
        Text(
            "索引张量的值超出数据范围",
            "Gather 类算子读到不存在的索引：索引算错，或输入不对。",
            "把它之前的层与仿真器比较；索引张量保持 int32 或 int64，不要量化。",
        ),
        reference="rockchip-linux/rknn-toolkit2#184",
    ),
    CatalogueEntry(
        "log.tensor-type",
        FindingStage.LAYER,
        Text(
            "an operator does not take a tensor's type",
            "The runtime has no code for this type at this operator.",
            "Insert a Cast before it in the model, or use a runtime of the toolkit's version.",
        ),
        Text(
            "算子不接受张量的类型",
            "运行时没有此算子这种类型的代码。",
            "在模型中它之前插入 Cast，或用与工具包同版本的运行时。",
        ),
        reference="evidence 160_gen_int64_nhwc_pt1; rockchip-linux/rknn-toolkit2#151",
    ),
    CatalogueEntry(
        "log.value-range",
        FindingStage.LAYER,
        Text(
            "values were cut when a tensor was converted",
            "A value does not fit the type it was converted to.",
            "Find the tensor with `rkparity compare-dumps`; scale it, or keep it in a wider type.",
        ),
        Text(
            "转换张量时数值被截断",
            "数值放不进所转换的类型。",
            "用 `rkparity compare-dumps` 找出张量；缩放它，或用更宽的类型。",
        ),
        reference="rockchip-linux/rknn-toolkit2#151",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.float16-range",
        FindingStage.LAYER,
        Text(
            "a value is outside the range of float16",
            "Values beyond 65504 become infinite.",
            "Find the tensor with `rkparity compare-dumps` and change the model so that it stays within "
            "+-65504, or quantise this part.",
        ),
        Text(
            "数值超出 float16 的范围",
            "大于 65504 的值变成无穷大。",
            "用 `rkparity compare-dumps` 找出张量，修改模型使其在 ±65504 之内，或量化这部分。",
        ),
        reference="RKNN manual 7.1.1 (F9); airockchip/rknn-toolkit2#274",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.target",
        FindingStage.LAYER,
        Text(
            "an operator's target is not known",
            "The model names a target this library does not have; it is said of healthy models, too.",
            "Use one version for toolkit and runtime if results are wrong.",
        ),
        Text(
            "算子的目标未知",
            "模型指定了此库没有的目标；正常的模型也会有这行。",
            "结果有错时让工具包和运行时用同一版本。",
        ),
        reference="airockchip/rknn-toolkit2#417",
        severity=Severity.INFO,
    ),
)
