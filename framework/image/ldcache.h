/* SPDX-License-Identifier: MIT */
#pragma once
/* Reads /etc/ld.so.cache, which ldconfig writes (glibc: sysdeps/generic/dl-cache.h). */

#include <stddef.h>

#include "util/err.h"

/*
 * Returns the path of the x86-64 library @soname in the @len bytes of a cache file, or NULL. The
 * path points into @data. Variants of a library for particular processors are skipped. The file is
 * not trusted: a malformed one gives NULL.
 */
const char *kt_ldcache_find(const void *data, size_t len, const char *soname);
