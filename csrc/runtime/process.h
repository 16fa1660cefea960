/* What a program around librknnrt needs of its own process. */
#ifndef RKPARITY_RUNTIME_PROCESS_H
#define RKPARITY_RUNTIME_PROCESS_H

/* Makes C's stdout hand on whole lines at once even into a file, so that a crash loses no line of the runtime's log. */
void rkrt_line_buffer_stdout(void);

/* Writes out whatever C's streams still hold. */
void rkrt_flush_streams(void);

/* Asks the kernel to send this process `signal` when its parent dies. 0, or errno. */
int rkrt_die_with_parent(int signal);

#endif
