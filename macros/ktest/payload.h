/* SPDX-License-Identifier: MIT */
#pragma once
/* KT_PAYLOAD(): programs of the host that run in the guest, and checks of their output. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/declaration.h>
#include <ktest/perf.h>
#include <ktest/test.h>

#ifdef __cplusplus
extern "C" {
#endif

/** KT_ARGS() - a NULL-terminated list of strings; at least one */
#define KT_ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/**
 * enum kt_payload_output - which results of a payload count; bits
 * @KT_OUTPUT_EXIT_CODE: the exit status must be 0, unless a KT_EXIT_CODE() names another one.
 * @KT_OUTPUT_JSON:      the payload prints JSON, whose numbers are its metrics: see kt_metric().
 * @KT_OUTPUT_TAP:       standard output is TAP or KTAP. Each "not ok" without SKIP, TODO or XFAIL
 *                       behind it is a failure, and so is a plan that is missing or not fulfilled.
 *                       If the plan is "1..0 # SKIP" or all results are skipped, the test is SKIP.
 * @KT_OUTPUT_KSELFTEST: the payload is a kernel selftest: status 0 passes, 4 makes the test SKIP,
 *                       others fail. Results of KTAP count as with KT_OUTPUT_TAP, if there are any.
 *
 * The first MiB of the output is read for results. Those of nested tests, which are indented, count
 * in the results of their parents.
 */
enum kt_payload_output {
	KT_OUTPUT_EXIT_CODE = 1 << 0,
	KT_OUTPUT_JSON = 1 << 1,
	KT_OUTPUT_TAP = 1 << 2,
	KT_OUTPUT_KSELFTEST = 1 << 3,
};

/**
 * struct kt_metric_def - a metric that the test prints
 * @name:   as for kt_metric(): "jobs.0.read.iops".
 * @unit:   "s", "1/s"; NULL: without a unit.
 * @better: in which direction it improves.
 * @end:    terminates a list; set by the macros.
 *
 * kt_payload_exec() prints it to the test's output, if the payload's output contains it.
 */
struct kt_metric_def {
	const char *name;
	const char *unit;
	enum kt_better better;
	bool end; /* terminates a list; set by the macros */
};

/* KT_METRICS() - a list of metrics: KT_METRICS({ .name = "loops", .better = KT_HIGHER }) */
#define KT_METRICS(...) ((const struct kt_metric_def[]){ __VA_ARGS__, { .end = true } })

/** enum kt_check_kind - the kinds of checks of a payload's results; see the macros below */
enum kt_check_kind {
	KT_CHECK_NONE, /* zero, so that a check that was never set is refused */
	KT_CHECK_METRIC_MIN,
	KT_CHECK_METRIC_MAX,
	KT_CHECK_METRIC_RANGE,
	KT_CHECK_METRIC_EXISTS,
	KT_CHECK_EXIT_CODE,
	KT_N_CHECK_KINDS,
};

/**
 * struct kt_check - one check of a payload's results; written with the macros below
 * @kind:      what is checked.
 * @metric:    the name of a metric, as for kt_metric(); NULL for KT_CHECK_EXIT_CODE. The payload
 *             must have KT_OUTPUT_JSON.
 * @min, @max: limits of the metric, inclusive.
 * @exit_code: the exit status, 0..255.
 * @end:       terminates a list; set by the macros.
 */
struct kt_check {
	enum kt_check_kind kind;
	const char *metric;
	double min;
	double max;
	int exit_code;
	bool end; /* terminates a list; set by the macros */
};

/*
 * The following four require that the output contains the metric @name, and that its value is at
 * least @value, at most @value, within @low..@high, or any number.
 */
#define KT_METRIC_MIN(name, value)                                                                 \
	{                                                                                          \
		.kind = KT_CHECK_METRIC_MIN, .metric = (name), .min = (value)                      \
	}
#define KT_METRIC_MAX(name, value)                                                                 \
	{                                                                                          \
		.kind = KT_CHECK_METRIC_MAX, .metric = (name), .max = (value)                      \
	}
#define KT_METRIC_RANGE(name, low, high)                                                           \
	{                                                                                          \
		.kind = KT_CHECK_METRIC_RANGE, .metric = (name), .min = (low), .max = (high)       \
	}
#define KT_METRIC_EXISTS(name)                                                                     \
	{                                                                                          \
		.kind = KT_CHECK_METRIC_EXISTS, .metric = (name)                                   \
	}
/* KT_EXIT_CODE() - the payload exits with this status, and is not killed by a signal */
#define KT_EXIT_CODE(status)                                                                       \
	{                                                                                          \
		.kind = KT_CHECK_EXIT_CODE, .exit_code = (status)                                  \
	}
/* KT_PAYLOAD_CHECKS() - the list of a payload's checks; at least one */
#define KT_PAYLOAD_CHECKS(...) ((const struct kt_check[]){ __VA_ARGS__, { .end = true } })

/**
 * struct kt_payload - a program of the host; written with KT_PAYLOAD()
 * @name:        unique in the program. Set by KT_PAYLOAD().
 * @file, @line: where the payload is defined. Set by KT_PAYLOAD().
 * @binary:      an ELF program. A name without a slash is looked up in the host's PATH. A name with
 *               a slash is a path; a relative one begins in the directory of the test program.
 * @package:     the package that contains it, for the message of a skipped test. NULL: none.
 * @args:        KT_ARGS(): arguments of every start. NULL: none.
 * @files:       KT_ARGS(): paths of files that are put beside it in the guest. Relative ones begin
 *               in the directory of the test program. ELF files come with their libraries. NULL:
 *               none.
 * @output:      bits of enum kt_payload_output. 0 (the default): all of it is ignored.
 * @metrics:     KT_METRICS(): metrics that are shown. NULL: none.
 * @checks:      KT_PAYLOAD_CHECKS(): what must hold when the program has ended. NULL: nothing.
 *
 * The program and the libraries that it needs are packed for the tests that use it: those that list
 * it in .payloads or name it in a step. A test whose payload is not installed is skipped. In the
 * guest, the program runs as root in the directory /payloads/NAME, which comes first in its PATH.
 */
