/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reports: what a run tells its user, in several forms at once. Each form (console text,
 * TAP, JUnit and GoogleTest XML, a page of HTML, JSON of the run or of each test, ...) is written
 * by a reporter in a file of its own.
 *
 * A report is not an outcome. An outcome (framework/outcome/outcome.h) is the data about one
 * attempt; reporters read outcomes, never change them, and decide nothing about verdicts.
 *
 * A report is also none of these four, which the guest makes while a test runs. What a report shows
 * of them comes with the outcome, in the object result.scenario:
 * - a worker report (guest/worker/report.h): what one worker or a sum of workers has measured;
 * - telemetry (guest/worker/telemetry.h): the counters that a worker shares with PID 1 meanwhile;
 * - a record (guest/scenario/record.h): the statistics of one step;
 * - metrics (guest/payload/metrics.h): the numbers in the output of a payload.
 */

#include <stdio.h>

#include "framework/kernel/kernel.h"
#include "framework/options/options.h"
#include "framework/outcome/outcome.h"
#include "framework/shard/record.h"

/* What is known about the run before its first test. All pointers are borrowed. */
struct kt_run_info {
	const char *program; /* the test binary, as it was called */
	const struct kt_options *options;
	const struct kt_overrides *overrides; /* of the tests; NULL: none */
	const struct kt_host *host;
	enum kt_time time;        /* of machines whose test does not ask for another */
	const char *kernels_text; /* releases of the kernels, separated by commas */
	size_t n_kernels;
	unsigned int n_attempts; /* outcomes to come, of disabled tests too; 0: not known */
	unsigned int n_tests;    /* selected tests times kernels */
	unsigned int n_filtered; /* tests of the binary that were not selected */
	bool is_merged;          /* the outcomes are read from files of other hosts */
};

/* The totals of a run. A test that is retried counts once, by its last attempt. */
struct kt_counts {
	unsigned int by_verdict[KT_N_VERDICTS];
	unsigned int total;     /* the sum of by_verdict[] */
	unsigned int n_flaky;   /* of those that passed: after an attempt that did not */
	unsigned int n_not_run; /* left over when the run ended early */
	uint64_t elapsed_ns;    /* of the whole run */
	int status;             /* of the program, unless a report cannot be written */
	bool interrupted;       /* ended by a signal, by --global-timeout or by the host */
};

struct kt_reporter;

/*
 * The functions of a form. They return 0 or a negative errno; after a failure the run goes on and
 * the exit status tells it.
 */
struct kt_reporter_ops {
	/* Called once, before the first test. */
	int (*begin)(struct kt_reporter *reporter, const struct kt_run_info *info,
		     struct kt_err *reterr);
	/*
	 * Called when the test of an attempt begins, of which only what the runner has decided is
	 * known. A test that ends without a machine has not begun. NULL: the form does not show it.
	 */
	int (*start)(struct kt_reporter *reporter, const struct kt_outcome *outcome);
	/*
	 * Called each time that an attempt that runs has taken --slow more; @elapsed_ns in all.
	 * NULL: the form does not show it.
	 */
	int (*slow)(struct kt_reporter *reporter, const struct kt_outcome *outcome,
		    uint64_t elapsed_ns);
	/* Called with the last attempt of each test; the earlier ones follow in ->previous. */
	int (*outcome)(struct kt_reporter *reporter, const struct kt_outcome *outcome);
	/* Called with each attempt that another one follows. NULL: the form does not show them. */
	int (*retry)(struct kt_reporter *reporter, const struct kt_outcome *outcome);
	/* Called once, after the last test. */
	int (*end)(struct kt_reporter *reporter, const struct kt_counts *counts,
		   struct kt_err *reterr);
	void (*free)(struct kt_reporter *reporter);
};

/* A link of a list of reporters. Each form embeds it as its first member. */
struct kt_reporter {
	const struct kt_reporter_ops *ops;
	struct kt_reporter *next;       /* NULL: the last */
	const struct kt_run_info *info; /* set by kt_reporters_begin() */
};

/*
 * The constructors return 0 or -ENOMEM. *@ret_reporter is freed with its list.
 *
 * Text for people, written to @out as tests end. @color: @out takes escape sequences.
 */
int kt_report_console_new(FILE *out, bool color, struct kt_reporter **ret_reporter);

/*
 * What GitHub Actions shows of a run, on @out: the text of @console, which is taken over, with
 * groups and annotations, and a table appended to the file @summary_path, which is borrowed; NULL
 * or empty: none.
 */
int kt_report_github_new(FILE *out, struct kt_reporter *console, const char *summary_path,
			 struct kt_reporter **ret_reporter);

/* Flat TAP version 13, written to @out as tests end. */
int kt_report_tap_new(FILE *out, struct kt_reporter **ret_reporter);

/* Written to the file @path as tests end: KTAP version 1, and a line of JSON for each event. */
int kt_report_ktap_new(const char *path, struct kt_reporter **ret_reporter);
int kt_report_json_new(const char *path, struct kt_reporter **ret_reporter);

/* XML, written to the file @path at the end of the run. "-" is standard output. */
int kt_report_junit_new(const char *path, struct kt_reporter **ret_reporter);
int kt_report_gtest_new(const char *path, struct kt_reporter **ret_reporter);

