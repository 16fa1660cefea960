#include "runtime/process.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>

void rkrt_line_buffer_stdout(void)
{
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

void rkrt_flush_streams(void)
{
    fflush(NULL);
}

int rkrt_die_with_parent(int signal)
{
    return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0UL, 0UL, 0UL) == 0 ? 0 : errno;
}
