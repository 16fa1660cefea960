/* An application that makes the mistakes people make, on request. Reads jobs from a file, one a line:
 *   OUTPUT PICTURE HEIGHT WIDTH OP OP ...
 * PICTURE is raw RGB of that size, which should be the model's. Every OP changes the buffer or how it is given; then the input is set, the model run, and the
 * InputOperator's dump moved to OUTPUT. */
#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

enum { MOST = 640 * 640 * 32 };
enum { U8, F32, F16, I8 };

static uint8_t bytes[MOST], other[MOST];
static float numbers[MOST / 4];
static size_t n_bytes;
static int H, W, C, kind, zero_copy, runs, input_zp;
static double model_mean[3], model_std[3], input_scale;

static int clamp(double x) { return x < 0 ? 0 : x > 255 ? 255 : (int)(x + 0.5); }
static void take(void) { memcpy(bytes, other, sizeof bytes); }

static uint16_t half(float value) { /* round to nearest even; values of pictures only */
    union { float f; uint32_t u; } bits = {value};
    uint32_t sign = bits.u >> 16 & 0x8000, rest = bits.u & 0x7fffffff;
    if (rest < 0x38800000) {
        float small = fabsf(value) * 16777216.0f;
        return (uint16_t)(sign | (uint32_t)lrintf(small));
    }
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | (rest - 0x38000000) >> 13);
}

static void order(int a, int b, int c) {
    for (int i = 0; i < H * W; i++) {
        uint8_t p[3] = {bytes[3 * i + a], bytes[3 * i + b], bytes[3 * i + c]};
        memcpy(bytes + 3 * i, p, 3);
    }
}

static void turn(int transpose, int flip_rows, int flip_columns) {
    int h2 = transpose ? W : H, w2 = transpose ? H : W;
    for (int y = 0; y < h2; y++)
        for (int x = 0; x < w2; x++) {
            int r = flip_rows ? h2 - 1 - y : y, q = flip_columns ? w2 - 1 - x : x;
            int sy = transpose ? q : r, sx = transpose ? r : q;
            memcpy(other + 3 * (y * w2 + x), bytes + 3 * (sy * W + sx), 3);
        }
    take();
    H = h2, W = w2;
}

static void move_by(int right, int down) {
    memset(other, 0, sizeof other);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            if (y - down >= 0 && y - down < H && x - right >= 0 && x - right < W)
                memcpy(other + 3 * (y * W + x), bytes + 3 * ((y - down) * W + x - right), 3);
    take();
}

static void standard(const char *name, double *kr, double *kb, int *full) {
    *kr = name[0] == '7' ? 0.2126 : 0.299;
    *kb = name[0] == '7' ? 0.0722 : 0.114;
    *full = name[1] == 'f';
}

static void encode(const char *name, const uint8_t *rgb, double *yuv) {
    double kr, kb;
    int full;
    standard(name, &kr, &kb, &full);
    double y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    double u = (rgb[2] - y) / (2 * (1 - kb)), v = (rgb[0] - y) / (2 * (1 - kr));
    yuv[0] = clamp(full ? y : 16 + y * 219 / 255);
    yuv[1] = clamp(128 + (full ? u : u * 224 / 255));
    yuv[2] = clamp(128 + (full ? v : v * 224 / 255));
}

static void decode(const char *name, const double *yuv, uint8_t *rgb) {
    double kr, kb;
    int full;
    standard(name, &kr, &kb, &full);
    double y = full ? yuv[0] : (yuv[0] - 16) * 255 / 219, k = full ? 1 : 255.0 / 224;
    double u = (yuv[1] - 128) * k, v = (yuv[2] - 128) * k;
    double r = y + 2 * (1 - kr) * v, b = y + 2 * (1 - kb) * u;
    rgb[0] = (uint8_t)clamp(r);
    rgb[2] = (uint8_t)clamp(b);
    rgb[1] = (uint8_t)clamp((y - kr * r - kb * b) / (1 - kr - kb));
}

