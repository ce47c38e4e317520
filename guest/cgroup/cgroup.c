/* SPDX-License-Identifier: MIT */
#include "guest/cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The life of a cgroup of a test: create, attach, list, move, freeze, measure, remove. The scenario
 * calls these functions from PID 1. They keep no state: all of it is in the kernel's files below
 * KT_CGROUP_ROOT. Limits are in guest/cgroup/limits.c.
 *
 * The kernel finishes some requests after the write(2) that makes them: a killed process still has
 * to exit, a frozen task still has to leave its CPU. These functions therefore return only when the
 * request has taken effect, or at a deadline.
 */

#define LIST_MAX    (1u << 20) /* bytes of cgroup.procs */
#define MOVE_ROUNDS 100        /* a round moves what was forked during the round before */

/*
 * Dots and "cgroup." are refused because the kernel's own files begin with "cgroup.", and names
 * with a leading dot are kept for the cgroups that workers make (guest/worker/work/churn.c).
 */
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

/* @file: a file in the cgroup, or "" for its directory. */
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

/* The value of @key in cgroup.events (0 or 1), or a negative errno: -ENOENT without such a key. */
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

/*
 * Waits until @key in cgroup.events is @want. The kernel raises POLLPRI on the file whenever a
 * value in it changes (kernel: Documentation/admin-guide/cgroup-v2.rst), and opening it before the
 * first read makes sure that no change is missed.
 */
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
 * Waits until every thread of a cgroup is off its CPU; a callback of nftw(3), for one directory.
 * The kernel counts a task as frozen just before the task gives up its CPU (kernel:
 * do_freezer_trap()), and the time until then is still charged to the cgroup. Reading
 * /proc/TID/syscall waits until the task is off the CPU (wait_task_inactive()). Threads that are
 * gone are ignored.
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

/* A deadline of 0 is for the tear-down, which only needs the request to be made. */
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

/*
 * Walks up from the cgroup to below KT_CGROUP_ROOT. A file that cannot be read counts as not
 * frozen.
 */
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
	int r;

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	if (*name)
		return write_file(name, "cgroup.procs", text, reterr);
	r = kt_file_write("/sys/fs/cgroup/cgroup.procs", text);
	return r < 0 ? kt_err_set(reterr, r, "moving process %d to the root cgroup: %m", (int)pid)
		     : 0;
}

int kt_cgroup_list(const char *name, const char *file, pid_t **ret_pids, size_t *ret_n,
		   struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	KT_FREE pid_t *pids = NULL;
	char path[PATH_MAX];
	size_t n = 0;
	int r;

	cgroup_path(path, name, file);
	r = kt_file_read(path, LIST_MAX, &text, NULL);
	if (r < 0)
		return kt_err_set(reterr, r, "cgroup '%s': cannot read %s: %m", name, file);
	pids = calloc(strlen(text) / 2 + 1, sizeof(*pids)); /* two characters each */
	if (!pids)
		return kt_err_oom(reterr);
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		pids[n++] = (pid_t)strtol(line, NULL, 10);
	*ret_pids = kt_steal(pids);
	*ret_n = n;
	return 0;
}

/*
 * A process forks into its own cgroup, so new children may be missing in the list that was read.
 * The list is read again until it is empty.
 */
int kt_cgroup_move_all(const char *from, const char *to, struct kt_err *reterr)
{
	for (int round = 0; round < MOVE_ROUNDS; round++) {
		KT_FREE pid_t *pids = NULL;
		size_t n;
		int r = kt_cgroup_list(from, "cgroup.procs", &pids, &n, reterr);

		if (r < 0 || !n)
			return r;
		for (size_t i = 0; i < n; i++) {
			r = kt_cgroup_attach(to, pids[i], reterr);
			if (r < 0 && r != -ESRCH) /* ESRCH: the process has ended */
				return r;
		}
	}
	return kt_err_set(reterr, -EAGAIN,
			  "cgroup '%s' forks faster than its processes can be moved to '%s'", from,
			  to);
}

/*
 * A process that was reaped is no longer listed, but the end of its exit may still be running. Only
 * "populated" shows that, unless other processes or child cgroups keep the cgroup populated.
 */
int kt_cgroup_await_left(const char *name, uint64_t deadline_ns, struct kt_err *reterr)
{
	KT_FREE pid_t *pids = NULL;
	char path[PATH_MAX];
	struct stat st;
	size_t n;
	int r = kt_cgroup_list(name, "cgroup.procs", &pids, &n, reterr);

	cgroup_path(path, name, "");
	/* st_nlink is 2 plus the number of directories in it. */
	if (r < 0 || n || stat(path, &st) < 0 || st.st_nlink > 2)
		return r;
	return wait_event(name, "populated", 0, deadline_ns, reterr);
}

int kt_cgroup_read_cpuset(const char *name, char **ret_text, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, "cpuset.cpus");
	r = kt_file_read(path, 4096, ret_text, NULL);
	if (r == -ENOENT) /* the cpuset controller is not enabled for this cgroup */
		r = (*ret_text = strdup("")) ? 0 : -ENOMEM;
	if (r < 0)
		return kt_err_set(reterr, r, "cgroup '%s': cannot read cpuset.cpus: %m", name);
	(*ret_text)[strcspn(*ret_text, "\n")] = '\0';
	return 0;
}

/*
 * Removes the cgroups in @path whose name begins with a dot. Workers make them (CgroupChurn), and a
 * worker that was killed leaves them behind. No test can name such a cgroup, so no test can still
 * need it.
 */
static void remove_hidden(const char *path)
{
	DIR *dir = opendir(path);

	for (struct dirent *ent; dir && (ent = readdir(dir));) {
		if (ent->d_name[0] == '.' && strcmp(ent->d_name, ".") && strcmp(ent->d_name, ".."))
			(void)unlinkat(dirfd(dir), ent->d_name, AT_REMOVEDIR);
	}
	if (dir)
		(void)closedir(dir);
}

void kt_cgroup_lift_quota(const char *name)
{
	(void)write_file(name, "cpu.max", "max", NULL);
}

int kt_cgroup_remove(const char *name, uint64_t deadline_ns, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r;

	cgroup_path(path, name, "");
	if (access(path, F_OK) < 0)
		return kt_err_set(reterr, -errno, "cgroup '%s' does not exist", name);
	/* cgroup.kill also ends frozen processes: no need to thaw. */
	kt_cgroup_lift_quota(name);
	r = write_file(name, "cgroup.kill", "1", reterr)
		    ?: wait_event(name, "populated", 0, deadline_ns, reterr);
	if (r < 0)
		return r;
	remove_hidden(path);
	if (rmdir(path) < 0)
		return kt_err_set(reterr, -errno, "cgroup '%s': cannot remove it: %m", name);
	return 0;
}

/* These three are the first values in cpu.stat, even without the cpu controller. */
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
