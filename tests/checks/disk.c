/* SPDX-License-Identifier: MIT */
/*
 * A disk that is slow, or refuses modes: tests/checks/capsule.py preloads this into a runner. Files
 * whose names end with $KTEST_DISK_SLOW get them late; no file gets a mode if $KTEST_DISK_NO_MODE
 * is set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LATE_S 3u

int rename(const char *from, const char *to)
{
	const char *suffix = getenv("KTEST_DISK_SLOW");
	size_t len = strlen(to), n = suffix ? strlen(suffix) : 0;

	if (n && len >= n && !strcmp(to + len - n, suffix))
		(void)sleep(LATE_S);
	return (int)syscall(SYS_rename, from, to);
}

int fchmod(int fd, mode_t mode)
{
	if (!getenv("KTEST_DISK_NO_MODE"))
		return (int)syscall(SYS_fchmod, fd, mode);
	errno = EPERM;
	return -1;
}
