/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Files and descriptors: whole reads and writes, atomic publication, directory trees. Functions
 * that return int return 0 or the negative errno of the system call that failed, unless it says
 * otherwise.
 */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Reads exactly @len bytes; -ENODATA when the file ends before. */
int kt_read_full(int fd, void *data, size_t len);

/* Writes all of @data, continuing after short writes and signals. */
int kt_write_full(int fd, const void *data, size_t len);

/*
 * Reads a whole file (regular, proc or sysfs) into a new buffer with a NUL behind the last byte;
 * the buffer is to be freed. @ret_len may be NULL. -EFBIG when the file has more than @max bytes.
 */
int kt_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len);

/* kt_file_read() of a path relative to the directory @dir_fd. */
int kt_file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_len);

/*
 * Writes @text to an existing file in a single write(2), because proc, sysfs and cgroup files take
 * each write as a command of its own. -EIO when the kernel takes only a part.
 */
int kt_file_write(const char *path, const char *text);

/*
 * Creates or replaces @path, mode 0644, by renaming a temporary file in the same directory: a
 * reader sees the old contents or all of the new ones.
 */
int kt_file_publish(const char *path, const void *data, size_t len, struct kt_err *reterr);

/*
 * Reads the number that fills the first line of a file of at most 64 bytes. It is decimal, or
 * hexadecimal with 0x, or octal with a leading 0. -EINVAL for any other contents.
 */
int kt_file_read_u64(const char *path, uint64_t *ret_value);

/*
 * Closes every descriptor of the process but the standard streams and those of @keep, in which -1
 * stands for none. Does nothing where the kernel has no close_range(2), or where that is refused.
 */
void kt_close_others(const int *keep, size_t n);

/* mkdir -p with mode 0755. -ENOTDIR when something else is at @path. */
int kt_mkdir_all(const char *path, struct kt_err *reterr);

/*
 * rm -rf: removes @path and everything below it without following symbolic links. A path that does
 * not exist is not an error. Goes on after a failure and returns the first one.
 */
int kt_remove_all(const char *path);

/*
 * poll(2) until @deadline_ns with nanosecond precision; a signal does not end it. Returns the
 * number of ready descriptors, 0 at the deadline, or a negative errno.
 */
int kt_poll(struct pollfd *fds, size_t n, uint64_t deadline_ns);

/* asprintf(3) that returns the text, to be freed, or NULL when out of memory. */
char *kt_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether a directory is at @path. */
bool kt_is_directory(const char *path);

/* True when @path is a regular file that the caller may read. */
bool kt_file_readable(const char *path);
