/* SPDX-License-Identifier: MIT */
#include "util/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/*
 * Everything here may be done by several test binaries of one user at once. A directory appears in
 * the cache only complete: its builder works in a stage and renames it, under a flock(2) lock that
 * the kernel releases if the builder is killed.
 */

static char *cache_root(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	/* The XDG base directory specification says to ignore a relative path. */
	if (xdg && xdg[0] == '/')
		return kt_format("%s/ktest", xdg);
	return kt_format("%s/.cache/ktest", home && home[0] == '/' ? home : "/root");
}

int kt_cache_path(const char *sub, char **ret_path, struct kt_err *reterr)
{
	KT_FREE char *root = cache_root();
	KT_FREE char *path = root ? kt_format("%s%s%s", root, *sub ? "/" : "", sub) : NULL;
	int r;

	if (!path)
		return kt_err_oom(reterr);
	r = kt_mkdir_all(path, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "cache");
	*ret_path = kt_steal(path);
	return 0;
}

/* The first attempt does not block: only a wait is announced to the user. */
static int take_lock(int fd, bool wait, void (*on_wait)(void *data), void *data)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK || !wait)
		return -errno;
	if (on_wait)
		on_wait(data);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * A lock file can be removed (kt_cache_sweep()) between open(2) and flock(2). Its lock then guards
 * nothing, because the next process makes a new file: it is opened again.
 */
static int open_lock(const char *path, bool wait, void (*on_wait)(void *data), void *data,
		     int *ret_fd)
{
	for (;;) {
		KT_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		struct stat st;
		int r = fd < 0 ? -errno : take_lock(fd, wait, on_wait, data);

		if (r < 0)
			return r;
		if (fstat(fd, &st) == 0 && !st.st_nlink)
			continue;
		*ret_fd = kt_steal_fd(fd);
		return 0;
	}
}

int kt_cache_lock(const char *name, void (*on_wait)(void *data), void *data, int *ret_fd,
		  struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL;
	int r;

	r = kt_cache_path("locks", &dir, reterr);
	if (r < 0)
		return r;
	path = kt_format("%s/%s", dir, name);
	if (!path)
		return kt_err_oom(reterr);
	r = open_lock(path, true, on_wait, data, ret_fd);
	return r < 0 ? kt_err_set(reterr, r, "cannot take lock '%s': %m", path) : 0;
}

/* Removes a stage if no process holds the lock of its entry. Also removes a lock per entry. */
static bool sweep_stage(const char *dir, const char *name, const char *lock, bool per_entry,
			uint64_t *bytes)
{
	const char *suffix = strstr(name, KT_CACHE_STAGE_SUFFIX);
	KT_FREE char *locks = NULL, *lock_path = NULL, *path = kt_format("%s/%s", dir, name);
	KT_CLOSE int fd = -1;
	uint64_t size;

	if (!path || kt_cache_path("locks", &locks, NULL) < 0)
		return false;
	lock_path = kt_format("%s/%s%.*s", locks, lock, per_entry ? (int)(suffix - name) : 0, name);
	if (!lock_path || open_lock(lock_path, false, NULL, NULL, &fd) < 0)
		return false;
	size = kt_cache_disk_bytes(path);
	if (kt_remove_all(path) < 0)
		return false;
	*bytes += size;
	if (per_entry)
		(void)unlink(lock_path);
	return true;
}

unsigned int kt_cache_sweep(const char *sub, const char *lock, bool per_entry, uint64_t *ret_bytes)
{
	KT_FREE char *dir = NULL;
	uint64_t bytes = 0;
	unsigned int n = 0;
	DIR *stream;

	if (kt_cache_path(sub, &dir, NULL) < 0)
		return 0;
	stream = opendir(dir);
	for (struct dirent *ent; stream && (ent = readdir(stream));) {
		if (strstr(ent->d_name, KT_CACHE_STAGE_SUFFIX))
			n += sweep_stage(dir, ent->d_name, lock, per_entry, &bytes);
	}
	if (stream)
		(void)closedir(stream);
	if (ret_bytes)
		*ret_bytes = bytes;
	return n;
}

static uint64_t disk_bytes_at(int dir_fd, const char *name)
{
	struct stat st;
	uint64_t total;
	DIR *dir;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	total = (uint64_t)st.st_blocks * 512;
	if (!S_ISDIR(st.st_mode))
		return total;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		(void)kt_close(fd);
		return total;
	}
	for (struct dirent *ent; (ent = readdir(dir));) {
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, ".."))
			total += disk_bytes_at(dirfd(dir), ent->d_name);
	}
	(void)closedir(dir);
	return total;
}

uint64_t kt_cache_disk_bytes(const char *path)
{
	return disk_bytes_at(AT_FDCWD, path);
}

/* The time of modification of an entry is that of its last use: nothing is written to it later. */
void kt_cache_use(const char *path, int *ret_fd)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_fd = -1;
	if (fd < 0 || flock(fd, LOCK_SH) < 0)
		return;
	(void)futimens(fd, NULL);
	*ret_fd = kt_steal_fd(fd);
}

int kt_cache_remove(const char *path)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY;
	return kt_remove_all(path);
}

/* Errors are ignored: a stale stage costs disk space, but it is never used. */
static void remove_stale(const char *path)
{
	KT_FREE char *prefix = kt_format("%s" KT_CACHE_STAGE_SUFFIX, strrchr(path, '/') + 1);
	KT_FREE char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	DIR *stream = dir ? opendir(dir) : NULL;

	if (!stream)
		return;
	for (struct dirent *ent; prefix && (ent = readdir(stream));) {
		KT_FREE char *stale = NULL;

		if (strncmp(ent->d_name, prefix, strlen(prefix)))
			continue;
		stale = kt_format("%s/%s", dir, ent->d_name);
		if (stale)
			(void)kt_remove_all(stale);
	}
	(void)closedir(stream);
}

int kt_cache_stage(const char *path, char **ret_stage, struct kt_err *reterr)
{
	KT_FREE char *stage = kt_format("%s" KT_CACHE_STAGE_SUFFIX "XXXXXX", path);

	if (!stage)
		return kt_err_oom(reterr);
	remove_stale(path);
	if (!mkdtemp(stage) || chmod(stage, 0755) < 0)
		return kt_err_set(reterr, -errno, "cannot create '%s': %m", stage);
	*ret_stage = kt_steal(stage);
	return 0;
}

int kt_cache_publish(const char *stage, const char *path, struct kt_err *reterr)
{
	if (rename(stage, path) == 0)
		return 0;
	/*
	 * rename(2) refuses to replace a file, or a directory that is not empty; an exchange is
	 * old directory then has the name of the stage and is removed under it. An exchange cannot
	 * mend another error, and would fail with one of its own.
	 */
	if ((errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) ||
	    renameat2(AT_FDCWD, stage, AT_FDCWD, path, RENAME_EXCHANGE) < 0)
		return kt_err_set(reterr, -errno, "cannot publish '%s': %m", path);
	(void)kt_remove_all(stage);
	return 0;
}
