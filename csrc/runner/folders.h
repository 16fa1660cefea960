/* Folders rkrun writes to, and what is in them afterwards. */
#ifndef RKPARITY_RUNNER_FOLDERS_H
#define RKPARITY_RUNNER_FOLDERS_H

#include <stddef.h>

#include "runner/json.h"
#include "runtime/error.h"

/* FOLDER/NAME into `path`. 0, or -1 when it is too long. */
int folder_join(char *path, size_t size, const char *folder, const char *name, rkrt_error *error);

/*
 * Makes a folder, or takes an empty one: librknnrt overwrites files of the same name and leaves the others (evidence 160_repeat).
 * 0, or -1 with kind USAGE (not empty) or FILE.
 */
int folder_make_fresh(const char *path, rkrt_error *error);

/* The member "dumps": name and size of every file in `path`; an empty list for NULL. */
void folder_write_listing(json *out, const char *path);

#endif
