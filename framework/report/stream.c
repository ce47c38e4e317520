/* SPDX-License-Identifier: MIT */
#include "framework/report/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

/* A FIFO is opened without waiting for its reader, or the run would never begin. */
static int open_stream(const char *path, struct kt_err *reterr)
{
	int fd;

	if (!*path)
		return kt_err_set(reterr, -EINVAL, "a report needs a path; '-' is standard output");
	if (!strcmp(path, "-"))
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path,
			  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_NOCTTY |
				  O_CLOEXEC,
			  0644);
	if (fd < 0)
		return errno == ENXIO ? kt_err_set(reterr, -ENXIO, "'%s': nothing reads it", path)
				      : kt_err_set(reterr, -errno, "'%s': %m", path);
	if (strcmp(path, "-") != 0)
		(void)fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

int kt_report_stream_open(const char *path, FILE **ret_stream, struct kt_err *reterr)
{
	int fd = open_stream(path, reterr);

	if (fd < 0)
		return fd;
	*ret_stream = fdopen(fd, "a");
	if (!*ret_stream) {
		(void)kt_close(fd);
		return kt_err_oom(reterr);
	}
	return 0;
}