/* Through NV12 with the chroma plane read `rows` chroma rows and `columns` chroma columns too early. */
static void nv12(int columns, int rows) {
    int h = H / 2, w = W / 2;
    static double plane[MOST / 8][2];
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double sum[2] = {0, 0}, yuv[3];
            for (int k = 0; k < 4; k++) {
                encode("6f", bytes + 3 * ((2 * y + k / 2) * W + 2 * x + k % 2), yuv);
                sum[0] += yuv[1] / 4, sum[1] += yuv[2] / 4;
            }
            plane[y * w + x][0] = floor(sum[0] + 0.5), plane[y * w + x][1] = floor(sum[1] + 0.5);
        }
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double yuv[3];
            encode("6f", bytes + 3 * (y * W + x), yuv);
            int sy = ((y / 2 - rows) % h + h) % h, sx = ((x / 2 - columns) % w + w) % w;
            yuv[1] = plane[sy * w + sx][0], yuv[2] = plane[sy * w + sx][1];
            decode("6f", yuv, other + 3 * (y * W + x));
        }
    take();
}

static void to_numbers(void) {
    if (kind == U8)
        for (int i = 0; i < H * W * C; i++)
            numbers[i] = bytes[i];
    kind = F32;
}

/* Codes as an application makes them that quantises itself: the scale times percent / 100, mode "zero": no zero point,
 * "wrap": no saturation, a number: added to the zero point. */
static void quantize(int percent, const char *mode) {
    int zp = !strcmp(mode, "zero") ? 0 : input_zp + atoi(mode);
    for (int i = 0; i < H * W * C; i++) {
        long code = lrint(numbers[i] / (input_scale * percent / 100)) + zp;
        if (strcmp(mode, "wrap") != 0)
            code = code < -128 ? -128 : code > 127 ? 127 : code;
        bytes[i] = (uint8_t)code;
    }
    kind = I8;
}

/* x = (x / before - mean * m) / (std * s), with mean and std of channel c or, reversed, 2 - c */
static void normalize(double before, double m, double s, int reversed, const double *mean, const double *std) {
    to_numbers();
    for (int i = 0; i < H * W * C; i++) {
        int c = reversed ? 2 - i % 3 : i % 3;
        numbers[i] = (float)((numbers[i] / before - m * mean[c]) / (s == 0 ? 1 : s * std[c]));
    }
}

static void reorder(const char *op) {
    size_t item = kind == F32 ? 4 : 1, row = (size_t)W * 3 * item;
    if (kind == F32)
        memcpy(bytes, numbers, (size_t)H * W * 3 * 4);
    memset(other, 0, sizeof other);
    int a = 0;
    char name[16] = "";
    sscanf(op, "%15[a-z0-9_]:%d", name, &a);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 3; c++) {
                size_t from = (((size_t)y * W + x) * 3 + c) * item, to = from;
                if (!strcmp(name, "nchw"))
                    to = (((size_t)c * H + y) * W + x) * item;
                else if (!strcmp(name, "pad4"))
                    to = (((size_t)y * W + x) * 4 + c) * item;
                else if (!strcmp(name, "block"))
                    to = (((size_t)y * W + x) * a + c) * item;
                else if (!strcmp(name, "stride"))
                    to = (size_t)y * (row + (size_t)a * 3 * item) + ((size_t)x * 3 + c) * item;
                else if (!strcmp(name, "columns"))
                    to = (((size_t)x * H + y) * 3 + c) * item;
                else if (!strcmp(name, "late") && from >= (size_t)a * item)
                    to = from - (size_t)a * item;
                else if (!strcmp(name, "planes")) { /* as read by one who takes NHWC for NCHW */
                    size_t p = ((size_t)y * W + x) * 3 + c, area = (size_t)H * W;
                    to = ((p % area) * 3 + p / area) * item;
                }
                memcpy(other + to, bytes + from, item);
            }
    take();
    if (kind == F32)
        memcpy(numbers, bytes, (size_t)H * W * 3 * 4);
}

