/* SPDX-License-Identifier: MIT */
#include "util/names.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t kt_names_sort(const char **names, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort((void *)names, n, sizeof(*names), by_text);
	for (size_t i = 0; i < n; i++) {
		if (!kept || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	}
	return kept;
}

bool kt_names_has(const char *const *names, size_t n, const char *name)
{
	return n && bsearch(&name, names, n, sizeof(*names), by_text);
}
