/* SPDX-License-Identifier: MIT */
#pragma once
/* /etc/ld.so.cache, as ldconfig writes it (glibc: sysdeps/generic/dl-cache.h). */

#include <stddef.h>

#include "util/err.h"

/*
 * The path of the x86-64 library @soname in the cache @data, or NULL. Variants for particular
 * processors are passed over. The file is not trusted: every offset is checked. The result points
 * into @data.
 */
const char *kt_ldcache_find(const void *data, size_t len, const char *soname);
