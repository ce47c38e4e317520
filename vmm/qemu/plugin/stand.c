/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/stand.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "vmm/qemu/plugin/api.h"
#include "vmm/qemu/plugin/idle.h"

static int stand_fd = -1;

void kt_stand_init(int fd)
{
	stand_fd = fd;
}

/* The lock is free only when the stop waits for the vCPUs, all of which know of it then. */
static void await_stop(void)
{
	while (kt_api.runstate_is_running()) {
		struct pollfd standing = { .fd = stand_fd, .events = POLLIN };

		if (poll(&standing, 1, 0) <= 0)
			return; /* the host has changed its mind */
		(void)poll(NULL, 0, 1);
	}
	kt_api.bql_lock_impl(__FILE__, __LINE__);
	kt_api.bql_unlock();
}

bool kt_stand_poll(int fd, int ms)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = stand_fd, .events = POLLIN },
	};

	kt_idle_on_block();
	return poll(fds, 2, ms) > 0 && fds[0].revents;
}

int kt_stand_wait(int fd)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = stand_fd, .events = POLLIN },
	};

	kt_idle_on_block();
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (!fds[1].revents)
		return 0;
	await_stop();
	return -EAGAIN;
}
