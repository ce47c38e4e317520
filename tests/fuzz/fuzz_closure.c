/* SPDX-License-Identifier: MIT */
/* An ELF file whose libraries are looked for. It is on disk, because $ORIGIN is its directory. */
#include <string.h>

#include "framework/image/closure.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_closure closure = KT_CLOSURE_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_closure_add(&closure, kt_fuzz_dir_put("program", data, size), "/guest", &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	else
		for (size_t i = 0; i < closure.n; i++)
			KT_FUZZ_ASSERT(closure.files[i].host && closure.files[i].guest &&
				       closure.files[i].name);
	kt_closure_deinit(&closure);
	return 0;
}
