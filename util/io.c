/* SPDX-License-Identifier: MIT */
#include "util/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Thin wrappers over system calls that add what every caller needs: continuation after EINTR and
 * short transfers, close-on-exec, and absolute deadlines. Nothing here keeps state. A function that
 * creates a file leaves either the complete file or, after a failure, none.
 */

int kt_read_full(int fd, void *data, size_t len)
{
	char *at = data;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int kt_write_full(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Reads to the end of the file. Proc and sysfs files report the size 0 in stat(2), so the buffer
 * grows with what read(2) returns. One byte beyond @room is always allocated, for the NUL.
 */
static int read_growing(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	KT_FREE char *data = NULL;
	size_t len = 0, room = 0;
	ssize_t n;

	do {
		if (len == room) {
			size_t want = room ? room * 2 : 4096;
			char *grown = realloc(data, want + 1);

			if (!grown)
				return -ENOMEM;
			data = grown;
			room = want;
		}
		n = read(fd, data + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	} while (n);
	data[len] = '\0';
	*ret_data = kt_steal(data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int kt_file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	KT_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return read_growing(fd, max, ret_data, ret_len);
}

int kt_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	return kt_file_read_at(AT_FDCWD, path, max, ret_data, ret_len);
}

int kt_file_write(const char *path, const char *text)
{
	KT_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	/* The rest of a short write would be taken as another command, so it is not written. */
	return (size_t)n == len ? 0 : -EIO;
}

int kt_file_read_u64(const char *path, uint64_t *ret_value)
{
	KT_FREE char *text = NULL;
	char *end;
	uint64_t value;
	int r;

	r = kt_file_read(path, 64, &text, NULL);
	if (r < 0)
		return r;
	/* strtoull(3) reports an overflow in errno only. */
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || (*end && *end != '\n'))
		return -EINVAL;
	*ret_value = value;
	return 0;
}

/* mkostemp(3) creates the file with mode 0600, so fchmod(2) sets the mode before the rename. */
static int publish_fd(int fd, const char *tmp, const char *path, const void *data, size_t len)
{
	int r = kt_write_full(fd, data, len);

	if (r < 0)
		return r;
	if (fchmod(fd, 0644) < 0 || rename(tmp, path) < 0)
		return -errno;
	return 0;
}

int kt_file_publish(const char *path, const void *data, size_t len, struct kt_err *reterr)
{
	KT_FREE char *tmp = kt_format("%s.XXXXXX", path);
	KT_CLOSE int fd = -1;
	int r;

	if (!tmp)
		return kt_err_oom(reterr);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "cannot create '%s': %m", tmp);
	r = publish_fd(fd, tmp, path, data, len);
	if (r < 0) {
		(void)unlink(tmp);
		return kt_err_set(reterr, r, "cannot write '%s': %m", path);
	}
	return 0;
}

/* The least of @keep that is at least @from; one that no process has when there is none. */
static unsigned int next_kept(const int *keep, size_t n, unsigned int from)
{
	unsigned int next = ~0u;

	for (size_t i = 0; i < n; i++) {
		if (keep[i] >= 0 && (unsigned int)keep[i] >= from)
			next = KT_MIN(next, (unsigned int)keep[i]);
	}
	return next;
}

void kt_close_others(const int *keep, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;

	while (from != 0) {
		unsigned int kept = next_kept(keep, n, from);

		if (kept > from)
			(void)syscall(SYS_close_range, from, kept == ~0u ? kept : kept - 1, 0);
		from = kept + 1; /* 0 behind the last one */
	}
}

int kt_mkdir_all(const char *path, struct kt_err *reterr)
{
	KT_FREE char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return kt_err_oom(reterr);
	/* Each '/' ends the path of one parent directory, which is created before its children. */
	for (char *at = copy + 1; *copy && (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return kt_err_set(reterr, -errno, "cannot create directory '%s': %m", copy);
		*at = '/';
	}
	if (mkdir(copy, 0755) < 0 && errno != EEXIST)
		return kt_err_set(reterr, -errno, "cannot create directory '%s': %m", copy);
	if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
		return kt_err_set(reterr, -ENOTDIR, "'%s' is not a directory", copy);
	return 0;
}

/*
 * Depth first. Works on directory descriptors, so that renaming a parent meanwhile cannot lead the
 * removal elsewhere, and does not follow symbolic links.
 */
static int remove_all_at(int dir_fd, const char *name)
{
	KT_CLOSE int fd = -1;
	DIR *dir;
	int first = 0;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* unlink(2) of a directory fails with EISDIR on Linux and with EPERM in POSIX. */
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1; /* closedir() closes it */
	for (struct dirent *ent; (ent = readdir(dir));) {
		int r;

		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		r = remove_all_at(dirfd(dir), ent->d_name);
		/* After a failure, the other files are removed nevertheless. */
		first = first ?: r;
	}
	(void)closedir(dir);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		first = first ?: -errno;
	return first;
}

int kt_remove_all(const char *path)
{
	return remove_all_at(AT_FDCWD, path);
}

/* The timeout is computed again in every round, so that signals do not extend the wait. */
int kt_poll(struct pollfd *fds, size_t n, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t left = kt_left_ns(deadline_ns);
		struct timespec timeout = {
			.tv_sec = (time_t)(left / KT_NSEC_PER_SEC),
			.tv_nsec = (long)(left % KT_NSEC_PER_SEC),
		};
		int r = ppoll(fds, n, deadline_ns == KT_NSEC_NEVER ? NULL : &timeout, NULL);

		if (r >= 0)
			return r;
		if (errno != EINTR)
			return -errno;
	}
}

char *kt_format(const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

bool kt_is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool kt_file_readable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}
