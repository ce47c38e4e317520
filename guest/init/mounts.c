/* SPDX-License-Identifier: MIT */
#include "guest/init/mounts.h"

#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* In the order of mounting: a file system precedes those whose mount points are in it. */
static const struct {
	const char *type;
	const char *target;
	const char *options;
	unsigned long flags;
	bool optional; /* a kernel without it still runs tests */
} mounts[] = {
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID, false },
	{ "devpts", "/dev/pts", "mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, true },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, false },
	{ "tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV, false },
	{ "tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV, false },
	{ "cgroup2", "/sys/fs/cgroup", "nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	{ "bpf", "/sys/fs/bpf", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC, true },
	{ "debugfs", "/sys/kernel/debug", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC, true },
	{ "tracefs", "/sys/kernel/tracing", "mode=0700", MS_NOSUID | MS_NODEV | MS_NOEXEC, true },
};

static int make_link(const char *target, const char *path, struct kt_err *reterr)
{
	if (symlink(target, path) < 0 && errno != EEXIST)
		return kt_err_set(reterr, -errno, "cannot link %s to %s: %m", path, target);
	return 0;
}

int kt_mounts_setup(struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(mounts); i++) {
		/*
		 * Directories in sysfs cannot be created: the kernel provides a mount point if it
		 * has the file system. EBUSY: the kernel has mounted devtmpfs itself.
		 */
		if (mkdir(mounts[i].target, 0755) < 0 && errno != EEXIST && !mounts[i].optional)
			return kt_err_set(reterr, -errno, "cannot create %s: %m", mounts[i].target);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0 &&
		    errno != EBUSY && !mounts[i].optional)
			return kt_err_set(reterr, -errno, "cannot mount %s on %s: %m",
					  mounts[i].type, mounts[i].target);
	}
	return make_link("/proc/self/fd", "/dev/fd", reterr) ?:
	       make_link("fd/0", "/dev/stdin", reterr) ?:
	       make_link("fd/1", "/dev/stdout", reterr) ?:
	       make_link("fd/2", "/dev/stderr", reterr);
}
