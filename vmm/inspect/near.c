/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/near.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define LEN_MAX 64u /* longer names are only searched for each other */
#define WITHIN  2u  /* distance of a name that contains the other one */
#define FAR     UINT_MAX

void kt_near_init(struct kt_near *near, const char *wanted, size_t len)
{
	*near = (struct kt_near){ .wanted = wanted, .len = len };
}

/* The number of letters to change, insert or remove (Levenshtein). */
static unsigned int edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int row[LEN_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = KT_MIN(change, KT_MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

static unsigned int distance_to(const struct kt_near *near, const char *name, size_t len)
{
	size_t apart = len > near->len ? len - near->len : near->len - len;
	unsigned int limit = near->len < 6 ? 1 : (unsigned int)near->len / 3, n;

	if (near->len >= 4 && memmem(name, len, near->wanted, near->len))
		return WITHIN + (unsigned int)apart / 4;
	if (len >= 4 && memmem(near->wanted, near->len, name, len))
		return WITHIN + (unsigned int)apart / 4;
	if (apart > limit || len > LEN_MAX || near->len > LEN_MAX)
		return FAR;
	n = edits(near->wanted, near->len, name, len);
	return n <= limit ? n : FAR;
}

void kt_near_offer(struct kt_near *near, const char *name)
{
	size_t at;
	unsigned int distance = name && *name ? distance_to(near, name, strlen(name)) : FAR;

	for (size_t i = 0; i < near->n; i++) {
		if (distance != FAR && !strcmp(near->names[i], name))
			return;
	}
	for (at = near->n; at && near->distances[at - 1] > distance; at--) {
		if (at == KT_NEAR_MAX)
			continue;
		near->names[at] = near->names[at - 1];
		near->distances[at] = near->distances[at - 1];
	}
	if (distance == FAR || at == KT_NEAR_MAX)
		return;
	near->names[at] = name;
	near->distances[at] = distance;
	near->n = KT_MIN(near->n + 1, (size_t)KT_NEAR_MAX);
}

const char *kt_near_text(const struct kt_near *near, char *text, size_t room)
{
	size_t len = 0;

	text[0] = 0;
	for (size_t i = 0; i < near->n && len < room; i++)
		len += (size_t)snprintf(text + len, room - len, "%s%s",
					i ? ", " : " (near: ", near->names[i]);
	if (near->n && len < room)
		(void)snprintf(text + len, room - len, ")");
	return text;
}
