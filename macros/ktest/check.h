/* SPDX-License-Identifier: MIT */
#pragma once
/* Checks as data: limits on what the workers of a scenario report at their end. */

/**
 * enum kt_switch - whether a check is made
 * @KT_UNSET: inherit from the scheduler, then from KT_DEFAULT_CHECKS(); off if unset in both.
 * @KT_ON:    the check is made; true means the same.
 * @KT_OFF:   the check is not made, whatever the scheduler or KT_DEFAULT_CHECKS() says.
 */
enum kt_switch {
	KT_UNSET,
	KT_ON,
	KT_OFF,
};

/* Sets a limit to 0: .max_migration_ratio = KT_NONE_AT_ALL. A member that is 0 sets no limit. */
#define KT_NONE_AT_ALL (-1.0)

/**
 * struct kt_checks - limits on what workers report
 * @not_starved:          each worker has done at least one iteration, and has been on a CPU.
 * @isolation:            each worker was seen only on CPUs of the cpusets that its cgroups had.
 * @max_gap_ms:           the longest time in milliseconds that a worker waited on a runqueue in
 *                        one stretch. Measured to a millisecond.
 * @max_spread_pct:       the largest share minus the smallest share in a group, in percentage
 *                        points. The share of a worker is 100 * waiting / (waiting + running): the
 *                        time on a runqueue and the time on a CPU.
 * @max_throughput_cv:    the coefficient of variation (standard deviation over mean) of the
 *                        iterations per second of CPU time, over the workers of a group.
 * @min_work_rate:        iterations per second of CPU time, of each worker.
 * @min_iteration_rate:   iterations per second of wall time, of each worker.
 * @max_wake_p99_us:      the 99th percentile of the wake-up latencies that a worker has measured,
 *                        in microseconds.
 * @max_wake_cv:          the coefficient of variation of these latencies.
 * @max_migration_ratio:  migrations per iteration, of each worker.
 * @min_page_locality:    the share of a worker's pages that are on the node of its CPU, 0..1.
 * @max_cross_node_ratio: the share of a worker's migrations that lead to another node, 0..1.
 *
 * A limit is a number of at least 0. A member that is 0 or KT_UNSET sets no limit; the limit 0 is
 * written KT_NONE_AT_ALL. A group is what one KT_WORK() or one entry of KT_WORKS() starts.
 *
 * A member that the test leaves out is taken from the .checks of its .scheduler. A member that the
 * scheduler leaves out too is taken from KT_DEFAULT_CHECKS().
 *
 * A test is INCONCLUSIVE if there is no measurement for a limit. It is also INCONCLUSIVE if the CPU
 * time that the host took from the machine is at least the amount by which the limits were missed.
 */
struct kt_checks {
	enum kt_switch not_starved;
	enum kt_switch isolation;
	double max_gap_ms;
	double max_spread_pct;
	double max_throughput_cv;
	double min_work_rate;
	double min_iteration_rate;
	double max_wake_p99_us;
	double max_wake_cv;
	double max_migration_ratio;
	double min_page_locality;
	double max_cross_node_ratio;
};

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kt_checks_set_default() - sets the checks for all tests of the program
 * @checks: copied.
 *
 * KT_DEFAULT_CHECKS() calls it from a constructor, before main(). The last call counts.
 */
void kt_checks_set_default(const struct kt_checks *checks);

#ifdef __cplusplus
}
#endif

/**
 * KT_DEFAULT_CHECKS() - checks for all tests of the program
 * @...: members of struct kt_checks, as designated initialisers
 *
 * At most once in a program: KT_DEFAULT_CHECKS(.not_starved = KT_ON). A scheduler or a test can
 * override each member.
 */
#define KT_DEFAULT_CHECKS(...)                                                                     \
	__attribute__((constructor)) static void kt_default_checks(void)                           \
	{                                                                                          \
		static const struct kt_checks checks = { __VA_ARGS__ };                            \
		kt_checks_set_default(&checks);                                                    \
	}                                                                                          \
	typedef int kt_default_checks_needs_semicolon
