/* SPDX-License-Identifier: MIT */
/* CPU lists of the guest's kernel: a parsed list survives being written and parsed again. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *text = kt_fuzz_text(data, size), *again = NULL;
	struct kt_cpu_list list, same;
	uint64_t number;

	(void)kt_parse_duration(text, &number);
	(void)kt_parse_size(text, &number);
	if (kt_cpu_list_parse(text, &list) < 0)
		return 0;
	again = kt_cpu_list_format(&list);
	KT_FUZZ_ASSERT(again && kt_cpu_list_parse(again, &same) == 0);
	KT_FUZZ_ASSERT(!memcmp(&list, &same, sizeof(list)));
	return 0;
}
