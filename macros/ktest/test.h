/* SPDX-License-Identifier: MIT */
#pragma once
/* KTEST(): a test as data, and how it gets into the binary's list. */

#include <stddef.h>

#include <ktest/check.h>
#include <ktest/scenario.h>
#include <ktest/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_ctx;       /* the running test; see ktest/ctx.h */
struct kt_payload;   /* a program of the host; see ktest/payload.h */
struct kt_scheduler; /* see ktest/scheduler.h */

/**
 * struct kt_test - one test; written with KTEST()
 * @name:        unique in the binary; letters, digits and underscores. Set by KTEST().
 * @file, @line: where it stands. Set by KTEST().
 * @summary:     one line that says what is true when it passes.
 * @tags:        KT_TAGS("slow", "cgroup"), for selection.
 * @disabled:    why it does not run; NULL (the default) when it does.
 * @topology:    of its machine; see struct kt_topology for the default.
 * @memory_mib:  RAM of its machine, 64..65536. Default 512.
 * @duration_ms: what the fractions of the steps' holds are of. Default 2000.
 * @timeout_ms:  limit from the start of the test to its result. Default duration_ms + 10 000. Both
 *               are multiplied where there is no hardware virtualisation (--timeout-multiplier).
 * @backdrop:    what is there through all steps: .backdrop = { KT_SETUP(...), KT_OPS(...) }.
 * @steps:       KT_STEPS(): the scenario. Exclusive with @run.
 * @checks:      limits on what the workers report at the end: .checks = { .not_starved = KT_ON }.
 * @run:         guest: the test as a function instead of steps. 0, or KT_FAILED after an assertion,
 *               or a negative errno, which fails the test.
 * @check:       guest: called after the steps or @run if those succeeded; result as for @run.
 * @post_vm:     host: called after the machine is gone, whatever the verdict; result as for @run.
 * @scheduler:   KT_SCHEDULER_REF(): attached before the test begins, and until .check is done. NULL: the
 *               kernel's own.
 * @schedulers:  KT_SCHEDULERS(): those that its functions use; what its steps name is known.
 * @watchdog_ms: how long its schedulers may leave a task waiting before the kernel's watchdog ends them,
 *               1..30 000; longer where the machine is slow, up to that. Default: as each has it, 5000 for
 *               an object that says nothing, so that it is the watchdog that tells and not @timeout_ms.
 * @expect_scheduler_exit: { .kind = KT_SCX_EXIT_ERROR_STALL }: that a scheduler ends so does not fail the
 *               test, and its absence does.
 * @payloads:    KT_PAYLOADS(): those that its functions use; what its steps name is known. Where one is
 *               not installed, the test is skipped.
 * @expect_kernel_warning: a WARN, BUG, lockdep or stall report of the kernel during the test does
 *               not fail it, and its absence does. The text must contain this string.
 */
struct kt_test {
	const char *name;
	const char *file;
	unsigned int line;
	const char *summary;
	const char *const *tags;
	const char *disabled;
	struct kt_topology topology;
	unsigned int memory_mib;
	unsigned int duration_ms;
	unsigned int timeout_ms;
	struct kt_backdrop backdrop;
	const struct kt_step *steps;
	struct kt_checks checks;
	const struct kt_scheduler *scheduler;
	const struct kt_scheduler *const *schedulers;
	unsigned int watchdog_ms;
	struct kt_expected_exit expect_scheduler_exit;
	int (*run)(struct kt_ctx *ctx);
	int (*check)(struct kt_ctx *ctx);
	int (*post_vm)(struct kt_ctx *ctx);
	const struct kt_payload *const *payloads;
	const char *expect_kernel_warning;
};

#define KT_TAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A link of the binary's list of tests; its storage is provided by KTEST(). */
struct kt_test_node {
	const struct kt_test *test;
	struct kt_test_node *next;
};

/* Appends @node to the list. Called by constructors, before main(). */
void kt_test_register(struct kt_test_node *node);

/**
 * kt_main() - the runner: selects, runs and reports the tests of this binary
 *
 * libktest has a main() that calls this, so that a file of KTESTs is a whole program; a program
 * with its own main() calls it there. Returns the exit status (docs/running.md).
 */
int kt_main(int argc, char **argv);

/*
 * Registration runs at constructor priority 1000: before unprioritised constructors, one of which
 * takes over when the program is PID 1 of a guest and must find the list complete.
 */
#define KT_TEST_CONSTRUCTOR_PRIORITY 1000

/**
 * KTEST() - defines and registers a test
 * @test_name: an identifier
 * @...:       members of struct kt_test, as designated initialisers
 *
 * Example:
 *
 *	KTEST(two_cpus,
 *	      .summary = "the default machine has two CPUs",
 *	      .run = two_cpus_run);
 */
#define KTEST(test_name, ...)                                                                      \
	static const struct kt_test kt_test_##test_name = {                                        \
		.name = #test_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__                \
	};                                                                                         \
	__attribute__((constructor(                                                                \
		KT_TEST_CONSTRUCTOR_PRIORITY))) static void kt_register_##test_name(void)          \
	{                                                                                          \
		static struct kt_test_node node = { &kt_test_##test_name, NULL };                  \
		kt_test_register(&node);                                                           \
	}                                                                                          \
	typedef int kt_needs_semicolon_##test_name

#ifdef __cplusplus
}
#endif
