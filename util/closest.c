/* SPDX-License-Identifier: MIT */
#include "util/closest.h"

#include <string.h>

#include "util/cleanup.h"

/*
 * at[i][j]: the distance between the first i letters of one name and the first j of the other. Only
 * the last three rows are needed.
 */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t at[3][KT_CLOSEST_LEN + 1];

	for (size_t j = 0; j <= n_b; j++)
		at[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		const size_t *above = at[(i - 1) % 3], *higher = at[(i + 1) % 3];
		size_t *row = at[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			row[j] = KT_MIN(above[j - 1] + (a[i - 1] != b[j - 1]),
					KT_MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = KT_MIN(row[j], higher[j - 2] + 1);
		}
	}
	return at[n_a % 3][n_b];
}

void kt_closest_init(struct kt_closest *closest, const char *wanted)
{
	size_t len = strlen(wanted);

	*closest = (struct kt_closest){
		.wanted = wanted,
		.distance = len > KT_CLOSEST_LEN ? 0 : KT_MAX(len / 3, 1u) + 1,
	};
}

void kt_closest_try(struct kt_closest *closest, const char *name)
{
	size_t len = strlen(name), d;

	if (!closest->distance || len > KT_CLOSEST_LEN)
		return;
	d = distance(closest->wanted, strlen(closest->wanted), name, len);
	if (d >= closest->distance)
		return;
	closest->name = name;
	closest->distance = d;
}
