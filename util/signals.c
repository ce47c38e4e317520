/* SPDX-License-Identifier: MIT */
#include "util/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/cleanup.h"

int kt_signals_watch(struct kt_loop *loop, struct kt_source *source, const int *signals, size_t n)
{
	sigset_t set;
	int fd, r;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		(void)sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	source->fd = fd;
	source->events = EPOLLIN;
	r = kt_loop_add(loop, source);
	if (r < 0)
		source->fd = kt_close(fd);
	return r;
}

int kt_signals_take(const struct kt_source *source)
{
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

void kt_signals_unwatch(struct kt_loop *loop, struct kt_source *source)
{
	int fd = source->fd;

	if (fd < 0)
		return;
	kt_loop_remove(loop, source);
	(void)kt_close(fd);
}
