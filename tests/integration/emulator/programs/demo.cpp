// A C++ program links the runtime by -lrknnrt and runs one model from its path.
#include <cstdio>
#include <vector>

#include "abi/rknn_abi.h"

int main(int argc, char **argv) {
    rkabi_context context = 0;
    if (argc != 2 || rknn_init(&context, argv[1], 0, 0, nullptr) != 0)
        return 1;
    rkabi_sdk_version version;
    if (rknn_query(context, RKABI_QUERY_SDK_VERSION, &version, sizeof version) != 0)
        return 1;
    std::vector<unsigned char> pixels(1 * 9 * 30 * 3, 3);
    rkabi_input input{};
    input.buf = pixels.data();
    input.size = static_cast<uint32_t>(pixels.size());
    input.type = RKABI_TYPE_UINT8;
    input.fmt = RKABI_FMT_NHWC;
    rkabi_output output{};
    if (rknn_inputs_set(context, 1, &input) != 0 || rknn_run(context, nullptr) != 0 ||
        rknn_outputs_get(context, 1, &output, nullptr) != 0)
        return 1;
    std::printf("%s %u bytes\n", version.api_version, output.size);
    rknn_outputs_release(context, 1, &output);
    return rknn_destroy(context);
}
