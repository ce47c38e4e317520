/* SPDX-License-Identifier: MIT */
/* The log of the BPF verifier. */
#include <string.h>

#include "framework/report/verifier_log.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *log = kt_fuzz_text(data, size);
	KT_FREE char *collapsed = kt_verifier_log_collapse(log);

	KT_FUZZ_ASSERT(collapsed || !*log);
	return 0;
}
