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

int kt_cache_lock(const char *name, void (*on_wait)(void *data), void *data, int *ret_fd,
		  struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL;
	KT_CLOSE int fd = -1;
	int r;

	r = kt_cache_path("locks", &dir, reterr);
	if (r < 0)
		return r;
	path = kt_format("%s/%s", dir, name);
	if (!path)
		return kt_err_oom(reterr);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "cannot open lock '%s': %m", path);
	/* The first attempt does not block: only a wait is announced to the user. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && on_wait)
			on_wait(data);
		while (flock(fd, LOCK_EX) < 0) {
			if (errno != EINTR)
				return kt_err_set(reterr, -errno, "cannot take lock '%s': %m",
						  path);
		}
	}
	*ret_fd = kt_steal_fd(fd);
	return 0;
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
	 * rename(2) refuses to replace a directory that is not empty; an exchange is allowed. The
	 * old directory then has the name of the stage and is removed under it.
	 */
	if (renameat2(AT_FDCWD, stage, AT_FDCWD, path, RENAME_EXCHANGE) < 0)
		return kt_err_set(reterr, -errno, "cannot publish '%s': %m", path);
	(void)kt_remove_all(stage);
	return 0;
}
