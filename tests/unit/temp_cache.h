/* SPDX-License-Identifier: MIT */
#pragma once
/* A cache of a test's own. */

#include <stdlib.h>
#include <string.h>

#include "tests/unit/leaks.h"

/* Makes an empty directory the cache of this process; the caller removes it. */
static inline void use_temp_cache(char dir[64])
{
	(void)strcpy(dir, "/tmp/ktest-cache-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)setenv("XDG_CACHE_HOME", dir, 1);
}
