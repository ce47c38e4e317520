/* SPDX-License-Identifier: MIT */
#include "util/memory.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PROC_FILE_MAX 65536u /* bytes */

uint64_t kt_meminfo_mib(const char *key)
{
	KT_FREE char *text = NULL;
	const char *at;

	if (kt_file_read("/proc/meminfo", PROC_FILE_MAX, &text, NULL) < 0)
		return 0;
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) >> 10 : 0;
}

static uint64_t limit_in(const char *root, const char *cgroup, const char *file)
{
	KT_FREE char *path = kt_format("%s%s/%s", root, cgroup, file), *text = NULL;
	uint64_t limit;
	char *end;

	if (!path || kt_file_read(path, PROC_FILE_MAX, &text, NULL) < 0)
		return UINT64_MAX;
	limit = strtoull(text, &end, 10);
	return end == text ? UINT64_MAX : limit;
}

uint64_t kt_cgroup_least(const char *root, const char *cgroup, const char *file)
{
	KT_FREE char *at = strdup(cgroup);
	uint64_t least = UINT64_MAX;
	char *slash;

	while (at) {
		least = KT_MIN(least, limit_in(root, at, file));
		slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return least;
}

/* What /proc/self/cgroup has behind @key. The path is to be freed; NULL: there is no such line. */
static char *own_cgroup(const char *key)
{
	KT_FREE char *text = NULL;
	const char *at;

	if (kt_file_read("/proc/self/cgroup", PROC_FILE_MAX, &text, NULL) < 0)
		return NULL;
	at = strstr(text, key);
	if (!at)
		return NULL;
	at += strlen(key);
	return strndup(at, strcspn(at, "\n"));
}

/* Version 1 has a hierarchy for each controller, version 2 one for all, without a name. */
static uint64_t cgroup_limit(void)
{
	KT_FREE char *v1 = own_cgroup(":memory:"), *v2 = own_cgroup("0::");

	return KT_MIN(v1 ? kt_cgroup_least("/sys/fs/cgroup/memory", v1, "memory.limit_in_bytes")
			 : UINT64_MAX,
		      v2 ? kt_cgroup_least("/sys/fs/cgroup", v2, "memory.max") : UINT64_MAX);
}

uint64_t kt_memory_mib(void)
{
	return KT_MIN(kt_meminfo_mib("MemTotal:"), cgroup_limit() >> 20);
}
