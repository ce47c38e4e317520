/* SPDX-License-Identifier: MIT */
#pragma once
/* KTEST(): defines a test as data, and adds it to the list of the program's tests. */

#include <stdbool.h>
#include <stddef.h>

#include <ktest/check.h>
#include <ktest/declaration.h>
#include <ktest/perf.h>
#include <ktest/scenario.h>
#include <ktest/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum kt_test_time - whose time the clocks of a test's machine show
 * @KT_ANY_TIME:  the default: virtual time where the machine is emulated (TCG). Each instruction
 *                takes the same time, and what the host does meanwhile changes nothing.
 * @KT_REAL_TIME: the host's time, for tests that are about it. How far the guest gets depends on
 *                the load of the host.
 */
enum kt_test_time {
	KT_ANY_TIME,
	KT_REAL_TIME,
};

struct kt_ctx;       /* the running test; see ktest/ctx.h */
struct kt_payload;   /* a program of the host; see ktest/payload.h */
struct kt_scheduler; /* see ktest/scheduler.h */

/**
 * struct kt_test - one test; written with KTEST()
 * @name:        unique in the binary; letters, digits and underscores. Set by KTEST().
 * @file, @line: where the test is defined. Set by KTEST(); shown with failures.
 * @summary:     one line that says what is true when the test passes. For lists and reports.
 * @tags:        KT_TAGS("slow", "cgroup"). -E 'tag(slow)' chooses tests by them, and the JSON list
 *               (--list --format json) shows them.
 * @disabled:    the reason why the test does not run; it is reported as SKIP with this reason,
 *               unless --run-ignored says otherwise. NULL (the default): the test runs.
 * @topology:    CPUs, caches and NUMA nodes of the machine. A dimension that is 0 comes from
 *               @scheduler's topology; struct kt_topology has the default.
 * @memory_mib:  RAM of the machine in MiB, 64..65536. Default 512.
 * @disk_mib:    gives the machine a disk of so many MiB, 1..65536, at KT_DISK_PATH; full of zeros
 *               when the test begins. Default 0: none. The test is skipped on a kernel that has no
 *               driver for it.
 * @net:         gives the machine two network cards, eth0 and eth1, which are up and have no
 *               addresses. A frame that one sends arrives at the other. Likewise.
 * @time:        KT_REAL_TIME: the machine shows the host's time. Default KT_ANY_TIME.
 * @mips:        virtual time: million instructions per second that each virtual CPU executes at
 *               least while all are busy, 1..1000. --mips replaces it. Default 0: 60, but 125 with
 *               one virtual CPU. A guest with more gets further in the same virtual time, and
 *               needs more time of the host.
 * @duration_ms: length of the scenario in milliseconds, of which KT_HOLD_FRAC() takes fractions.
 *               The holds of all steps together must not exceed it. Default 2000.
 * @timeout_ms:  time limit in milliseconds, from the start of the test to its result. Default:
 *               @duration_ms + 10 000. The limit is multiplied on a slow machine: by 3 under
 *               TCG, or by --timeout-multiplier. --timeout replaces it.
 * @num_snapshots: take this many snapshots of the machine while the steps run, 1..64, named
 *               periodic_000 and so on; for kt_periodic(). They are spread evenly over the middle
 *               80 % of @duration_ms, at least 100 ms apart. Default 0: none.
 * @backdrop:    what exists from before the first step until after the last one:
 *               .backdrop = { KT_SETUP(...), KT_OPS(...) }.
 * @steps:       KT_STEPS(): the scenario. A test has either @steps or @run.
 * @checks:      limits on what the workers report at their end:
 *               .checks = { .not_starved = KT_ON }. See struct kt_checks for the defaults.
 * @perf:        KT_PERF(): metrics that must not be worse than in an earlier run. They are judged
 *               if the test passes and --baseline names that run. NULL (the default): none.
 * @run:         runs in the guest, as PID 1: the test as a function instead of steps. Returns 0,
 *               KT_FAILED after a failed assertion, or a negative errno. A value that is not 0
 *               fails the test.
 * @check:       runs in the guest after the steps or @run, and after @checks, if the steps or
 *               @run succeeded. Returns as @run does. NULL: nothing to check.
 * @post_vm:     runs on the host after the guest has ended, unless the test was skipped; its
 *               machine stands still meanwhile. Returns as @run does, within 60 s. NULL: nothing.
 * @scheduler:   KT_SCHEDULER_REF(): is attached before the scenario begins, and detached after
 *               @check. NULL (the default): the kernel's own scheduler.
 * @schedulers:  KT_SCHEDULERS(): those that the test's functions attach. The ones that steps
 *               name are found without it.
 * @watchdog_ms: how long a scheduler may leave a runnable task waiting before the kernel's
 *               watchdog ends it, in milliseconds, 1..30 000. A slow machine gets more, up to
 *               30 000 (SCX_WATCHDOG_MAX_TIMEOUT, kernel/sched/ext_internal.h). Default 0: what
 *               the scheduler sets itself. An object that sets nothing gets 5000, less than the
 *               default @timeout_ms, so that a stall ends with the watchdog's report.
 * @expect_scheduler_exit: an end of a scheduler that the test provokes:
 *               { .kind = KT_SCX_EXIT_ERROR_STALL }. Such an end does not fail the test;
 *               the test fails if no such end happens. All zero (the default): no end is expected.
 * @payloads:    KT_PAYLOADS(): those that the test's functions run. The ones that steps name are
 *               found without it. The test is skipped if one of them is not installed.
 * @expect_kernel_warning: a part of the text of a kernel report (WARN, BUG, lockdep, stall) that
 *               the test provokes. Such a report does not fail the test; the test fails if there
 *               is no such report. NULL (the default): every report fails the test.
 *
 * Everything that a member points to must exist as long as the program; the macros see to it.
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
	unsigned int disk_mib;
	bool net;
	enum kt_test_time time;
	unsigned int mips;
	unsigned int duration_ms;
	unsigned int timeout_ms;
	unsigned int num_snapshots;
	struct kt_backdrop backdrop;
	const struct kt_step *steps;
	struct kt_checks checks;
	const struct kt_perf *perf;
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

/* KT_DISK_PATH - the disk of a test with .disk_mib, a link to the block device */
#define KT_DISK_PATH "/dev/ktest-disk"

