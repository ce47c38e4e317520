/* SPDX-License-Identifier: MIT */
/* A BPF object, whose data section for the dump is made longer. */
#include <string.h>

#include "schedulers/enlarge.h"
#include "tests/fuzz/fuzz.h"

#define LEN 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	size_t len;
	char *bytes;

	if (kt_object_enlarge(kt_fuzz_file(data, size), ".data.uei_dump", LEN, &bytes, &len, &err) <
	    0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(len >= size + LEN);
	free(bytes);
	return 0;
}
