/* SPDX-License-Identifier: MIT */
/* A result of a guest, in every form of report. */
#include <string.h>

#include <ktest/test.h>

#include "framework/report/report.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/host.h"

static const struct kt_kernel kernel = { .facts = { .release = "6.16" } };
static const struct kt_test test = { .name = "fuzz", .summary = "a result", .file = "fuzz.c" };

/* The reporters borrow the paths. */
static struct kt_reporter *make_reporters(FILE *out, const char *junit, const char *gtest,
					  const char *html)
{
	struct kt_reporter *first = NULL, **last = &first;

	KT_FUZZ_ASSERT(kt_report_console_new(out, true, last) == 0);
	last = &(*last)->next;
	KT_FUZZ_ASSERT(kt_report_tap_new(out, last) == 0);
	last = &(*last)->next;
	KT_FUZZ_ASSERT(kt_report_junit_new(junit, last) == 0);
	last = &(*last)->next;
	KT_FUZZ_ASSERT(kt_report_gtest_new(gtest, last) == 0);
	last = &(*last)->next;
	KT_FUZZ_ASSERT(kt_report_html_new(html, last) == 0);
	last = &(*last)->next;
	KT_FUZZ_ASSERT(kt_report_sidecar_new(kt_fuzz_dir(), last) == 0);
	return first;
}

static void report(const struct kt_outcome *outcome)
{
	static const struct kt_options options = {
		.status_level = KT_STATUS_ALL,
		.stress_count = 1,
	};
	static const struct kt_host host;
	const struct kt_run_info info = {
		.program = "fuzz",
		.options = &options,
		.host = &host,
		.kernels_text = "",
		.n_kernels = 1,
		.n_attempts = 1,
		.n_tests = 1,
	};
	struct kt_counts counts = { .total = 1 };
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	KT_FREE char *junit = kt_format("%s/junit.xml", kt_fuzz_dir());
	KT_FREE char *gtest = kt_format("%s/gtest.xml", kt_fuzz_dir());
	KT_FREE char *html = kt_format("%s/page.html", kt_fuzz_dir());
	struct kt_reporter *reporters = make_reporters(out, junit, gtest, html);

	counts.by_verdict[outcome->result.verdict] = 1;
	KT_FUZZ_ASSERT(kt_reporters_begin(reporters, &info, NULL) == 0);
	(void)kt_reporters_retry(reporters, outcome);
	(void)kt_reporters_outcome(reporters, outcome);
	KT_FUZZ_ASSERT(kt_reporters_end(reporters, &counts, &err) == 0);
	kt_reporters_free(reporters);
	(void)fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	const uint8_t *log = size ? memchr(data, '\0', size) : NULL;
	size_t len = log ? (size_t)(log - data) : size;
	struct kt_err err = KT_ERR_NULL;

	outcome.test = &test;
	outcome.name = test.name;
	outcome.kernel = &kernel;
	if (kt_outcome_decode(data, len, &outcome, &err) == 0) {
		KT_FUZZ_ASSERT(kt_capture_init(&outcome.scx_log, "log", NULL) == 0);
		KT_FUZZ_ASSERT(kt_capture_init(&outcome.scx_dump, "dump", NULL) == 0);
		(void)kt_capture_append(&outcome.scx_log, data + len, size - len);
		(void)kt_capture_append(&outcome.scx_dump, data + len, size - len);
		report(&outcome);
	}
	kt_outcome_deinit(&outcome);
	return 0;
}
