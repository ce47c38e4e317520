/* SPDX-License-Identifier: MIT */
#include "guest/scenario/periodic.h"

#include <errno.h>

#include "guest/test/test.h"
#include "util/clock.h"
#include "wire/snapshot.h"

int kt_periodic_check(const struct kt_test *test, struct kt_err *reterr)
{
	unsigned int n = test->num_snapshots;
	uint64_t spacing_us = kt_test_duration_ms(test) * UINT64_C(800) / (n + UINT64_C(1));

	if (!n)
		return 0;
	if (n > KT_SNAPSHOTS_MAX)
		return kt_err_set(reterr, -EINVAL, ".num_snapshots is %u; it must be within 1..%u",
				  n, KT_SNAPSHOTS_MAX);
	if (!test->steps)
		return kt_err_set(
			reterr, -EINVAL,
			".num_snapshots needs .steps: a .run function calls kt_capture()");
	if (spacing_us < KT_PERIODIC_SPACING_MS * UINT64_C(1000))
		return kt_err_set(reterr, -EINVAL,
				  ".num_snapshots is %u, so that %llu ms are between two of them "
				  "(80 %% of .duration_ms / %u); at least %u must be",
				  n, (unsigned long long)(spacing_us / 1000), n + 1,
				  KT_PERIODIC_SPACING_MS);
	return 0;
}

void kt_periodic_init(struct kt_periodic *periodic, const struct kt_test *test)
{
	*periodic = (struct kt_periodic){
		.n = test->num_snapshots,
		.duration_ns = kt_test_duration_ms(test) * KT_NSEC_PER_MSEC,
	};
}

uint64_t kt_periodic_offset_ns(const struct kt_periodic *periodic, unsigned int i)
{
	return periodic->duration_ns / 10 +
	       periodic->duration_ns / 10 * 8 * (i + UINT64_C(1)) / (periodic->n + UINT64_C(1));
}

uint64_t kt_periodic_due_ns(const struct kt_periodic *periodic)
{
	return periodic->began_ns && periodic->next < periodic->n
		       ? periodic->began_ns + kt_periodic_offset_ns(periodic, periodic->next)
		       : KT_NSEC_NEVER;
}

int kt_periodic_take(struct kt_periodic *periodic, uint64_t now_ns)
{
	int due = -1;

	while (kt_periodic_due_ns(periodic) <= now_ns) {
		periodic->n_missed += due >= 0;
		due = (int)periodic->next++;
	}
	return due;
}

json_t *kt_periodic_to_json(const struct kt_periodic *periodic)
{
	if (!periodic->n)
		return NULL;
	return json_pack("{s:i, s:i, s:i, s:i}", "wanted", (int)periodic->n, "taken",
			 (int)periodic->n_taken, "missed", (int)periodic->n_missed, "failed",
			 (int)periodic->n_failed);
}
