/* SPDX-License-Identifier: MIT */
/* The outcome of an attempt, which the session sends to the runner over a pipe. */
#include <string.h>

#include "framework/outcome/outcome.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_outcome_decode(data, size, &outcome, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	kt_outcome_deinit(&outcome);
	return 0;
}