/* KT_TAGS() - the tags of a test, a list of strings; at least one */
#define KT_TAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/**
 * struct kt_test_node - an element of the program's list of tests
 * @test: the test.
 * @next: the element behind it; NULL: the last one. Set by kt_test_register().
 *
 * KTEST() provides the storage, which exists as long as the program.
 */
struct kt_test_node {
	const struct kt_test *test;
	struct kt_test_node *next;
};

/**
 * kt_test_register() - appends @node to the program's list of tests
 *
 * Constructors call it, before main(). The list keeps @node.
 */
void kt_test_register(struct kt_test_node *node);

/**
 * kt_main() - the runner: selects, runs and reports the tests of this program
 * @argc, @argv: the command line, as main() gets it; docs/running.md describes it.
 *
 * libktest has a main() that calls this, so that a file of KTEST()s is a complete program. A
 * program with a main() of its own calls kt_main() from there. Returns the exit status
 * (docs/running.md).
 */
int kt_main(int argc, char **argv);

/*
 * The constructors that register tests, payloads and schedulers have priority 1000, so they run
 * before all constructors without a priority. One of those without a priority takes over if the
 * process is PID 1 of a guest (framework/declaration/registry.c), and needs the complete list.
 */
#define KT_TEST_CONSTRUCTOR_PRIORITY 1000

/**
 * KTEST() - defines and registers a test
 * @test_name: an identifier, which becomes the name of the test
 * @...:       members of struct kt_test, as designated initialisers
 *
 * Example:
 *
 *	KTEST(two_cpus,
 *	      .summary = "the default machine has two CPUs",
 *	      .run = two_cpus_run);
 */
#define KTEST(test_name, ...)                                                                      \
	KT_DECLARATION_BEGIN                                                                       \
	static const struct kt_test kt_test_##test_name = {                                        \
		.name = #test_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__                \
	};                                                                                         \
	__attribute__((constructor(                                                                \
		KT_TEST_CONSTRUCTOR_PRIORITY))) static void kt_register_##test_name(void)          \
	{                                                                                          \
		static struct kt_test_node node = { &kt_test_##test_name, NULL };                  \
		kt_test_register(&node);                                                           \
	}                                                                                          \
	KT_DECLARATION_END                                                                         \
	typedef int kt_needs_semicolon_##test_name

#ifdef __cplusplus
}
#endif
