/* SPDX-License-Identifier: MIT */
#pragma once
/* Files and descriptors: whole reads and writes, atomic publication, trees. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Reads exactly @len bytes; returns 0, -ENODATA at an early end of file, or a negative errno. */
int kt_read_full(int fd, void *data, size_t len);

/* Writes all of @data; a short write is continued. */
int kt_write_full(int fd, const void *data, size_t len);

/*
 * Reads a whole file (regular, proc or sysfs) of at most @max bytes into a new buffer with a NUL
 * behind the last byte. @ret_len may be NULL. -EFBIG when the file is larger than @max.
 */
int kt_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len);

/* Like kt_file_read(), from a directory descriptor. */
int kt_file_read_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_len);

/* Writes @text in one write(2) to an existing file, as proc, sysfs and cgroup files want it. */
int kt_file_write(const char *path, const char *text);

/* Creates or replaces @path by a rename of a temporary file beside it: readers see all or nothing.
 */
int kt_file_publish(const char *path, const void *data, size_t len, struct kt_err *reterr);

/* Reads one unsigned number (decimal or 0x hexadecimal) that fills the file. */
int kt_file_read_u64(const char *path, uint64_t *ret_value);

/* mkdir -p with mode 0755. */
int kt_mkdir_all(const char *path, struct kt_err *reterr);

/* rm -rf; a path that does not exist is no error. */
int kt_remove_all(const char *path);

/*
 * poll(2) until a deadline with nanosecond precision; a signal does not end it. Returns the number
 * of ready descriptors, 0 at the deadline, or a negative errno.
 */
int kt_poll(struct pollfd *fds, size_t n, uint64_t deadline_ns);

/* Like asprintf(3), but returns NULL when out of memory. */
char *kt_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True when @path is a regular file that can be opened for reading. */
bool kt_file_readable(const char *path);
