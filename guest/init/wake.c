/* SPDX-License-Identifier: MIT */
#include "guest/init/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "util/clock.h"

#define POOL "/dev/urandom"

/* Credits 256 bits to the pool. RNDRESEEDCRNG makes the kernel use them from the next byte on. */
static void add_entropy(int fd, const uint8_t bytes[32])
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[32];
	} pool = { .info = { .entropy_count = 256, .buf_size = 32 } };

	memcpy(pool.bytes, bytes, sizeof(pool.bytes));
	(void)ioctl(fd, RNDADDENTROPY, &pool);
	/* Without this the generator would continue as in other guests of the same image. */
	(void)ioctl(fd, RNDRESEEDCRNG);
}

/* The clock of a restored machine continues at the time at which its image was saved. */
static void set_clock(uint64_t realtime_ns)
{
	struct timespec now = {
		.tv_sec = (time_t)(realtime_ns / KT_NSEC_PER_SEC),
		.tv_nsec = (long)(realtime_ns % KT_NSEC_PER_SEC),
	};

	(void)clock_settime(CLOCK_REALTIME, &now);
}

int kt_wake_prepare(struct kt_err *reterr)
{
	int fd = open(POOL, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? kt_err_set(reterr, -errno, POOL ": %m") : fd;
}

void kt_wake(int fd, const struct kt_msg_wake *wake)
{
	add_entropy(fd, wake->entropy);
	if (wake->realtime_ns)
		set_clock(wake->realtime_ns);
}
