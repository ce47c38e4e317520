/* SPDX-License-Identifier: MIT */
#include "guest/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

const char *kt_cgroup_name_fault(const char *name)
{
	if (!name || !*name)
		return "it is empty";
	if (strlen(name) > 200)
		return "it is longer than 200 characters";
	if (*name == '/')
		return "it begins with a slash";
	for (const char *at = name; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
		size_t len = strcspn(at, "/");

		if (!len)
			return "it has an empty component";
		if (at[0] == '.')
			return "a component begins with a dot";
		if (!strncmp(at, "cgroup.", 7))
			return "a component begins with 'cgroup.'";
	}
	return NULL;
}

static void cgroup_path(char path[PATH_MAX], const char *name, const char *file)
{
	(void)snprintf(path, PATH_MAX, "%s/%s%s%s", KT_CGROUP_ROOT, name, *file ? "/" : "", file);
}

int kt_cgroup_create(const char *name, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, "");
	if (access(path, F_OK) == 0)
		return kt_err_set(reterr, -EEXIST, "cgroup '%s' exists already", name);
	r = kt_mkdir_all(path, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "cgroup '%s'", name) : 0;
}

static int write_file(const char *name, const char *file, const char *text, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, file);
	r = kt_file_write(path, text);
	if (r < 0)
		return kt_err_set(reterr, r, "cgroup '%s': writing \"%s\" to %s: %m", name, text,
				  file);
	return 0;
}

/* The value of @key in cgroup.events, or a negative errno. */
static int read_event(int fd, const char *key)
{
	char text[512], *at;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	at = strstr(text, key);
	return at ? at[strlen(key) + 1] == '1' : -ENOENT;
}

/* The kernel raises POLLPRI on cgroup.events whenever a value in it changes. */
static int wait_event(const char *name, const char *key, int want, uint64_t deadline_ns,
		      struct kt_err *reterr)
{
	KT_CLOSE int fd = -1;
	char path[PATH_MAX];

	cgroup_path(path, name, "cgroup.events");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "cgroup '%s': cannot open cgroup.events: %m",
				  name);
	for (;;) {
		struct pollfd waiting = { .fd = fd, .events = POLLPRI };
		int value = read_event(fd, key);

		if (value == want)
			return 0;
		if (value < 0)
			return kt_err_set(reterr, value, "cgroup '%s': '%s' in cgroup.events: %m",
					  name, key);
		if (kt_poll(&waiting, 1, deadline_ns) == 0)
			return kt_err_set(
				reterr, -ETIMEDOUT,
				"cgroup '%s': timed out waiting for '%s %d' in cgroup.events", name,
				key, want);
	}
}

/*
 * A task counts as frozen just before it gives its CPU up (kernel: do_freezer_trap()), and what it uses
 * until then is charged to its cgroup. Reading its syscall file waits until it is off the CPU
 * (wait_task_inactive()).
 */
static int await_off_cpu(const char *path, const struct stat *st, int type, struct FTW *at)
{
	KT_FREE char *file = type == FTW_D ? kt_format("%s/cgroup.threads", path) : NULL;
	KT_FREE char *threads = NULL;

	(void)st;
	(void)at;
	if (!file || kt_file_read(file, 1 << 20, &threads, NULL) < 0)
		return 0;
	for (char *save, *tid = strtok_r(threads, "\n", &save); tid;
	     tid = strtok_r(NULL, "\n", &save)) {
		KT_FREE char *syscall_path = kt_format("/proc/%s/syscall", tid), *text = NULL;

		if (syscall_path)
			(void)kt_file_read(syscall_path, 4096, &text, NULL);
	}
	return 0;
}

int kt_cgroup_freeze(const char *name, bool freeze, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = write_file(name, "cgroup.freeze", freeze ? "1" : "0", reterr);
	char path[PATH_MAX];

	if (r < 0 || !deadline_ns || (!freeze && kt_cgroup_is_frozen(name)))
		return r;
	r = wait_event(name, "frozen", freeze, deadline_ns, reterr);
	if (r < 0 || !freeze)
		return r;
	cgroup_path(path, name, "");
	(void)nftw(path, await_off_cpu, 8, FTW_PHYS);
	return 0;
}

bool kt_cgroup_is_frozen(const char *name)
{
	char path[PATH_MAX], *slash;

	cgroup_path(path, name, "");
	while ((slash = path + strlen(path)) > path + strlen(KT_CGROUP_ROOT)) {
		uint64_t frozen = 0;

		(void)strcpy(slash, "/cgroup.freeze");
		(void)kt_file_read_u64(path, &frozen);
		if (frozen)
			return true;
		*slash = '\0';
		*strrchr(path, '/') = '\0';
	}
	return false;
}

int kt_cgroup_attach(const char *name, pid_t pid, struct kt_err *reterr)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	return write_file(name, "cgroup.procs", text, reterr);
}

int kt_cgroup_remove(const char *name, uint64_t deadline_ns, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, "");
	if (access(path, F_OK) < 0)
		return kt_err_set(reterr, -errno, "cgroup '%s' does not exist", name);
	/* Frozen or not, a process can be killed. */
	r = write_file(name, "cgroup.kill", "1", reterr)
		    ?: wait_event(name, "populated", 0, deadline_ns, reterr);
	if (r < 0)
		return r;
	if (rmdir(path) < 0)
		return kt_err_set(reterr, -errno, "cgroup '%s': cannot remove it: %m", name);
	return 0;
}

int kt_cgroup_usage(const char *name, struct kt_cgroup_usage *ret_usage, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, "cpu.stat");
	r = kt_file_read(path, 65536, &text, NULL);
	if (r < 0)
		return kt_err_set(reterr, r, "cgroup '%s': cannot read cpu.stat: %m", name);
	if (sscanf(text, "usage_usec %" SCNu64 " user_usec %" SCNu64 " system_usec %" SCNu64,
		   &ret_usage->usage_us, &ret_usage->user_us, &ret_usage->system_us) != 3)
		return kt_err_set(reterr, -EBADMSG,
				  "cgroup '%s': cpu.stat has no usage, user and system", name);
	return 0;
}
