/* SPDX-License-Identifier: MIT */
#pragma once
/* Reporters: what is written about a run, each form in a file of its own. */

#include <stdio.h>

#include "framework/kernel/kernel.h"
#include "framework/options/options.h"
#include "framework/outcome/outcome.h"

/* What all reporters may want to know about the run. */
struct kt_run_info {
	const char *program; /* as it was called */
	const struct kt_options *options;
	const struct kt_host *host;
	const char *kernels_text; /* their releases, with commas */
	size_t n_kernels;
	unsigned int
		n_attempts; /* that are going to run, disabled ones included; 0: nobody knows */
	unsigned int n_tests;
	unsigned int n_filtered; /* tests of the binary that were not selected */
};

/* How many attempts ended how. */
struct kt_counts {
	unsigned int by_verdict[KT_N_VERDICTS];
	unsigned int total;
	unsigned int n_flaky;   /* of those that passed, after attempts that did not */
	unsigned int n_not_run; /* the run ended before */
	uint64_t elapsed_ns;
	bool interrupted;
};

struct kt_reporter;

struct kt_reporter_ops {
	int (*begin)(struct kt_reporter *reporter, const struct kt_run_info *info);
	int (*outcome)(struct kt_reporter *reporter, const struct kt_outcome *outcome);
	/* An attempt after which another one comes; NULL: it is not of interest by itself. */
	int (*retry)(struct kt_reporter *reporter, const struct kt_outcome *outcome);
	int (*end)(struct kt_reporter *reporter, const struct kt_counts *counts,
		   struct kt_err *reterr);
	void (*free)(struct kt_reporter *reporter);
};

/* What reporters embed as their first member. */
struct kt_reporter {
	const struct kt_reporter_ops *ops;
	struct kt_reporter *next;
	const struct kt_run_info *info; /* set by begin */
};

/* For people, to @out. @color: escape sequences are welcome there. */
int kt_report_console_new(FILE *out, bool color, struct kt_reporter **ret_reporter);

/* Flat TAP version 13 to @out. */
int kt_report_tap_new(FILE *out, struct kt_reporter **ret_reporter);

/* Files, written whole at the end of the run ("-" is standard output). */
int kt_report_junit_new(const char *path, struct kt_reporter **ret_reporter);
int kt_report_gtest_new(const char *path, struct kt_reporter **ret_reporter);

/* A file DIR/TEST.json for each test (docs/results.md). */
int kt_report_sidecar_new(const char *dir, struct kt_reporter **ret_reporter);

/* The list of reporters as one; the first failure is returned, all are called. */
int kt_reporters_begin(struct kt_reporter *first, const struct kt_run_info *info);
int kt_reporters_outcome(struct kt_reporter *first, const struct kt_outcome *outcome);
int kt_reporters_retry(struct kt_reporter *first, const struct kt_outcome *outcome);
int kt_reporters_end(struct kt_reporter *first, const struct kt_counts *counts,
		     struct kt_err *reterr);
void kt_reporters_free(struct kt_reporter *first);

/* The command that runs the outcome's test again as in this attempt; to be freed. */
char *kt_report_rerun_command(const struct kt_run_info *info, const struct kt_outcome *outcome);

/*
 * The text of a failure, for every form: "file:line: what", and expected and got on lines of their
 * own, and where in the steps it was. To be freed.
 */
char *kt_report_failure_text(const struct kt_test *test, const struct kt_failure *failure);

/* What the workers did, a line for each group of them; nothing when there were none. */
void kt_report_put_workers(FILE *out, const struct kt_result *result);

/*
 * What the test's schedulers have printed, and the beginning of what the kernel has dumped of them; nothing
 * when there is nothing. @output_dir: where all of it is; NULL: nowhere.
 */
void kt_report_put_scheduler(FILE *out, const struct kt_outcome *outcome, const char *output_dir);

/* The captured output as clean text, to be freed; never NULL unless out of memory. */
char *kt_report_capture_text(const struct kt_capture *capture);