struct kt_payload {
	const char *name;
	const char *file;
	unsigned int line;
	const char *binary;
	const char *package;
	const char *const *args;
	const char *const *files;
	unsigned int output;
	const struct kt_metric_def *metrics;
	const struct kt_check *checks;
};

/**
 * struct kt_payload_node - an element of the program's list of payloads
 * @payload: the payload.
 * @next:    the element behind it; NULL: the last one. Set by kt_payload_register().
 *
 * KT_PAYLOAD() provides the storage, which exists as long as the program.
 */
struct kt_payload_node {
	const struct kt_payload *payload;
	struct kt_payload_node *next;
};

/**
 * kt_payload_register() - appends @node to the program's list of payloads
 *
 * Constructors call it, before main(). The list keeps @node.
 */
void kt_payload_register(struct kt_payload_node *node);

/**
 * KT_PAYLOAD() - defines and registers a payload
 * @payload_name: an identifier, which becomes its name
 * @...:          members of struct kt_payload, as designated initialisers
 *
 * The definition is local to its source file. Another file that uses the same program defines a
 * payload of its own, under another name.
 *
 * Example:
 *
 *	KT_PAYLOAD(fio, .binary = "fio", .package = "fio",
 *		   .args = KT_ARGS("--name=seq", "--size=1M", "--output-format=json"),
 *		   .output = KT_OUTPUT_JSON | KT_OUTPUT_EXIT_CODE,
 *		   .checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("jobs.0.read.iops", 1)));
 */
#define KT_PAYLOAD(payload_name, ...)                                                              \
	KT_DECLARATION_BEGIN									   \
	static const struct kt_payload kt_payload_##payload_name = {                               \
		.name = #payload_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__             \
	};                                                                                         \
	__attribute__((constructor(                                                                \
		KT_TEST_CONSTRUCTOR_PRIORITY))) static void kt_enlist_payload_##payload_name(void) \
	{                                                                                          \
		static struct kt_payload_node node = { &kt_payload_##payload_name, NULL };         \
		kt_payload_register(&node);                                                        \
	}                                                                                          \
	KT_DECLARATION_END									   \
	typedef int kt_payload_needs_semicolon_##payload_name

/** KT_PAYLOAD_REF() - a pointer to the payload of that name, which the same file defines */
#define KT_PAYLOAD_REF(payload_name) (&kt_payload_##payload_name)

/** KT_PAYLOADS() - the list of a test: .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(fio)) */
#define KT_PAYLOADS(...) ((const struct kt_payload *const[]){ __VA_ARGS__, NULL })

/**
 * struct kt_metric_value - a number of a payload's output
 * @name:  path through the JSON; see kt_metric().
 * @value: its value; true is 1 and false is 0.
 */
struct kt_metric_value {
	const char *name;
	double value;
};

/**
 * struct kt_payload_result - the results of a payload that has ended
 * @status:      how it ended, as waitpid(2) reports.
 * @duration_ns: how long it ran, in nanoseconds.
 * @out:         what it wrote to standard output: at most the first 1 MiB, with a NUL behind it.
 * @out_len:     number of bytes in @out, without that NUL.
 * @out_total:   number of bytes that it wrote to standard output.
 * @err:         at most the last 64 KiB of its standard error, with a NUL behind it.
 * @metrics:     with KT_OUTPUT_JSON: at most 10 000 numbers of its output, in their order.
 * @n_metrics:   number of elements in @metrics; 0 without KT_OUTPUT_JSON.
 *
 * What it points to is valid until the end of the test; the test must not free it.
 */
struct kt_payload_result {
	int status;
	uint64_t duration_ns;
	const char *out;
	size_t out_len;
	uint64_t out_total;
	const char *err;
	const struct kt_metric_value *metrics;
	size_t n_metrics;
};

/**
 * kt_payload_exec() - runs a payload to its end, prints its metrics and checks its results
 * @payload:    must be listed in the test's .payloads.
 * @args:       arguments that follow the payload's own, NULL-terminated; NULL: none.
 * @cgroup:     the cgroup that it runs in, relative to the scenario's root; NULL: PID 1's, the root
 *              cgroup.
 * @timeout_ms: how long it may run, in milliseconds; a slow machine gets more.
 * @ret:        the results; NULL if the caller does not need them. Set if the program has ended by
 *              itself, also if checks fail.
 *
 * The report of the test (-o) has how it ended, its metrics, and of one that failed its output.
 *
 * Returns 0, or KT_FAILED with the failure recorded: the program cannot be run, a check fails, or
 * the program does not end in time and is killed. Then the beginning and the end of its output are
 * printed. KT_FAILED is also returned when the payload's TAP or status makes the test SKIP. Guest
 * only, from .run and .check.
 */
int kt_payload_exec(struct kt_ctx *ctx, const struct kt_payload *payload, const char *const *args,
		    const char *cgroup, unsigned int timeout_ms, struct kt_payload_result *ret);

/**
 * kt_metric() - finds a number in a payload's output
 * @name: path through the JSON, with dots between members of objects and indices of
 *        arrays, which count from 0: "jobs.0.read.iops". true is 1 and false is 0.
 *
 * Returns false, and leaves *@ret_value as it is, if the output does not contain it.
 */
bool kt_metric(const struct kt_payload_result *result, const char *name, double *ret_value);

#ifdef __cplusplus
}
#endif
