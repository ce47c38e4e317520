/* SPDX-License-Identifier: MIT */
#include "guest/init/settle.h"

#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define ZERO_MAX    ((size_t)128 << 20) /* bytes of free memory that are zeroed */
#define WINDOW_MS   100                 /* for how long the CPUs are observed at a time */
#define WINDOWS_MAX 30                  /* after 3 s the template is saved anyway */
#define BUSY_MAX    3                   /* per cent of CPU time that an idle window may use */

/*
 * The kernel gives out zeroed pages only, so taking them and giving them back zeroes them. The
 * pages that were used last come first: with these 128 MiB a template is as small as with all 400
 * that are free in 512 (61 MiB, of 73 without), and made three seconds sooner.
 */
static void zero_free_memory(void)
{
	struct sysinfo info;
	size_t len;
	void *all;

	if (sysinfo(&info) < 0)
		return;
	/* Leave a sixteenth to the kernel, so that the OOM killer does not kill PID 1. */
	len = KT_MIN((size_t)info.freeram * info.mem_unit / 16 * 15, ZERO_MAX);
	all = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (all == MAP_FAILED)
		return;
	(void)madvise(all, len, MADV_HUGEPAGE); /* one page fault for 2 MiB instead of 512 */
	(void)madvise(all, len, MADV_POPULATE_WRITE);
	(void)munmap(all, len);
}

/*
 * Returns the jiffies in which CPUs were busy since boot, and stores the sum of all jiffies. Both
 * are 0 when /proc/stat cannot be read.
 */
static uint64_t busy_jiffies(uint64_t *ret_total)
{
	uint64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
	KT_FREE char *text = NULL;

	*ret_total = 0;
	if (kt_file_read("/proc/stat", 1 << 20, &text, NULL) < 0 ||
	    sscanf(text,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64,
		   &user, &nice, &system, &idle, &iowait, &irq, &softirq) != 7)
		return 0;
	*ret_total = user + nice + system + idle + iowait + irq + softirq;
	return *ret_total - idle - iowait;
}

/*
 * Waits until the CPUs are idle for one window. After a boot, timers still calibrate clocks and
 * work queues still free memory; the kernel has no event for their end, so this polls. The time is
 * spent once for each template, not for each test.
 */
static void wait_idle(void)
{
	uint64_t total, busy = busy_jiffies(&total);

	for (int i = 0; i < WINDOWS_MAX; i++) {
		uint64_t total_before = total, busy_before = busy;

		(void)poll(NULL, 0, WINDOW_MS);
		busy = busy_jiffies(&total);
		if (total > total_before &&
		    (busy - busy_before) * 100 <= (total - total_before) * BUSY_MAX)
			return;
	}
}

void kt_settle(void)
{
	sync();
	(void)kt_file_write("/proc/sys/vm/drop_caches", "3");
	zero_free_memory();
	wait_idle();
}
