/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The RAM that capsules leave pages out of. A template is replaced when its program has changed, so
 * its RAM gets a second name beside the capsules that need it, as long as one of them does.
 */

#include <stdbool.h>
#include <stdint.h>

/* Links the RAM file @ram_fd of a template into @dir. 0, or a negative errno. */
int kt_capsule_keep_base(const char *dir, uint64_t ram_hash, int ram_fd);

/* Opens the RAM with this hash in @dir. Returns a descriptor, or -ENOENT where it is not whole. */
int kt_capsule_open_base(const char *dir, uint64_t ram_hash);

/*
 * Removes what no capsule in @dir needs, unless it was linked less than @min_age_ns ago: its
 * capsule may just be written.
 */
void kt_capsule_drop_bases(const char *dir, uint64_t min_age_ns);

#define KT_CAPSULE_BASE_AGE_NS UINT64_C(600000000000) /* 10 min: longer than any writing */

/* Whether a file of that name is such a RAM. */
bool kt_capsule_is_base(const char *name);
