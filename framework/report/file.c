/* SPDX-License-Identifier: MIT */
#include "framework/report/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* Either @fd is written through, or @path is replaced. */
struct kt_report_file {
	int fd;     /* -1: @path is replaced */
	char *path; /* owned; without symbolic links if it is replaced */
};

/* Paths that stand for a descriptor of this process: what lies behind it is shared with others. */
static bool is_descriptor(const char *path)
{
	return !strncmp(path, "/dev/std", 8) || !strncmp(path, "/dev/fd/", 8) ||
	       !strncmp(path, "/proc/", 6);
}

/*
 * A FIFO is opened without waiting for its reader: one that nothing reads is an error, and not a
 * run that never begins.
 */
static int open_through(struct kt_report_file *file, const char *path, struct kt_err *reterr)
{
	file->path = strdup(path);
	if (!file->path)
		return kt_err_oom(reterr);
	file->fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file->fd < 0)
		return errno == ENXIO ? kt_err_set(reterr, -ENXIO, "'%s': nothing reads it", path)
				      : kt_err_set(reterr, -errno, "'%s': %m", path);
	(void)fcntl(file->fd, F_SETFL, O_APPEND);
	return 0;
}

/* Checks that a temporary file can be created beside @path, as kt_file_publish() will do. */
static int try_directory(const char *path, struct kt_err *reterr)
{
	KT_FREE char *tmp = kt_format("%s.XXXXXX", path);
	int fd;

	if (!tmp)
		return kt_err_oom(reterr);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "cannot create '%s': %m", path);
	(void)kt_close(fd);
	(void)unlink(tmp);
	return 0;
}

static int open_regular(struct kt_report_file *file, const char *path, struct kt_err *reterr)
{
	file->path = realpath(path, NULL);
	if (!file->path && errno == ENOENT) {
		/* A link to nothing: the target is made through it. */
		if (readlink(path, (char[1]){ 0 }, 1) >= 0) {
			int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

			(void)kt_close(fd);
			file->path = fd < 0 ? NULL : realpath(path, NULL);
			if (!file->path)
				return kt_err_set(reterr, -errno, "'%s': %m", path);
		} else {
			file->path = strdup(path);
		}
	}
	if (!file->path)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	return try_directory(file->path, reterr);
}

static int open_file(struct kt_report_file *file, const char *path, struct kt_err *reterr)
{
	struct stat st;

	if (!*path)
		return kt_err_set(reterr, -EINVAL, "a report needs a path; '-' is standard output");
	if (!strcmp(path, "-")) {
		file->path = strdup("standard output");
		file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		if (!file->path)
			return kt_err_oom(reterr);
		return file->fd < 0 ? kt_err_set(reterr, -errno, "standard output: %m") : 0;
	}
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return kt_err_set(reterr, -EISDIR, "'%s' is a directory", path);
		if (!S_ISREG(st.st_mode) || is_descriptor(path))
			return open_through(file, path, reterr);
	}
	return open_regular(file, path, reterr);
}

int kt_report_file_open(const char *path, struct kt_report_file **ret_file, struct kt_err *reterr)
{
	struct kt_report_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return kt_err_oom(reterr);
	file->fd = -1;
	r = open_file(file, path, reterr);
	if (r < 0)
		kt_report_file_free(file);
	else
		*ret_file = file;
	return r;
}

int kt_report_file_write(const struct kt_report_file *file, const char *text, size_t len,
			 struct kt_err *reterr)
{
	int r;

	if (file->fd < 0)
		return kt_file_publish(file->path, text, len, reterr);
	r = kt_write_full(file->fd, text, len);
	return r < 0 ? kt_err_set(reterr, r, "writing a report to '%s': %m", file->path) : 0;
}

struct kt_report_file *kt_report_file_free(struct kt_report_file *file)
{
	if (file)
		(void)kt_close(file->fd);
	free(file ? file->path : NULL);
	free(file);
	return NULL;
}
