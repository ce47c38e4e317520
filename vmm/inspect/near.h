/* SPDX-License-Identifier: MIT */
#pragma once
/* Names that are close to one that does not exist, for an error that says what there is instead. */

#include <stddef.h>

#define KT_NEAR_MAX 4u /* names that are kept */

/* Names are borrowed; those of one object must outlive it. */
struct kt_near {
	const char *wanted;
	size_t len;
	size_t n;
	const char *names[KT_NEAR_MAX]; /* the closest first */
	unsigned int distances[KT_NEAR_MAX];
};

/* @len bytes of @wanted count. */
void kt_near_init(struct kt_near *near, const char *wanted, size_t len);

/* Keeps @name when it is close enough; NULL and "" are ignored. */
void kt_near_offer(struct kt_near *near, const char *name);

/* " (near: a, b)", or "" when nothing is close. Returns @text. */
const char *kt_near_text(const struct kt_near *near, char *text, size_t room);
