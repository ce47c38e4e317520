/* SPDX-License-Identifier: MIT */
/* What apt-cache prints of the kernels of an archive. */
#include <string.h>

#include "framework/kernel/index.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *text = kt_fuzz_text(data, size);
	struct kt_releases releases;

	KT_FUZZ_ASSERT(kt_kernel_index_parse(text, &releases) == 0);
	for (size_t i = 0; i < releases.n; i++)
		KT_FUZZ_ASSERT(releases.at[i][0] >= '0' && releases.at[i][0] <= '9' &&
			       !strpbrk(releases.at[i], " /\n"));
	kt_releases_deinit(&releases);
	return 0;
}
