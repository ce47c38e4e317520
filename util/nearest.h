/* SPDX-License-Identifier: MIT */
#pragma once
/* "Did you mean": the name of a set that a mistyped word is nearest to. */

#include <stddef.h>

#define KT_NEAREST_MAX                                                                             \
	40 /* bytes of words and names that are compared; longer ones are never near */

struct kt_nearest {
	const char *name; /* the nearest so far, borrowed; NULL: none is near enough */
	size_t distance;  /* changes of a letter that turn the word into it */
};

#define KT_NEAREST_NULL ((struct kt_nearest){ .name = NULL })

/*
 * Compares @word with @name. It is near when a third of the letters, and at least one, have to
 * change: be inserted, removed, replaced, or swapped with the next one. The first of equals stays.
 */
void kt_nearest_offer(struct kt_nearest *nearest, const char *word, const char *name);

/*
 * Compares @word also with each part of @name that has as many underscores as @word, as "frezze"
 * with the second part of "cgroup_freeze". The name that is nearest then is the whole one.
 */
void kt_nearest_offer_part(struct kt_nearest *nearest, const char *word, const char *name);
