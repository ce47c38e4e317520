/* SPDX-License-Identifier: MIT */
#pragma once
/* What the kernel says, for tests to compare. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The text of a file without its last newline, in a buffer of the test's; "" when it cannot be read. */
__attribute__((format(printf, 2, 3))) static inline const char *look(char text[4096],
								     const char *format, ...)
{
	char path[512];
	ssize_t n;
	va_list ap;
	int fd;

	va_start(ap, format);
	(void)vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, 4095);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

/* A file of a cgroup of the scenario. */
static inline const char *look_cgroup(char text[4096], const char *cgroup, const char *file)
{
	return look(text, "/sys/fs/cgroup/ktest/%s/%s", cgroup, file);
}

/* The value behind "NAME:" in /proc/PID/status. */
static inline const char *look_status(char text[4096], pid_t pid, const char *name)
{
	char *at;

	(void)look(text, "/proc/%d/status", (int)pid);
	at = strstr(text, name);
	if (!at)
		return "";
	at += strlen(name);
	at += strspn(at, ":\t ");
	at[strcspn(at, "\n")] = '\0';
	return at;
}
