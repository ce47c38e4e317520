/* SPDX-License-Identifier: MIT */
/* Expressions of -E, which can come from a project file. */
#include <string.h>

#include "framework/select/filter.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

static char *print(const struct kt_filter *filter)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	KT_FUZZ_ASSERT(out);
	kt_filter_print(filter, out);
	(void)fclose(out);
	return text;
}

/* What is printed of a filter is a filter, with the same answers, and is printed the same. */
static void check_again(const struct kt_filter *filter, const struct kt_test *test)
{
	KT_FREE char *text = print(filter), *again = NULL;
	struct kt_filter *other = NULL;

	/* Parentheses that are added can make it too long or too deep. */
	if (kt_filter_parse(text, &other, NULL) < 0)
		return;
	again = print(other);
	KT_FUZZ_ASSERT(!strcmp(again, text));
	KT_FUZZ_ASSERT(kt_filter_ask(filter, test, NULL) == kt_filter_ask(other, test, NULL));
	kt_filter_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kt_test test = {
		.name = "cgroup_freeze",
		.file = "tests/suites/cgroup.c",
		.tags = KT_TAGS("slow", "cgroup"),
	};
	KT_FREE char *text = kt_fuzz_text(data, size);
	struct kt_filter *filter = NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_filter_parse(text, &filter, &err) < 0) {
		KT_FUZZ_ASSERT(!filter && err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(kt_filter_ask(filter, &test, "6.16.3") != KT_ANSWER_MAYBE);
	check_again(filter, &test);
	kt_filter_free(filter);
	return 0;
}
