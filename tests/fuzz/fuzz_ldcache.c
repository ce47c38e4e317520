/* SPDX-License-Identifier: MIT */
/* /etc/ld.so.cache: every path that is found lies inside the file. */
#include <string.h>

#include "framework/image/ldcache.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "libc.so.6", "libm.so.6", "" };

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		const char *path = kt_ldcache_find(data, size, names[i]);

		if (path)
			KT_FUZZ_ASSERT((const uint8_t *)path + strlen(path) < data + size);
	}
	return 0;
}
