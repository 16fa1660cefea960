/* What the stand-in driver answers to an ioctl on its device. */
#ifndef RKPARITY_NPU_REQUESTS_H
#define RKPARITY_NPU_REQUESTS_H

/* Does a request of ioctl `number` with `argument`; 0, or -1 with errno set as the kernel would. */
int npu_request_do(unsigned long number, void *argument);

#endif
