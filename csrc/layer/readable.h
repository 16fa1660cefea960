/*
 * Reading the program's memory without trusting what it says about it.
 *
 * process_vm_readv copies without risk. It refuses device memory, does not exist under qemu-user and may be forbidden; a
 * page it did not read counts as readable when a pipe accepts a byte of it, which is an ordinary read.
 */
#ifndef RKPARITY_LAYER_READABLE_H
#define RKPARITY_LAYER_READABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rkl_prober {
    int ends[2];
    bool refused; /* no descriptor was left for the pipe: unreadable then means not known */
};

void rkl_prober_open(struct rkl_prober *prober);
void rkl_prober_close(struct rkl_prober *prober);

/* Copies `nbytes` from the program, or as many as can be read from the start; returns how many. */
size_t rkl_fetch(struct rkl_prober *prober, void *to, const void *from, size_t nbytes);
/* The same for a single piece. */
size_t rkl_copy_proven(void *to, const void *from, size_t nbytes);

/* Copies what is known to be readable, whatever a sanitizer thinks of it. */
void rkl_copy_raw(void *to, const void *from, size_t nbytes);

#endif
