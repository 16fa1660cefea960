/* The runtime's log lines: `I RKNN: [HH:MM:SS.mmm] text` on stderr. */
#ifndef RKPARITY_EMULATOR_LOG_H
#define RKPARITY_EMULATOR_LOG_H

#include <stdbool.h>

/* The level of RKNN_LOG_LEVEL: 0 (unset, or no number) shows E, 1 adds W, 2 adds I, 3 and up add D (evidence 160_loglevel_*). */
int emu_log_level_from_environment(void);

#if defined(__GNUC__)
#define EMU_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define EMU_PRINTF(text, first)
#endif

/* Whether lines carry the time of day; the mini runtime's do not (evidence mrt232_*). One setting for the process. */
void emu_log_show_time(bool shown);
/* Writes one line when `level` lets `letter` (one of E, W, I, D) through. */
void emu_log(int level, char letter, const char *format, ...) EMU_PRINTF(3, 4);
/* An argument on which the real library crashes: says so, and crashes when RKPARITY_EMULATOR_CRASH is set. */
int emu_would_crash(int level, const char *call, const char *what);
/* The line of an InputOperator or OutputOperator that cannot convert its tensor. */
void emu_log_fallback_failed(int level, const char *op_type, const char *tensor);

#endif
