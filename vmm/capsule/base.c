/* SPDX-License-Identifier: MIT */
#include "vmm/capsule/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/parse.h"
#include "vmm/capsule/capsule.h"
#include "vmm/capsule/writer.h"
#include "vmm/ramfile.h"

#define SUFFIX ".ram"

static char *path_of(const char *dir, uint64_t ram_hash)
{
	return kt_format("%s/%016" PRIx64 SUFFIX, dir, ram_hash);
}

int kt_capsule_keep_base(const char *dir, uint64_t ram_hash, int ram_fd)
{
	KT_FREE char *path = path_of(dir, ram_hash);
	char from[64];

	if (!path)
		return -ENOMEM;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", ram_fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int kt_capsule_open_base(const char *dir, uint64_t ram_hash)
{
	KT_FREE char *path = path_of(dir, ram_hash);
	KT_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint64_t hash, used;

	if (fd < 0 || kt_ramfile_hash(fd, &hash, &used) < 0 || hash != ram_hash)
		return -ENOENT;
	return kt_steal_fd(fd);
}

bool kt_capsule_is_base(const char *name)
{
	return strlen(name) == 16 + strlen(SUFFIX) && strspn(name, "0123456789abcdef") == 16 &&
	       !strcmp(name + 16, SUFFIX);
}

/* Whether the capsule at @path needs it. */
static bool needs(const char *path, uint64_t ram_hash)
{
	struct kt_capsule *capsule = NULL;
	const struct kt_capsule_info *info;
	bool found;

	if (kt_capsule_open(path, &capsule, NULL) < 0)
		return false;
	info = kt_capsule_info(capsule);
	found = info->template_machine && info->template_ram == ram_hash;
	capsule = kt_capsule_close(capsule);
	return found;
}

static bool is_needed(const char *dir, uint64_t ram_hash)
{
	DIR *stream = opendir(dir);
	bool found = !stream; /* of what cannot be read, nothing is known */

	for (struct dirent *ent; !found && (ent = readdir(stream));) {
		KT_FREE char *path = kt_format("%s/%s", dir, ent->d_name);

		if (kt_ends_with(ent->d_name, KT_CAPSULE_SUFFIX))
			found = !path || needs(path, ram_hash);
	}
	if (stream)
		(void)closedir(stream);
	return found;
}

/* The time of the last change of a file's names, on CLOCK_REALTIME. */
static bool is_new(const struct stat *st, uint64_t min_age_ns)
{
	uint64_t linked_ns =
		(uint64_t)st->st_ctim.tv_sec * KT_NSEC_PER_SEC + (uint64_t)st->st_ctim.tv_nsec;

	return kt_realtime_ns() < linked_ns + min_age_ns;
}

void kt_capsule_drop_bases(const char *dir, uint64_t min_age_ns)
{
	DIR *stream = opendir(dir);

	for (struct dirent *ent; stream && (ent = readdir(stream));) {
		uint64_t ram_hash;
		struct stat st;

		if (kt_capsule_is_base(ent->d_name) &&
		    sscanf(ent->d_name, "%16" SCNx64, &ram_hash) == 1 &&
		    fstatat(dirfd(stream), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !is_new(&st, min_age_ns) && !is_needed(dir, ram_hash))
			(void)unlinkat(dirfd(stream), ent->d_name, 0);
	}
	if (stream)
		(void)closedir(stream);
}
