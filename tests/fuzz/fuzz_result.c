/* SPDX-License-Identifier: MIT */
/* RSLT, from a guest, and on to the runner as the session sends it: the verdict arrives. */
#include <string.h>

#include "framework/outcome/outcome.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

static void check_way(const struct kt_outcome *outcome)
{
	struct kt_outcome again = KT_OUTCOME_NULL;
	KT_FREE char *text = kt_outcome_encode(outcome);
	struct kt_err err = KT_ERR_NULL;

	KT_FUZZ_ASSERT(text);
	KT_FUZZ_ASSERT(kt_outcome_decode(text, strlen(text), &again, &err) == 0);
	KT_FUZZ_ASSERT(again.result.verdict == outcome->result.verdict);
	KT_FUZZ_ASSERT(again.result.n_failures == outcome->result.n_failures);
	KT_FUZZ_ASSERT(again.result.exit_status == outcome->result.exit_status);
	kt_outcome_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_result_decode(data, size, &outcome.result, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	kt_outcome_judge_host(&outcome, 1000, 10000);
	check_way(&outcome);
	kt_outcome_deinit(&outcome);
	return 0;
}
