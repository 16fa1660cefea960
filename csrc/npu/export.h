/* Marks a function that stands before the C library's. */
#ifndef RKPARITY_NPU_EXPORT_H
#define RKPARITY_NPU_EXPORT_H

#define NPU_EXPORT __attribute__((visibility("default")))

#endif
