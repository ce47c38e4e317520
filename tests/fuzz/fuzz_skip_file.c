/* SPDX-License-Identifier: MIT */
/* The lines of files that name tests to be left out. */
#include <string.h>

#include "framework/select/skip_file.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *text = kt_fuzz_text(data, size);
	struct kt_skip_lines lines = { .n = 0 };

	if (kt_skip_lines_add(&lines, text) == 0) {
		(void)kt_skip_lines_find(&lines, "cgroup_freeze");
		for (size_t i = 0; i < lines.n; i++) {
			const struct kt_skip_line *line = &lines.at[i];

			KT_FUZZ_ASSERT(line->pattern[0] && line->pattern[0] != '#');
			KT_FUZZ_ASSERT(!strpbrk(line->pattern, " \t\r\n"));
			KT_FUZZ_ASSERT(!line->reason || line->reason[0]);
		}
	}
	kt_skip_lines_deinit(&lines);
	return 0;
}
