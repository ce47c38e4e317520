/* SPDX-License-Identifier: MIT */
#pragma once
/* Checks as data: what must hold of every worker of a scenario. */

/** enum kt_switch - on, off, or not said; true is on */
enum kt_switch {
	KT_UNSET,
	KT_ON,
	KT_OFF,
};

/* A limit of 0 that is meant: 0 itself means that nothing is said. */
#define KT_NONE_AT_ALL (-1.0)

/**
 * struct kt_checks - limits on what workers report; what is not said is not checked
 * @not_starved:          each worker has done an iteration, and was on a CPU.
 * @isolation:            each was seen on CPUs of its cgroup's cpusets only.
 * @max_gap_ms:           the longest that a worker waited on a runqueue in one stretch.
 * @max_spread_pct:       of the workers of one group: the largest share of time spent waiting for a CPU,
 *                        of the time that one wanted one, less the smallest; in per cent.
 * @max_throughput_cv:    of the workers of one group: coefficient of variation of their iterations per
 *                        second of CPU time.
 * @min_work_rate:        iterations per second of CPU time, of each worker.
 * @min_iteration_rate:   iterations per second of wall time, of each worker.
 * @max_wake_p99_us, @max_wake_cv: of the wake-ups that a worker has measured.
 * @max_migration_ratio:  migrations per iteration.
 * @min_page_locality:    share of a worker's pages on the node of its CPU, 0..1.
 * @max_cross_node_ratio: migrations between nodes, of all migrations, 0..1.
 *
 * Where the test says nothing, the .checks of its scheduler hold, and where that says nothing, the binary's
 * KT_DEFAULT_CHECKS(). A limit on something of which
 * nothing was measured makes the test INCONCLUSIVE. So does one that was missed by less than what the
 * host took away from the machine's CPUs meanwhile: a slow host is no failure.
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

/* Sets the checks of tests that say nothing themselves; called by constructors. */
void kt_checks_set_default(const struct kt_checks *checks);

#ifdef __cplusplus
}
#endif

/* For all tests of the binary: KT_DEFAULT_CHECKS(.not_starved = KT_ON). At most once. */
#define KT_DEFAULT_CHECKS(...)                                                                     \
	__attribute__((constructor)) static void kt_default_checks(void)                           \
	{                                                                                          \
		static const struct kt_checks checks = { __VA_ARGS__ };                            \
		kt_checks_set_default(&checks);                                                    \
	}                                                                                          \
	typedef int kt_default_checks_needs_semicolon
