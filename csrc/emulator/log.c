#include "emulator/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "abi/rknn_abi.h"

int emu_log_level_from_environment(void) {
    const char *text = getenv("RKNN_LOG_LEVEL");
    return text == NULL ? 0 : (int)strtol(text, NULL, 10);
}

static atomic_bool time_shown = true;

void emu_log_show_time(bool shown) {
    time_shown = shown;
}

static int least_level(char letter) {
    switch (letter) {
    case 'E':
        return 0;
    case 'W':
        return 1;
    case 'I':
        return 2;
    default:
        return 3;
    }
}

void emu_log(int level, char letter, const char *format, ...) {
    int least = least_level(letter);
    if (least > 0 && level < least)
        return;
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* One call per line: lines of several threads must not mix. */
    if (!time_shown) {
        fprintf(stderr, "%c RKNN: %s\n", letter, text);
        return;
    }
    fprintf(stderr, "%c RKNN: [%02d:%02d:%02d.%03ld] %s\n", letter, parts.tm_hour, parts.tm_min, parts.tm_sec,
            now.tv_nsec / 1000000L, text);
}

void emu_log_fallback_failed(int level, const char *op_type, const char *tensor) {
    /* The real text, its address included, so that whoever reads logs meets here what a board prints. */
    emu_log(level, 'E',
            "Op type:%s, name: %s:%s, fallback cpu failed. please try updating to the latest version of the toolkit2 and "
            "runtime from: https://console.zbox.filez.com/l/I00fc3 (PWD: rknn)",
            op_type, op_type, tensor);
}

int emu_would_crash(int level, const char *call, const char *what) {
    emu_log(level, 'E', "rkparity emulated runtime: %s: the real library crashes here: %s", call, what);
    if (getenv("RKPARITY_EMULATOR_CRASH") != NULL)
        abort();
    return RKABI_ERR_PARAM_INVALID;
}
