/* SPDX-License-Identifier: MIT */
#include "guest/worker/work/buffer.h"

#include <sys/mman.h>

#define KIB               ((size_t)1024)
#define ACCESSES_PER_TICK 4096u /* far less than a millisecond, also when each one faults */

char *kt_buffer_map(const struct kt_worker *worker, unsigned int kib)
{
	char *buffer =
		mmap(NULL, kib * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffer == MAP_FAILED)
		kt_worker_fail(worker, "mmap");
	(void)madvise(buffer, kib * KIB, MADV_NOHUGEPAGE); /* EINVAL: kernel without huge pages */
	return buffer;
}

void kt_buffer_unmap(char *buffer, unsigned int kib)
{
	(void)munmap(buffer, kib * KIB);
}

/* volatile: the compiler must not merge or drop the accesses. */
void kt_buffer_stride(struct kt_worker *worker, char *buffer, unsigned int kib, unsigned int stride)
{
	volatile char *bytes = buffer;
	unsigned int n = 0;

	for (size_t at = 0; at < kib * KIB; at += stride) {
		bytes[at]++;
		if (++n % ACCESSES_PER_TICK)
			continue;
		if (kt_worker_stopping(worker))
			return;
		kt_worker_tick(worker);
	}
}
