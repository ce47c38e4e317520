/* SPDX-License-Identifier: MIT */
#pragma once
/* KT_PAYLOAD(): programs of the host that run in the guest, and what is made of their output. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/test.h>

#ifdef __cplusplus
extern "C" {
#endif

/** KT_ARGS() - a list of strings */
#define KT_ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/**
 * enum kt_payload_output - what counts of what a payload leaves behind; bits
 * @KT_OUTPUT_EXIT_CODE: it has to exit, with status 0 unless a KT_EXIT_CODE() says which.
 * @KT_OUTPUT_JSON:      it prints JSON, whose numbers are its metrics: see kt_metric().
 */
enum kt_payload_output {
	KT_OUTPUT_EXIT_CODE = 1 << 0,
	KT_OUTPUT_JSON = 1 << 1,
};

/** enum kt_better - which way a metric improves */
enum kt_better {
	KT_BETTER_UNKNOWN,
	KT_LOWER,
	KT_HIGHER,
};

/**
 * struct kt_metric_def - a metric that people want to see
 * @name:   as kt_metric() finds it: "jobs.0.read.iops".
 * @unit:   "s", "1/s"; NULL without one.
 * @better: which way it improves.
 *
 * The test prints those of its payloads; what is not in the output is passed over.
 */
struct kt_metric_def {
	const char *name;
	const char *unit;
	enum kt_better better;
	bool end; /* terminates a list; set by the macros */
};

#define KT_METRICS(...) ((const struct kt_metric_def[]){ __VA_ARGS__, { .end = true } })

/** enum kt_check_kind - the checks of a payload's results */
enum kt_check_kind {
	KT_CHECK_NONE, /* not a check: one that was never set */
	KT_CHECK_METRIC_MIN,
	KT_CHECK_METRIC_MAX,
	KT_CHECK_METRIC_RANGE,
	KT_CHECK_METRIC_EXISTS,
	KT_CHECK_EXIT_CODE,
	KT_N_CHECK_KINDS,
};

/**
 * struct kt_check - a check; written with the macros below
 * @kind:       which.
 * @metric:     name of the metric.
 * @min, @max:  limits, both allowed.
 * @exit_code:  0..255.
 */
struct kt_check {
	enum kt_check_kind kind;
	const char *metric;
	double min;
	double max;
	int exit_code;
	bool end; /* terminates a list; set by the macros */
};

/* The metric is there, and at least @value, at most @value, within @low..@high, or anything. */
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
/* The payload exits, with this status. */
#define KT_EXIT_CODE(status)                                                                       \
	{                                                                                          \
		.kind = KT_CHECK_EXIT_CODE, .exit_code = (status)                                  \
	}
#define KT_PAYLOAD_CHECKS(...) ((const struct kt_check[]){ __VA_ARGS__, { .end = true } })

/**
 * struct kt_payload - a program of the host; written with KT_PAYLOAD()
 * @name:        unique in the binary. Set by KT_PAYLOAD().
 * @file, @line: where it stands. Set by KT_PAYLOAD().
 * @binary:      looked up in the host's PATH; with a slash it is a path, and one that does not begin
 *               with a slash is relative to the directory of the test program. It must be an ELF file.
 * @package:     what to install where it is missing.
 * @args:        KT_ARGS(): arguments that it always gets.
 * @files:       KT_ARGS(): paths, as for @binary, of what lies beside it in the guest. Those that are
 *               programs come with the libraries that they need.
 * @output:      bits of enum kt_payload_output.
 * @metrics:     KT_METRICS(): to be shown.
 * @checks:      KT_PAYLOAD_CHECKS(): what must be true when it has ended.
 *
 * The program and the libraries that it needs are packed for the tests that list it in .payloads; a
 * test whose payload is not installed is skipped. In the guest it runs in the directory /payloads/NAME,
 * which is in its PATH, as root.
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

/* A link of the binary's list of payloads; its storage is provided by KT_PAYLOAD(). */
struct kt_payload_node {
	const struct kt_payload *payload;
	struct kt_payload_node *next;
};

/* Appends @node to the list. Called by constructors, before main(). */
void kt_payload_register(struct kt_payload_node *node);

/**
 * KT_PAYLOAD() - defines and registers a payload
 * @payload_name: an identifier
 * @...:          members of struct kt_payload, as designated initialisers
 *
 * It is known in its source file only; another file that uses the same program defines its own.
 *
 * Example:
 *
 *	KT_PAYLOAD(fio, .binary = "fio", .package = "fio",
 *		   .args = KT_ARGS("--name=seq", "--size=1M", "--output-format=json"),
 *		   .output = KT_OUTPUT_JSON | KT_OUTPUT_EXIT_CODE,
 *		   .checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("jobs.0.read.iops", 1)));
 */
#define KT_PAYLOAD(payload_name, ...)                                                              \
	static const struct kt_payload kt_payload_##payload_name = {                               \
		.name = #payload_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__             \
	};                                                                                         \
	__attribute__((constructor(                                                                \
		KT_TEST_CONSTRUCTOR_PRIORITY))) static void kt_enlist_payload_##payload_name(void) \
	{                                                                                          \
		static struct kt_payload_node node = { &kt_payload_##payload_name, NULL };         \
		kt_payload_register(&node);                                                        \
	}                                                                                          \
	typedef int kt_payload_needs_semicolon_##payload_name

/** KT_PAYLOAD_REF() - a payload by its name */
#define KT_PAYLOAD_REF(payload_name) (&kt_payload_##payload_name)

/** KT_PAYLOADS() - the list of a test: .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(fio)) */
#define KT_PAYLOADS(...) ((const struct kt_payload *const[]){ __VA_ARGS__, NULL })

/** struct kt_metric_value - a number of a payload's output */
struct kt_metric_value {
	const char *name;
	double value;
};

/**
 * struct kt_payload_result - what a payload has left behind
 * @status:      how it ended, as from waitpid(2).
 * @duration_ns: how long it ran.
 * @out:         what it wrote to standard output, of which at most 1 MiB is kept, and a NUL.
 * @out_len:     how many bytes are kept in @out.
 * @out_total:   how many it wrote.
 * @err:         the last 64 KiB of standard error, and a NUL.
 * @metrics:     with KT_OUTPUT_JSON: the numbers of its output, in their order.
 * @n_metrics:   how many.
 *
 * Valid until the end of the test.
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
 * kt_payload_exec() - runs a payload to its end and checks its results
 * @args:       besides its own; NULL: none.
 * @cgroup:     where it runs, relative to the scenario's root; NULL: where PID 1 is.
 * @timeout_ms: how long it may run; longer where the machine is slow.
 * @ret:        what it left behind; NULL when nobody wants to know. Set when it has ended by itself.
 *
 * A program that cannot be run, one that does not end in time, which is killed then, and each check
 * that fails is a failure of the test. Returns 0 or KT_FAILED. Guest only, from .run and .check.
 */
int kt_payload_exec(struct kt_ctx *ctx, const struct kt_payload *payload, const char *const *args,
		    const char *cgroup, unsigned int timeout_ms, struct kt_payload_result *ret);

/**
 * kt_metric() - a number of the payload's output
 * @name: the way to it through the JSON, with dots: members of objects by name, elements of arrays by
 *        index from 0, as "jobs.0.read.iops". true is 1 and false is 0.
 *
 * Returns false, and leaves *@ret_value, when there is none.
 */
bool kt_metric(const struct kt_payload_result *result, const char *name, double *ret_value);

#ifdef __cplusplus
}
#endif
