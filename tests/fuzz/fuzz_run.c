/* SPDX-License-Identifier: MIT */
/* RUN, from the host: a decoded message is encoded to the same bytes. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "wire/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_run_request run;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *again = NULL;
	size_t len;

	if (kt_run_request_decode(data, size, &run, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(kt_run_request_encode(&run, &again, &len) == 0);
	KT_FUZZ_ASSERT(len == size && !memcmp(again, data, len));
	kt_run_request_deinit(&run);
	return 0;
}