static int apply(char *op) {
    int a = 0, b = 0, n = H * W * C;
    char x[8] = "", y[8] = "";
    const double im[3] = {123.675, 116.28, 103.53}, is[3] = {58.395, 57.12, 57.375};
    const double *m = model_mean, *s = model_std;
    const double hm[3] = {127.5, 127.5, 127.5};
    if (!strcmp(op, "bgr")) order(2, 1, 0);
    else if (sscanf(op, "order:%1[0-2]%1[0-2]%d", x, y, &a) == 3) order(x[0] - '0', y[0] - '0', a);
    else if (!strcmp(op, "fliph")) turn(0, 0, 1);
    else if (!strcmp(op, "flipv")) turn(0, 1, 0);
    else if (!strcmp(op, "rot180")) turn(0, 1, 1);
    else if (!strcmp(op, "rotleft")) turn(1, 1, 0);
    else if (!strcmp(op, "rotright")) turn(1, 0, 1);
    else if (!strcmp(op, "transpose")) turn(1, 0, 0);
    else if (sscanf(op, "shift:%d:%d", &a, &b) == 2) move_by(a, b);
    else if (sscanf(op, "yuv:%2s:%2s", x, y) == 2)
        for (int i = 0; i < H * W; i++) { double t[3]; encode(x, bytes + 3 * i, t); decode(y, t, bytes + 3 * i); }
    else if (!strcmp(op, "uvswap"))
        for (int i = 0; i < H * W; i++) {
            double t[3], u;
            encode("6l", bytes + 3 * i, t); u = t[1]; t[1] = t[2]; t[2] = u; decode("6l", t, bytes + 3 * i);
        }
    else if (!strcmp(op, "yuvraw"))
        for (int i = 0; i < H * W; i++) {
            double t[3];
            encode("6l", bytes + 3 * i, t);
            for (int c = 0; c < 3; c++) bytes[3 * i + c] = (uint8_t)t[c];
        }
    else if (!strcmp(op, "grey"))
        for (int i = 0; i < H * W; i++) {
            int g = (77 * bytes[3 * i] + 150 * bytes[3 * i + 1] + 29 * bytes[3 * i + 2] + 128) >> 8;
            memset(bytes + 3 * i, g, 3);
        }
    else if (sscanf(op, "nv12:%d:%d", &a, &b) == 2) nv12(a, b);
    else if (!strcmp(op, "plus128")) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)(bytes[i] ^ 0x80);
    else if (!strcmp(op, "sat127")) for (int i = 0; i < n; i++) bytes[i] = bytes[i] > 127 ? 127 : bytes[i];
    else if (!strcmp(op, "half")) for (int i = 0; i < n; i++) bytes[i] = bytes[i] >> 1;
    else if (!strcmp(op, "wrap")) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)(bytes[i] * 2);
    else if (!strcmp(op, "double")) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)clamp(bytes[i] * 2.0);
    else if (!strcmp(op, "invert")) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)(255 - bytes[i]);
    else if (!strcmp(op, "limited")) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)clamp(16 + bytes[i] * 219.0 / 255);
    else if (sscanf(op, "contrast:%d:%d", &a, &b) == 2) for (int i = 0; i < n; i++) bytes[i] = (uint8_t)clamp(bytes[i] * a / 100.0 + b);
    else if (!strcmp(op, "float")) to_numbers();
    else if (!strcmp(op, "norm")) normalize(1, 1, 1, 0, m, s);
    else if (!strcmp(op, "imagenet")) normalize(1, 1, 1, 0, im, is);
    else if (!strcmp(op, "imagenet_reversed")) normalize(1, 1, 1, 1, im, is);
    else if (!strcmp(op, "div255")) normalize(255, 0, 0, 0, m, s);
    else if (!strcmp(op, "mean")) normalize(1, 1, 0, 0, m, s);
    else if (!strcmp(op, "std")) normalize(1, 0, 1, 0, m, s);
    else if (!strcmp(op, "imagenet_mean")) normalize(1, 1, 0, 0, im, is);
    else if (!strcmp(op, "reversed")) normalize(1, 1, 1, 1, m, s);
    else if (!strcmp(op, "halfhalf")) normalize(1, 1, 1, 0, hm, hm);
    else if (!strcmp(op, "norm255")) normalize(255, 1, 1, 0, m, s);
    else if (!strcmp(op, "cast")) { kind = U8; for (int i = 0; i < n; i++) bytes[i] = (uint8_t)(int)numbers[i]; }
    else if (!strcmp(op, "castsat")) { kind = U8; for (int i = 0; i < n; i++) bytes[i] = numbers[i] < 0 ? 0 : numbers[i] > 255 ? 255 : (uint8_t)numbers[i]; }
    else if (!strcmp(op, "f32bytes")) { memcpy(bytes, numbers, (size_t)n * 4); kind = U8; }
    else if (!strcmp(op, "f16bytes")) { for (int i = 0; i < n; i++) { uint16_t v = half(numbers[i]); memcpy(bytes + 2 * i, &v, 2); } kind = U8; }
    else if (sscanf(op, "quantize:%d:%7s", &a, x) == 2) quantize(a, x);
    else if (!strcmp(op, "again")) runs = 2;
    else if (!strcmp(op, "asint8")) kind = I8;
    else if (!strcmp(op, "minus128")) { kind = I8; for (int i = 0; i < n; i++) bytes[i] = (uint8_t)(bytes[i] - 128); }
    else if (!strcmp(op, "zero")) { memset(bytes, 0, sizeof bytes); memset(numbers, 0, sizeof numbers); }
    else if (sscanf(op, "constant:%d", &a) == 1) memset(bytes, a, sizeof bytes);
    else if (sscanf(op, "first:%d", &a) == 1) {
        size_t kept = (size_t)n * (size_t)a / 100;
        memset(bytes + kept, 0, (size_t)n - kept);
        memset(numbers + kept, 0, ((size_t)n - kept) * 4);
    }
    else if (!strcmp(op, "zerocopy_packed")) zero_copy = 1;
    else reorder(op);
    return 0;
}

