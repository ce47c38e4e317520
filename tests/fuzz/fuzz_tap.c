/* SPDX-License-Identifier: MIT */
/* The TAP in what a payload prints. */
#include <string.h>

#include "guest/payload/tap.h"
#include "tests/fuzz/fuzz.h"

static void on_failed(void *data, const char *line, size_t len)
{
	unsigned int *n = data;

	KT_FUZZ_ASSERT(len <= KT_TAP_TEXT_MAX);
	KT_FUZZ_ASSERT(!memchr(line, '\n', len));
	++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n = 0;
	struct kt_tap tap;

	kt_tap_read((const char *)data, size, &tap, on_failed, &n);
	KT_FUZZ_ASSERT(n == tap.n_failed);
	KT_FUZZ_ASSERT(tap.n_failed + tap.n_skipped <= tap.n_results);
	KT_FUZZ_ASSERT(strlen(tap.reason) <= KT_TAP_TEXT_MAX);
	return 0;
}
