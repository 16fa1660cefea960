"""What lines of librknnrt's log say about inputs and outputs."""

from __future__ import annotations

from rkparity.findings.cause import CatalogueEntry, Text
from rkparity.findings.finding import FindingStage, Severity

CAUSES = (
    CatalogueEntry(
        "log.input-layout",
        FindingStage.INPUT,
        Text(
            "the library did not take an input's layout, and returned success",
            "The runtime normalises 4-D inputs as NHWC only; for another layout it copies nothing, and "
            "rknn_inputs_set returns 0 all the same. The run then uses what was in the memory before.",
            "Give 4-D inputs as RKNN_TENSOR_NHWC, others as RKNN_TENSOR_UNDEFINED.",
        ),
        Text(
            "库没有取输入的布局，却返回成功",
            "运行时只按 NHWC 归一化 4 维输入；别的布局不复制数据，而 rknn_inputs_set 仍返回 0。运行用的是内存中"
            "原有的内容。",
            "4 维输入给 RKNN_TENSOR_NHWC，其余给 RKNN_TENSOR_UNDEFINED。",
        ),
        "inputs[i].fmt = RKNN_TENSOR_NHWC;\ninputs[i].type = RKNN_TENSOR_UINT8;",
        "evidence 152_gen_u8_nchw_pt0, 160_gen_u8_undefined_pt0, 160_gen_u8_nc1hwc2_pt0; "
        "airockchip/rknn-toolkit2#304, airockchip/rknn-toolkit2#258, rockchip-linux/rknn-toolkit2#319",
    ),
    CatalogueEntry(
        "log.input-type",
        FindingStage.INPUT,
        Text(
            "the library did not take an input's type, and returned success",
            "The model's input cannot be made from data of this type or layout; nothing was copied.",
            "Use a type the input takes: INT8, UINT8 or FLOAT32 for int8, UINT8, FLOAT16 or FLOAT32 for "
            "float16; in zero-copy the native attributes.",
        ),
        Text(
            "库没有取输入的类型，却返回成功",
            "模型的输入不能由这种类型或布局的数据得到；什么都没有复制。",
            "用该输入接受的类型：int8 用 INT8、UINT8 或 FLOAT32，float16 用 UINT8、FLOAT16 或 FLOAT32；零拷贝用"
            "原生属性。",
        ),
        "inputs[i].fmt = RKNN_TENSOR_NHWC;\ninputs[i].type = RKNN_TENSOR_UINT8;",
        "evidence 160_gen_int64_nhwc_pt0, 160_gen_int32_nhwc_pt0",
    ),
    CatalogueEntry(
        "log.input-not-taken",
        FindingStage.INPUT,
        Text(
            "the library took no data for an input, and returned success",
            "rknn_inputs_set failed inside and returned 0; the run uses what was in the memory before.",
            "Give the input in the type, layout and size of its attributes; the lines before this one say what "
            "was refused.",
        ),
        Text(
            "库没有取某个输入的数据，却返回成功",
            "rknn_inputs_set 内部失败却返回 0；运行用的是内存中原有的内容。",
            "按属性的类型、布局和大小给出输入；前面的行说明什么被拒绝。",
        ),
        "inputs[i].fmt = RKNN_TENSOR_NHWC;\ninputs[i].type = RKNN_TENSOR_UINT8;",
        "evidence 152_gen_u8_nchw_pt0, 160_gen_int64_nhwc_pt0",
    ),
    CatalogueEntry(
        "log.input-size-big",
        FindingStage.INPUT,
        Text(
            "an input buffer is too large; the library returned success and took nothing",
            "With pass_through 0 nothing is copied when size is more than the input needs.",
            "Set size to exactly elements * bytes of the declared type.",
        ),
        Text(
            "输入缓冲区太大；库返回成功却什么都没取",
            "pass_through 为 0 时，size 大于所需就不复制。",
            "size 正好设为元素数 * 所声明类型的字节数。",
        ),
        "inputs[0].size = W * H * C;",
        "evidence 160_err_size_big",
    ),
    CatalogueEntry(
        "log.input-size-small",
        FindingStage.INPUT,
        Text(
            "an input buffer is too small",
            "size is less than elements times bytes of the declared type; a type left 0 is FLOAT32, four times "
            "the size of uint8. Nothing was set.",
            "Clear the structure, set type, and size = elements * bytes of that type.",
        ),
        Text(
            "输入缓冲区太小",
            "size 小于元素数乘以所声明类型的字节数；type 留为 0 就是 FLOAT32，是 uint8 的四倍。什么都没有设置。",
            "清零结构，设 type，并设 size = 元素数 * 该类型的字节数。",
        ),
        "memset(inputs, 0, sizeof(inputs));\ninputs[0].type = RKNN_TENSOR_UINT8;\ninputs[0].size = W * H * C;",
        "evidence 160_err_size_small, 160_err_f32_u8size; rockchip-linux/rknpu2#9",
    ),
    CatalogueEntry(
        "log.input-count",
        FindingStage.INPUT,
        Text(
            "not all inputs were given, and the library returned success",
            "The inputs that were not given keep what was in their memory before.",
            "Give every input in one rknn_inputs_set.",
        ),
        Text(
            "没有给出所有输入，库却返回成功",
            "没有给出的输入保持内存中原有的内容。",
            "在一次 rknn_inputs_set 中给出所有输入。",
        ),
        "rknn_inputs_set(ctx, io_num.n_input, inputs);",
        "evidence 160_err_one_of_two",
    ),
    CatalogueEntry(
        "log.output-size",
        FindingStage.OUTPUT,
        Text(
            "a preallocated output has the wrong size; the library returned success and wrote nothing",
            "The buffer is left as it is and rknn_outputs_get returns 0.",
            "Preallocate elements * 4 bytes for want_float 1, elements * bytes of the type for 0.",
        ),
        Text(
            "预分配的输出大小不对；库返回成功却什么都没写",
            "缓冲区保持原样，rknn_outputs_get 返回 0。",
            "want_float 为 1 时预分配元素数 * 4 字节，为 0 时元素数 * 类型的字节数。",
        ),
        "outputs[i].size = attr[i].n_elems * sizeof(float);",
        "evidence 160_out_wf0_pre1_small; rockchip-linux/rknpu#48",
    ),
    CatalogueEntry(
        "log.output-size-differs",
        FindingStage.OUTPUT,
        Text(
            "an output's buffer is not as large as the runtime expects",
            "The runtime writes another number of bytes than the program made room for.",
            "size = n_elems * sizeof(float) with want_float 1, attr.size with 0.",
        ),
        Text(
            "输出缓冲区的大小与运行时期望的不同",
            "运行时写的字节数与程序准备的不同。",
            "want_float 为 1 时 size = n_elems * sizeof(float)，为 0 时用 attr.size。",
        ),
        "outputs[i].size = attr[i].n_elems * sizeof(float);",
        "evidence 160_out_wf0_pre1; RKNN manual, rknn_outputs_get",
        severity=Severity.INFO,
    ),
    CatalogueEntry(
        "log.output-index",
        FindingStage.OUTPUT,
        Text(
            "an output index is out of range",
            "n_outputs is more than the model has, or outputs[] was not cleared.",
            "Zero the outputs array, set index, and fetch all outputs in one call.",
        ),
        Text(
            "输出 index 越界",
            "n_outputs 比模型的输出多，或 outputs[] 没有清零。",
            "清零 outputs 数组，设 index，并在一次调用中取所有输出。",
        ),
        "rknn_output outputs[io_num.n_output];\nmemset(outputs, 0, sizeof(outputs));",
        "evidence 160_out_idx_oob; airockchip/rknn-toolkit2#295",
    ),
    CatalogueEntry(
        "log.output-count",
        FindingStage.OUTPUT,
        Text(
            "not all outputs are fetched",
            "n_outputs is not the model's number of outputs; the library answers for those asked for.",
            "Fetch all outputs in one call, also those that are not used.",
        ),
        Text(
            "没有取所有输出",
            "n_outputs 不等于模型的输出个数；库只给所取的。",
            "一次调用取所有输出，不用的也取。",
        ),
        "rknn_outputs_get(ctx, io_num.n_output, outputs, NULL);",
        "evidence 160_out_multi_one",
        severity=Severity.WARNING,
    ),
    CatalogueEntry(
        "log.output-layout",
        FindingStage.OUTPUT,
        Text(
            "the library cannot give an output in this form",
            "This runtime does not have this layout or type for this output.",
            "Use the native attributes' fmt and type for this output and convert, or a newer runtime.",
        ),
        Text(
            "库不能以这种形式给出输出",
            "此运行时没有这个输出的这种布局或类型。",
            "对该输出用原生属性的 fmt 和 type 再转换，或用更新的运行时。",
        ),
        reference="airockchip/rknn-toolkit2#433",
    ),
    CatalogueEntry(
        "log.batch",
        FindingStage.INPUT,
        Text(
            "rknn_batch_size with an input that is not 4-D",
            "rknn_batch_size works for 4-D inputs only.",
            "Build the model without rknn_batch_size, or give it a 4-D input.",
        ),
        Text(
            "rknn_batch_size 用于非 4 维输入",
            "rknn_batch_size 只适用于 4 维输入。",
            "构建时不用 rknn_batch_size，或给模型 4 维输入。",
        ),
        reference="airockchip/rknn-toolkit2#82",
    ),
    CatalogueEntry(
        "log.rga",
        FindingStage.INPUT,
        Text(
            "RGA refused a picture",
            "The 2-D accelerator that resizes or converts the picture failed; the input buffer was not written.",
            "Check RGA's return code; give it widths in multiples of 16 and memory below 4 GB, or resize on "
            "the CPU; see dmesg.",
        ),
        Text(
            "RGA 拒绝了图像",
            "缩放或转换图像的 2D 加速器失败；输入缓冲区没有写。",
            "检查 RGA 的返回值；宽度用 16 的倍数、内存在 4 GB 以下，或在 CPU 上缩放；看 dmesg。",
        ),
        "if (imresize(src, dst) != IM_STATUS_SUCCESS) return -1;",
        "HyperInspire/InspireFace#276",
    ),
)
