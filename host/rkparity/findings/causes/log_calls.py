"""What lines of librknnrt's log say about calls, memory and versions."""

from __future__ import annotations

from rkparity.findings.cause import CatalogueEntry, Text
from rkparity.findings.finding import FindingStage, Severity

CAUSES = (
    CatalogueEntry(
        "log.memory-size",
        FindingStage.CALLS,
        Text(
            "a zero-copy memory has the wrong size",
            "The memory is not as large as the attributes it is bound with ask for.",
            "Allocate size_with_stride of the native attributes given to rknn_set_io_mem.",
        ),
        Text(
            "零拷贝内存的大小不对",
            "内存没有所绑定属性要求的那么大。",
            "按传给 rknn_set_io_mem 的原生属性的 size_with_stride 分配。",
        ),
        "mem = rknn_create_mem(ctx, attr.size_with_stride);",
        "evidence 160_zc_small, mrt232_zc_small; rockchip-linux/rknn-toolkit2#229",
    ),
    CatalogueEntry(
        "log.memory-invalid",
        FindingStage.CALLS,
        Text(
            "a memory that does not exist, or of no size",
            "rknn_create_mem was given a size of 0, or a call got a memory that is not one.",
            "Check the size and what rknn_create_mem returned.",
        ),
        Text(
            "内存不存在，或大小为零",
            "给 rknn_create_mem 的大小为 0，或某个调用得到的不是内存。",
            "检查大小和 rknn_create_mem 的返回值。",
        ),
        "rknn_tensor_mem *mem = rknn_create_mem(ctx, attr.size_with_stride);\nif (mem == NULL) return -1;",
        "evidence 160_rawq; RKNN manual, rknn_create_mem",
    ),
    CatalogueEntry(
        "log.memory-sync",
        FindingStage.CALLS,
        Text(
            "the cache of a memory could not be synchronised",
            "CPU and NPU may see different contents.",
            "Look at dmesg: the driver refused it (a memory from outside, an old driver, no NPU).",
        ),
        Text(
            "内存的缓存无法同步",
            "CPU 和 NPU 可能看到不同的内容。",
            "看 dmesg：驱动拒绝了它（外来内存、旧驱动、没有 NPU）。",
        ),
        reference="RKNN manual, rknn_mem_sync",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.allocate",
        FindingStage.CALLS,
        Text(
            "the NPU's memory could not be allocated",
            "The driver has no memory left for this model or this operator.",
            "Free other contexts, use a smaller model or RKNN_FLAG_SHARE_WEIGHT_MEM; enlarge the CMA or use an "
            "IOMMU kernel; see dmesg.",
        ),
        Text(
            "无法分配 NPU 的内存",
            "驱动没有内存给这个模型或算子。",
            "释放别的 context，用更小的模型或 RKNN_FLAG_SHARE_WEIGHT_MEM；加大 CMA 或用带 IOMMU 的内核；看 dmesg。",
        ),
        reference="rockchip-linux/rknpu2#59",
    ),
    CatalogueEntry(
        "log.dump-path",
        FindingStage.CALLS,
        Text(
            "dumps could not be written; rknn_run returned success",
            "The library does not make the folder of RKNN_DUMP_DIR, and says so in the log only.",
            "Make the folder of RKNN_DUMP_DIR beforehand, see that it is writable and that the disk has space.",
        ),
        Text(
            "无法写导出文件；rknn_run 返回成功",
            "库不会建立 RKNN_DUMP_DIR 的文件夹，只在日志里说。",
            "事先建立 RKNN_DUMP_DIR 的文件夹，确认可写且磁盘有空间。",
        ),
        reference="evidence 160_nodir, mrt232_zc_nodir",
    ),
    CatalogueEntry(
        "log.model",
        FindingStage.VERSIONS,
        Text(
            "the library cannot read this model",
            "The file is damaged, no .rknn, or of a toolkit newer than the library.",
            "Copy the .rknn again; if it is whole, the runtime is older than the toolkit: update librknnrt.so.",
        ),
        Text(
            "库读不了这个模型",
            "文件损坏、不是 .rknn，或来自比库更新的工具包。",
            "重新复制 .rknn；如果完好，就是运行时比工具包旧：更新 librknnrt.so。",
        ),
        "sha256sum model.rknn",
        "evidence 160_init_garbage, 160_init_trunc; airockchip/rknn-toolkit2#308",
    ),
    CatalogueEntry(
        "log.platform",
        FindingStage.VERSIONS,
        Text(
            "the model was built for another chip",
            "A .rknn runs on the chip it was built for only.",
            "Build the model again with this chip as target_platform.",
        ),
        Text(
            "模型是为别的芯片构建的",
            ".rknn 只能在构建时指定的芯片上运行。",
            "以此芯片为 target_platform 重新构建模型。",
        ),
        "rknn.config(target_platform='rk3588')",
        "evidence 160_init_*; RKNN manual, target_platform",
    ),
    CatalogueEntry(
        "log.version",
        FindingStage.VERSIONS,
        Text(
            "versions do not fit together",
            "The runtime says that the model, the driver or rknn_server is of another version.",
            "Bring toolkit, librknnrt.so, rknn_server and the NPU driver to versions released together.",
        ),
        Text(
            "版本不匹配",
            "运行时说模型、驱动或 rknn_server 属于别的版本。",
            "让工具包、librknnrt.so、rknn_server 和 NPU 驱动用一起发布的版本。",
        ),
        "strings /usr/lib/librknnrt.so | grep 'librknnrt version'",
        "airockchip/rknn-toolkit2#38, airockchip/rknn-toolkit2#308, airockchip/rknn-toolkit2#229",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.driver-old",
        FindingStage.VERSIONS,
        Text(
            "the runtime recommends a newer NPU driver",
            "Wrong results with old drivers were cured by updating them.",
            "Update the board's kernel or its rknpu driver.",
        ),
        Text(
            "运行时建议更新 NPU 驱动",
            "旧驱动的错误结果在更新后消失。",
            "更新板子的内核或其 rknpu 驱动。",
        ),
        "cat /sys/kernel/debug/rknpu/version",
        "airockchip/rknn-toolkit2#38, rockchip-linux/rknn-toolkit2#271",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.driver-missing",
        FindingStage.VERSIONS,
        Text(
            "there is no NPU driver",
            "The library could not open the rknpu module.",
            "Load the rknpu driver, and see that this user may open it.",
        ),
        Text(
            "没有 NPU 驱动",
            "库打不开 rknpu 模块。",
            "加载 rknpu 驱动，并确认此用户有权打开。",
        ),
        "ls -l /dev/dri /dev/rknpu",
        "RKNN manual, rknn_init",
    ),
    CatalogueEntry(
        "log.shapes",
        FindingStage.CALLS,
        Text(
            "the input shapes asked for are not the model's",
            "The model is of static shape, or was not exported with this shape.",
            "Export with dynamic_input that lists this shape, and give exactly one of the listed shapes.",
        ),
        Text(
            "所要的输入形状不属于模型",
            "模型是静态形状，或导出时没有这个形状。",
            "导出时在 dynamic_input 中列出此形状，并正好给出所列形状之一。",
        ),
        "rknn.config(dynamic_input=[[[1, 3, 224, 224]], [[1, 3, 448, 448]]])",
        "RKNN manual, rknn_set_input_shapes",
    ),
    CatalogueEntry(
        "log.general-api",
        FindingStage.CALLS,
        Text(
            "the general API on a chip that has zero-copy only",
            "RV1103 and RV1106 refuse rknn_inputs_set and rknn_outputs_get.",
            "Use rknn_create_mem and rknn_set_io_mem on RV1103/RV1106.",
        ),
        Text(
            "在只有零拷贝的芯片上用了通用 API",
            "RV1103 和 RV1106 拒绝 rknn_inputs_set 和 rknn_outputs_get。",
            "在 RV1103/RV1106 上用 rknn_create_mem 和 rknn_set_io_mem。",
        ),
        "rknn_set_io_mem(ctx, mem, &native_attr);",
        "airockchip/rknn-toolkit2#335; evidence mrt232_run_noio",
    ),
    CatalogueEntry(
        "log.query",
        FindingStage.CALLS,
        Text(
            "a query was not answered",
            "This model or this runtime does not have what was asked for, or the structure given is too small.",
            "Check the return code of rknn_query; pass sizeof of the right structure; nothing else depends on it.",
        ),
        Text(
            "查询没有得到回答",
            "此模型或运行时没有所问的，或给的结构太小。",
            "检查 rknn_query 的返回值；传入正确结构的 sizeof；别的不受影响。",
        ),
        reference="evidence 160_rawq; RKNN manual, rknn_query",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.core-mask",
        FindingStage.CALLS,
        Text(
            "the cores asked for are not used",
            "This chip or driver does not take the core mask; the runtime chooses.",
            "Set a mask the chip has, only on RK3588 and RK3576, after rknn_init.",
        ),
        Text(
            "没有使用所要的 NPU 核",
            "此芯片或驱动不接受 core mask；由运行时选择。",
            "只在 RK3588 和 RK3576 上、rknn_init 之后设置芯片有的 mask。",
        ),
        "rknn_set_core_mask(ctx, RKNN_NPU_CORE_AUTO);",
        "RKNN manual, rknn_set_core_mask",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.wait",
        FindingStage.CALLS,
        Text(
            "rknn_wait without a run to wait for",
            "There was no non-blocking run before it.",
            "Call rknn_wait once after a rknn_run with non_block = 1.",
        ),
        Text(
            "rknn_wait 没有可等的运行",
            "之前没有非阻塞的运行。",
            "只在 non_block = 1 的 rknn_run 之后调用一次 rknn_wait。",
        ),
        reference="evidence 160_rawq; RKNN manual, rknn_wait",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.type-unknown",
        FindingStage.CALLS,
        Text(
            "a type that does not exist",
            "A structure's type field holds a number that is no rknn_tensor_type: it was not cleared.",
            "Clear the structure and set type.",
        ),
        Text(
            "类型不存在",
            "结构的 type 字段不是 rknn_tensor_type：没有清零。",
            "清零结构并设 type。",
        ),
        "memset(inputs, 0, sizeof(inputs));",
        "evidence 160_err_type_99",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.error",
        FindingStage.CALLS,
        Text(
            "the runtime's log has an error rkparity does not know",
            "The library printed this line at level E; what it means for the result is not known.",
            "Read the line; give it with the run when you ask the vendor.",
        ),
        Text(
            "运行时日志中有 rkparity 不认识的错误",
            "库以级别 E 打印了这行；它对结果的影响未知。",
            "看这行；向厂商询问时连同运行一起给出。",
        ),
        reference="the runtime's log",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.warning",
        FindingStage.CALLS,
        Text(
            "the runtime's log has a warning rkparity does not know",
            "The library printed this line at level W.",
            "Read the line; as a rule it is harmless.",
        ),
        Text(
            "运行时日志中有 rkparity 不认识的警告",
            "库以级别 W 打印了这行。",
            "看这行；一般无害。",
        ),
        reference="the runtime's log",
        severity=Severity.INFO,
    ),
)
