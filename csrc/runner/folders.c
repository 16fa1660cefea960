#include "runner/folders.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_join(char *path, size_t size, const char *folder, const char *name, rkrt_error *error)
{
    if (snprintf(path, size, "%s/%s", folder, name) >= (int)size) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%.100s...: the path is too long", folder);
    }
    return 0;
}

int folder_make_fresh(const char *path, rkrt_error *error)
{
    struct dirent *entry;
    DIR *folder;

    if (mkdir(path, 0755) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be created: %s", path, strerror(errno));
    }
    folder = opendir(path);
    if (!folder) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be used: %s", path, strerror(errno));
    }
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            closedir(folder);
            rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s is not empty", path);
            return rkrt_hint(error, "name a folder that does not exist yet");
        }
    }
    closedir(folder);
    if (access(path, W_OK) != 0) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be written: %s", path, strerror(errno));
    }
    return 0;
}

void folder_write_listing(json *out, const char *path)
{
    DIR *folder = path ? opendir(path) : NULL;
    struct dirent *entry;
    char file_path[PATH_MAX];
    rkrt_error ignored;

    json_begin(out, "dumps", '[');
    while (folder && (entry = readdir(folder)) != NULL) {
        FILE *file;
        if (entry->d_name[0] == '.' || folder_join(file_path, sizeof file_path, path, entry->d_name, &ignored) != 0) {
            continue;
        }
        /* fseeko rather than stat, whose symbol is newer than the oldest glibc a kit must run on. */
        file = fopen(file_path, "rbe");
        if (file && fseeko(file, 0, SEEK_END) == 0) {
            json_begin(out, NULL, '{');
            json_text(out, "file", entry->d_name);
            json_integer(out, "nbytes", (int64_t)ftello(file));
            json_end(out, '}');
        }
        if (file) {
            fclose(file);
        }
    }
    json_end(out, ']');
    if (folder) {
        closedir(folder);
    }
}