static int collect(const char *target) {
    const char *folder = getenv("RKNN_DUMP_DIR");
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return 1;
    int found = 1;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strstr(entry->d_name, "_InputOperator_") != NULL) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            found = rename(path, target);
        }
    closedir(directory);
    return found;
}

#define CHECK(call) do { int status_ = (call); if (status_ != 0) { fprintf(stderr, "%s = %d: %s\n", #call, status_, line); return 1; } } while (0)

int main(int argc, char **argv) {
    static char line[8192];
    if (argc != 9)
        return 2;
    for (int c = 0; c < 3; c++) model_mean[c] = atof(argv[3 + c]), model_std[c] = atof(argv[6 + c]);
    FILE *jobs = fopen(argv[2], "r");
    while (jobs != NULL && fgets(line, sizeof line, jobs) != NULL) {
        char target[4096], picture[4096];
        int used = 0;
        if (sscanf(line, "%4095s %4095s %d %d%n", target, picture, &H, &W, &used) != 4)
            return 2;
        FILE *file = fopen(picture, "rb");
        C = 3, kind = U8, zero_copy = 0, runs = 1;
        n_bytes = (size_t)H * W * 3;
        memset(bytes, 0, sizeof bytes);
        if (file == NULL || fread(bytes, 1, n_bytes, file) != n_bytes)
            return 2;
        fclose(file);
        rkabi_context context = 0;
        CHECK(rknn_init(&context, argv[1], 0, 0, NULL));
        rkabi_tensor_attr input_attr = {.index = 0};
        CHECK(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &input_attr, sizeof input_attr));
        input_scale = input_attr.scale, input_zp = input_attr.zp;
        for (char *op = strtok(line + used, " \n"); op != NULL; op = strtok(NULL, " \n"))
            apply(op);
        uint32_t count = (uint32_t)(H * W * 3);
        if (zero_copy) {
            rkabi_tensor_attr in = {.index = 0};
            CHECK(rknn_query(context, RKABI_QUERY_NATIVE_INPUT_ATTR, &in, sizeof in));
            in.type = RKABI_TYPE_UINT8;
            in.fmt = RKABI_FMT_NHWC;
            rkabi_tensor_mem *memory = rknn_create_mem(context, in.size_with_stride);
            memset(memory->virt_addr, 0, in.size_with_stride);
            memcpy(memory->virt_addr, bytes, count);
            CHECK(rknn_set_io_mem(context, memory, &in));
            rkabi_tensor_attr out = {.index = 0};
            CHECK(rknn_query(context, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &out, sizeof out));
            rkabi_tensor_mem *result = rknn_create_mem(context, out.size_with_stride);
            CHECK(rknn_set_io_mem(context, result, &out));
            while (runs-- > 0)
                CHECK(rknn_run(context, NULL));
        } else {
            rkabi_input input = {.index = 0, .fmt = RKABI_FMT_NHWC};
            input.type = kind == F32 ? RKABI_TYPE_FLOAT32 : kind == I8 ? RKABI_TYPE_INT8 : RKABI_TYPE_UINT8;
            input.buf = kind == F32 ? (void *)numbers : (void *)bytes;
            input.size = kind == F32 ? count * 4 : count;
            CHECK(rknn_inputs_set(context, 1, &input));
            while (runs-- > 0) /* more than once: the next frame was read, and never set */
                CHECK(rknn_run(context, NULL));
        }
        if (collect(target) != 0) {
            fprintf(stderr, "no dump for %s\n", target);
            return 1;
        }
        CHECK(rknn_destroy(context));
    }
    return 0;
}
