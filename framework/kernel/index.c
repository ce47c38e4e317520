/* SPDX-License-Identifier: MIT */
#include "framework/kernel/index.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

void kt_releases_deinit(struct kt_releases *releases)
{
	for (size_t i = 0; i < releases->n; i++)
		free(releases->at[i]);
	free(releases->at);
	*releases = KT_RELEASES_NULL;
}

static int newest_first(const void *a, const void *b)
{
	return -strverscmp(*(char *const *)a, *(char *const *)b);
}

/* The release in "linux-image-RELEASE", which becomes part of paths; false for any other name. */
static bool find_release(const char *name, size_t len, const char **ret_release, size_t *ret_len)
{
	size_t prefix = strlen(KT_KERNEL_PACKAGE), suffix = strlen(KT_KERNEL_FLAVOUR);

	if (len <= prefix + suffix || strncmp(name, KT_KERNEL_PACKAGE, prefix) ||
	    strncmp(name + len - suffix, KT_KERNEL_FLAVOUR, suffix) ||
	    !isdigit((unsigned char)name[prefix]) || memchr(name, '/', len))
		return false;
	*ret_release = name + prefix;
	*ret_len = len - prefix;
	return true;
}

static int add(struct kt_releases *releases, const char *release, size_t len)
{
	char **grown = reallocarray(releases->at, releases->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	releases->at = grown;
	grown[releases->n] = strndup(release, len);
	if (!grown[releases->n])
		return -ENOMEM;
	releases->n++;
	return 0;
}

int kt_kernel_index_parse(const char *text, struct kt_releases *ret_releases)
{
	KT_CLEANUP(kt_releases_deinit) struct kt_releases releases = KT_RELEASES_NULL;

	while (*text) {
		const char *release;
		size_t len;

		if (find_release(text, strcspn(text, " \n"), &release, &len) &&
		    add(&releases, release, len) < 0)
			return -ENOMEM;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	if (releases.n)
		qsort(releases.at, releases.n, sizeof(char *), newest_first);
	*ret_releases = releases;
	releases = KT_RELEASES_NULL;
	return 0;
}
