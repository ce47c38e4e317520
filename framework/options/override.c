/* SPDX-License-Identifier: MIT */
#include "framework/options/override.h"

const struct kt_override *kt_override_of(const struct kt_overrides *overrides,
					 const struct kt_test *test)
{
	static const struct kt_override none = { .timeout_ns = 0 };
	size_t from = 0, to = overrides ? overrides->n : 0;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (overrides->at[middle].test == test)
			return &overrides->at[middle].override;
		if ((uintptr_t)overrides->at[middle].test < (uintptr_t)test)
			from = middle + 1;
		else
			to = middle;
	}
	return &none;
}

unsigned int kt_override_retries(const struct kt_overrides *overrides, const struct kt_test *test,
				 unsigned int otherwise)
{
	const struct kt_override *override = kt_override_of(overrides, test);

	return override->has_retries ? override->retries : otherwise;
}
