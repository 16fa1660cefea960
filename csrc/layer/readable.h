/*
 * Reading the program's memory without trusting what it says about it.
 *
 * A page counts as readable when write(2) to a pipe accepts a byte of it. That is an ordinary read by the kernel: unlike
 * process_vm_readv it works on device memory, under qemu-user and where ptrace is forbidden.
 */
#ifndef RKPARITY_LAYER_READABLE_H
#define RKPARITY_LAYER_READABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rkl_prober {
    int ends[2];
};

/* false when the process has no descriptor left. */
bool rkl_prober_open(struct rkl_prober *prober);
void rkl_prober_close(struct rkl_prober *prober);

/* How many bytes from `address` on can be read, at most `nbytes`. */
uint64_t rkl_readable(const struct rkl_prober *prober, const void *address, uint64_t nbytes);

/* Copies what rkl_readable has proven, whatever a sanitizer thinks of it. */
void rkl_copy_raw(void *to, const void *from, size_t nbytes);

/* Proves and copies; returns how many bytes it was. */
size_t rkl_copy_proven(void *to, const void *from, size_t nbytes);

#endif
