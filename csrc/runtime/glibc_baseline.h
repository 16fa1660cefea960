/*
 * Given to the compiler with -include when a board kit is built: binds symbols that glibc 2.34 gave new versions to their first
 * ones, so that the result loads on boards with glibc 2.17 (2.28 on 32-bit Arm). scripts/build-kit checks the outcome.
 */
#ifndef RKPARITY_RUNTIME_GLIBC_BASELINE_H
#define RKPARITY_RUNTIME_GLIBC_BASELINE_H

#if defined(__aarch64__)
#define RKRT_BASELINE "GLIBC_2.17"
#elif defined(__arm__)
#define RKRT_BASELINE "GLIBC_2.4"
#elif defined(__x86_64__)
#define RKRT_BASELINE "GLIBC_2.2.5"
#endif

#if defined(RKRT_BASELINE) && !defined(__ASSEMBLER__)
__asm__(".symver dlopen, dlopen@" RKRT_BASELINE);
__asm__(".symver dlsym, dlsym@" RKRT_BASELINE);
__asm__(".symver dlerror, dlerror@" RKRT_BASELINE);
__asm__(".symver dlclose, dlclose@" RKRT_BASELINE);
#if defined(__x86_64__)
__asm__(".symver memcpy, memcpy@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");
#else
__asm__(".symver dladdr, dladdr@" RKRT_BASELINE);
#endif
#endif

#endif
