/* SPDX-License-Identifier: MIT */
#include "util/nearest.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * The distance of Levenshtein, where swapping two neighbours is one change, too. Both words have at
 * most KT_NEAREST_MAX bytes. @rows are those before the current one of the usual table.
 */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][KT_NEAREST_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t k = 0; k <= n_b; k++)
		last[k] = before[k] = k;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *reused = before;

		row[0] = i;
		for (size_t k = 1; k <= n_b; k++) {
			size_t best = last[k - 1] + (a[i - 1] != b[k - 1]);

			best = KT_MIN(best, KT_MIN(last[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				best = KT_MIN(best, before[k - 2] + 1);
			row[k] = best;
		}
		before = last;
		last = row;
		row = reused;
	}
	return last[n_b];
}

void kt_nearest_offer(struct kt_nearest *nearest, const char *word, const char *name)
{
	size_t n_word = strlen(word), n_name = strlen(name), changes;

	if (n_word > KT_NEAREST_MAX || n_name > KT_NEAREST_MAX)
		return;
	changes = distance(word, n_word, name, n_name);
	if (changes > KT_MAX(n_word / 3, 1) || (nearest->name && changes >= nearest->distance))
		return;
	nearest->name = name;
	nearest->distance = changes;
}

/* What follows @n underscores of @text; its end if there are not so many. */
static const char *skip_parts(const char *text, size_t n)
{
	for (; n && *text; n--) {
		text = strchrnul(text, '_');
		text += *text == '_';
	}
	return text;
}

static size_t count_parts(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '_';
	return n;
}

/* "frezze" has one part, and is compared with each of "cgroup_freeze". */
void kt_nearest_offer_part(struct kt_nearest *nearest, const char *word, const char *name)
{
	size_t n_word = count_parts(word), n_name = count_parts(name);

	kt_nearest_offer(nearest, word, name);
	for (size_t i = 0; i + n_word <= n_name && n_word < n_name; i++) {
		const char *begin = skip_parts(name, i), *end = skip_parts(begin, n_word);
		char part[KT_NEAREST_MAX + 2];

		/* The underscore behind the part is none of it; a part that is cut is too long. */
		(void)snprintf(part, sizeof(part), "%.*s", (int)(end - begin - (*end != '\0')),
			       begin);
		kt_nearest_offer(nearest, word, part);
		if (nearest->name == part)
			nearest->name = name;
	}
}