/* A page of HTML about the failures, written to the file @path at the end of the run. */
int kt_report_html_new(const char *path, struct kt_reporter **ret_reporter);

/* The time line of the run in Chrome's trace format, written to the file @path at its end. */
int kt_report_trace_new(const char *path, struct kt_reporter **ret_reporter);

/* A file DIR/TEST.json for each test, written when the test ends (docs/results.md). */
int kt_report_sidecar_new(const char *dir, struct kt_reporter **ret_reporter);

/* Whether a file of such a reporter could not be written; then it writes no other. */
bool kt_report_sidecar_has_failed(const struct kt_reporter *reporter);

/* The bytes of the files that a reporter of kt_report_sidecar_new() has written so far. */
uint64_t kt_report_sidecar_bytes(const struct kt_reporter *reporter);

/*
 * The journal of the run, DIR/run.jsonl, beside the files of a sidecar, which comes before it in
 * the list. @head as below.
 */
int kt_report_journal_new(const char *dir, const struct kt_shard_head *head,
			  struct kt_reporter **ret_reporter);

/*
 * The record of the run in the cache: the directory @dir with a journal and the files of a sidecar,
 * of a bounded size. The run does not fail because it cannot be written: there is a warning.
 */
int kt_report_record_new(const char *dir, const struct kt_shard_head *head,
			 struct kt_reporter **ret_reporter);

/*
 * The record of a shard, DIR/shard-M-of-N.json, written at the end of the run. What @head points to
 * is borrowed; the reporter fills in what only the run knows: host, kernel, accel, time, complete
 * and elapsed_ms.
 */
int kt_report_shard_new(const char *dir, const struct kt_shard_head *head,
			struct kt_reporter **ret_reporter);

/*
 * Call the function of every reporter of a list, also after one has failed, and return the first
 * failure. kt_reporters_begin() comes first; @info must outlive the list.
 */
int kt_reporters_begin(struct kt_reporter *first, const struct kt_run_info *info,
		       struct kt_err *reterr);
int kt_reporters_start(struct kt_reporter *first, const struct kt_outcome *outcome);
int kt_reporters_slow(struct kt_reporter *first, const struct kt_outcome *outcome,
		      uint64_t elapsed_ns);
int kt_reporters_outcome(struct kt_reporter *first, const struct kt_outcome *outcome);
int kt_reporters_retry(struct kt_reporter *first, const struct kt_outcome *outcome);
int kt_reporters_end(struct kt_reporter *first, const struct kt_counts *counts,
		     struct kt_err *reterr);
void kt_reporters_free(struct kt_reporter *first);

/*
 * What the forms share. The texts are to be freed and are NULL only when out of memory; terminal
 * control of the guest is removed from them.
 */

/*
 * The path of a file about @outcome in a directory: DIR/NAME.ENDING, or
 * DIR/NAME@stress-ROUND.ENDING where a test runs several times. NULL too when @dir is.
 */
char *kt_report_path(const struct kt_run_info *info, const struct kt_outcome *outcome,
		     const char *dir, const char *ending);

/* The command line that runs the test of @outcome again, with the attempt's seed and kernel. */
char *kt_report_rerun_command(const struct kt_run_info *info, const struct kt_outcome *outcome);

/*
 * Where the capsule of the attempt is and how to open it, or why there is none that was asked for.
 * NULL too when none was asked for.
 */
char *kt_report_capsule_text(const struct kt_run_info *info, const struct kt_outcome *outcome);

/* Flushes @out. Returns 0 or a negative errno. */
int kt_report_flush(FILE *out);

/*
 * A failure as text: "FILE:LINE: WHAT", the expected and the actual value on lines of their own,
 * and the step in which it occurred.
 */
char *kt_report_failure_text(const struct kt_test *test, const struct kt_failure *failure);

#define KT_REPORT_LINE_MAX 1000u /* bytes of a line that people see */

/*
 * Writes a line of a capture for people, @len bytes without a newline, indented. Of a longer line
 * only the beginning is written, and how much is missing: a guest may print without newlines.
 */
void kt_report_put_line(FILE *out, const char *line, size_t len);

/* All of @capture; a NUL is shown as "\\0". */
char *kt_report_capture_text(const struct kt_capture *capture);

/*
 * Writes the story of a failure, the names of its snapshots and where the whole report is; nothing
 * of what there is not.
 */
void kt_report_put_story(FILE *out, const struct kt_run_info *info,
			 const struct kt_outcome *outcome);

/* Writes a table with a row for each group of workers; nothing when there were no workers. */
void kt_report_put_workers(FILE *out, const struct kt_result *result);

/* Writes a row for each value that was read of the guest's kernel; nothing when none was. */
void kt_report_put_kernel(FILE *out, const struct kt_result *result);

/*
 * Writes the end of what the test's schedulers have printed and the beginning of what the kernel
 * has dumped about them; nothing when there is neither. @output_dir is the directory of the files
 * with the whole dumps, to which the text refers; NULL: there are none.
 */
void kt_report_put_scheduler(FILE *out, const struct kt_outcome *outcome, const char *output_dir);
