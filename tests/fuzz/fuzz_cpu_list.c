/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as the guest's kernel writes them, and the durations and sizes of options. */

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *text = kt_fuzz_text(data, size);
	struct kt_cpu_list list;
	uint64_t number;

	(void)kt_parse_duration(text, &number);
	(void)kt_parse_size(text, &number);
	if (kt_cpu_list_parse(text, &list) == 0)
		KT_FUZZ_ASSERT(kt_cpu_list_count(&list) <= 8 * sizeof(list));
	return 0;
}
