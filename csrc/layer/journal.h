/*
 * The trace file: lines are copied into a shared mapping of its end. What was copied is in the file even if the process dies
 * at once, no system call is made per line, and no descriptor stays open that the program could close or reuse.
 *
 * Blocks are reserved before they are mapped, so that a full disk cannot end the program; where that is not possible, every
 * line is written by opening the file again.
 */
#ifndef RKPARITY_LAYER_JOURNAL_H
#define RKPARITY_LAYER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { RKL_PATH_SIZE = 1024 };

/* Creates `path`, mode 0600; false with errno when it exists or cannot be made. */
bool rkl_journal_create(const char *path);
/* false: the disk is full or the file is gone. */
bool rkl_journal_append(const char *data, size_t nbytes);
uint64_t rkl_journal_used(void);
/* Cuts the reserved rest off; what is appended later is written line by line. */
void rkl_journal_finish(void);
/* In a forked child: lets go of the parent's file. */
void rkl_journal_abandon(void);

/* fstat: it has had several versions in glibc, the system call has one. */
bool rkl_identify(int fd, struct stat *status);

#endif
