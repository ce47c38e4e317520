/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The known name that is closest to a misspelt one, for errors that ask "did you mean". Names are
 * compared by the fewest letters that are changed, added, left out or swapped with their neighbour
 * (the optimal string alignment distance).
 */

#include <stddef.h>

#define KT_CLOSEST_LEN 64 /* longer names are close to nothing */

struct kt_closest {
	const char *wanted; /* borrowed, as @name is */
	const char *name;   /* the closest so far; NULL: none is close enough */
	size_t distance;    /* of @name */
};

/* Only a name that differs in at most a third of the letters of @wanted counts, or in one. */
void kt_closest_init(struct kt_closest *closest, const char *wanted);

/* Tells of one known name. Of two that are equally close the first stays. */
void kt_closest_try(struct kt_closest *closest, const char *name);
