/* The one assertion of the kernels' C tests. */
#ifndef RKPARITY_TESTS_C_KERNELS_CHECK_H
#define RKPARITY_TESTS_C_KERNELS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
