/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Scenarios that every scheduler should survive, as members of a KTEST():
 *
 *	#include <kt_scenarios.h>
 *	KTEST(steady, KT_STEADY(KT_SPIN_WAIT, 4), .checks = { .not_starved = KT_ON });
 *
 * Each macro sets .steps, and .backdrop where it needs one. The parameter @type is an enum
 * kt_work_type: what the workers do. @n is the number of workers in each cgroup, a multiple of the
 * type's unit. Times are fractions of .duration_ms. Where a scenario needs more than one CPU, its
 * comment says so; a topology with fewer is refused before any machine starts.
 */

#include <ktest/scenario.h>

/* KT_STEADY() - one cgroup with workers, for the whole duration */
#define KT_STEADY(type, n)                                                                         \
	.steps = KT_STEPS({ .name = "steady",                                                      \
			    KT_SETUP({ .name = "steady", .work = KT_WORK(type, .workers = (n)) }), \
			    .hold = KT_HOLD_FULL })

/* KT_OVERSUBSCRIBED - 32 workers of three types in two cgroups: many more than there are CPUs */
#define KT_OVERSUBSCRIBED                                                                          \
	.steps = KT_STEPS(                                                                         \
		{ .name = "oversubscribed",                                                        \
		  KT_SETUP({ .name = "crowd-a",                                                    \
			     .work = KT_WORKS({ .type = KT_SPIN_WAIT, .workers = 8 },              \
					      { .type = KT_MIXED, .workers = 8 }) },               \
			   { .name = "crowd-b",                                                    \
			     .work = KT_WORKS({ .type = KT_MIXED, .workers = 8 },                  \
					      { .type = KT_YIELD_HEAVY, .workers = 8 }) }),        \
		  .hold = KT_HOLD_FULL })

/* KT_CPUSET_APPLY() - two cgroups, each of which gets half of the CPUs later. Two CPUs or more. */
#define KT_CPUSET_APPLY(type, n)                                                                   \
	.steps = KT_STEPS({ .name = "free",                                                        \
			    KT_SETUP({ .name = "left", .work = KT_WORK(type, .workers = (n)) },    \
				     { .name = "right", .work = KT_WORK(type, .workers = (n)) }),  \
			    .hold = KT_HOLD_FRAC(0.4) },                                           \
			  { .name = "confined",                                                    \
			    KT_OPS(KT_SET_CPUSET("left", KT_CPUSET_DISJOINT(0, 2)),                \
				   KT_SET_CPUSET("right", KT_CPUSET_DISJOINT(1, 2))),              \
			    .hold = KT_HOLD_FRAC(0.6) })

/* KT_CPUSET_CLEAR() - two cgroups with half of the CPUs each, later with all. Two CPUs or more. */
#define KT_CPUSET_CLEAR(type, n)                                                                   \
	.steps = KT_STEPS({ .name = "confined",                                                    \
			    KT_SETUP({ .name = "left",                                             \
				       .cpuset = KT_CPUSET_DISJOINT(0, 2),                         \
				       .work = KT_WORK(type, .workers = (n)) },                    \
				     { .name = "right",                                            \
				       .cpuset = KT_CPUSET_DISJOINT(1, 2),                         \
				       .work = KT_WORK(type, .workers = (n)) }),                   \
			    .hold = KT_HOLD_FRAC(0.5) },                                           \
			  { .name = "free",                                                        \
			    KT_OPS(KT_CLEAR_CPUSET("left"), KT_CLEAR_CPUSET("right")),             \
			    .hold = KT_HOLD_FRAC(0.5) })

/*
 * KT_CPUSET_RESIZE() - two cgroups divide the CPUs into halves, then 1 to 3, then 3 to 1. Five CPUs
 * or more.
 */
#define KT_CPUSET_RESIZE(type, n)                                                                  \
	.steps = KT_STEPS({ .name = "halves",                                                      \
			    KT_SETUP({ .name = "left",                                             \
				       .cpuset = KT_CPUSET_RANGE(0, 0.5),                          \
				       .work = KT_WORK(type, .workers = (n)) },                    \
				     { .name = "right",                                            \
				       .cpuset = KT_CPUSET_RANGE(0.5, 1),                          \
				       .work = KT_WORK(type, .workers = (n)) }),                   \
			    .hold = KT_HOLD_FRAC(0.3) },                                           \
			  { .name = "one to three",                                                \
			    KT_OPS(KT_SET_CPUSET("left", KT_CPUSET_RANGE(0, 0.25)),                \
				   KT_SET_CPUSET("right", KT_CPUSET_RANGE(0.25, 1))),              \
			    .hold = KT_HOLD_FRAC(0.3) },                                           \
			  { .name = "three to one",                                                \
			    KT_OPS(KT_SET_CPUSET("left", KT_CPUSET_RANGE(0, 0.75)),                \
				   KT_SET_CPUSET("right", KT_CPUSET_RANGE(0.75, 1))),              \
			    .hold = KT_HOLD_FRAC(0.4) })

/* KT_CPUSET_SWAP() - two cgroups exchange halves of the CPUs every 100 ms. Two CPUs or more. */
#define KT_CPUSET_SWAP(type, n)                                                                    \
	.backdrop = { KT_SETUP({ .name = "left",                                                   \
				 .cpuset = KT_CPUSET_DISJOINT(0, 2),                               \
				 .work = KT_WORK(type, .workers = (n)) },                          \
			       { .name = "right",                                                  \
				 .cpuset = KT_CPUSET_DISJOINT(1, 2),                               \
				 .work = KT_WORK(type, .workers = (n)) }) },                       \
	.steps = KT_STEPS({ .name = "swap",                                                        \
			    KT_OPS(KT_SWAP_CPUSETS("left", "right")),                              \
			    .hold = KT_HOLD_LOOP(100) })

/* KT_CGROUP_ADD() - a second and a third cgroup are added beside one that stays */
#define KT_CGROUP_ADD(type, n)                                                                     \
	.backdrop = { KT_SETUP({ .name = "stays", .work = KT_WORK(type, .workers = (n)) }) },      \
	.steps = KT_STEPS(                                                                         \
		{ .name = "one", .hold = KT_HOLD_FRAC(0.3) },                                      \
		{ .name = "two",                                                                   \
		  KT_OPS(KT_ADD_CGROUP_DEF("second", .work = KT_WORK(type, .workers = (n)))),      \
		  .hold = KT_HOLD_FRAC(0.3) },                                                     \
		{ .name = "three",                                                                 \
		  KT_OPS(KT_SPAWN("second", type, .workers = (n)),                                 \
			 KT_ADD_CGROUP_DEF("third", .work = KT_WORK(type, .workers = (n)))),       \
		  .hold = KT_HOLD_FRAC(0.4) })

/* KT_CGROUP_REMOVE() - one of two cgroups is removed while its workers run; the other one stays */
#define KT_CGROUP_REMOVE(type, n)                                                                  \
	.backdrop = { KT_SETUP({ .name = "stays", .work = KT_WORK(type, .workers = (n)) },         \
			       { .name = "goes", .work = KT_WORK(type, .workers = (n)) }) },       \
	.steps = KT_STEPS(                                                                         \
		{ .name = "both", .hold = KT_HOLD_FRAC(0.5) },                                     \
		{ .name = "one", KT_OPS(KT_REMOVE_CGROUP("goes")), .hold = KT_HOLD_FRAC(0.5) })

/* KT_NESTED() - workers in three cgroups, each inside the one before */
#define KT_NESTED(type, n)                                                                         \
	.steps = KT_STEPS(                                                                         \
		{ .name = "nested",                                                                \
		  KT_SETUP({ .name = "outer", .work = KT_WORK(type, .workers = (n)) },             \
			   { .name = "outer/middle", .work = KT_WORK(type, .workers = (n)) },      \
			   { .name = "outer/middle/inner",                                         \
			     .work = KT_WORK(type, .workers = (n)) }),                             \
		  .hold = KT_HOLD_FULL })

/* KT_AFFINITY_CHANGE() - workers may use all CPUs, then one CPU each, then all again */
#define KT_AFFINITY_CHANGE(type, n)                                                                \
	.steps = KT_STEPS({ .name = "everywhere",                                                  \
			    KT_SETUP({ .name = "w", .work = KT_WORK(type, .workers = (n)) }),      \
			    .hold = KT_HOLD_FRAC(0.3) },                                           \
			  { .name = "pinned",                                                      \
			    KT_OPS(KT_SET_AFFINITY("w", KT_SINGLE_CPU)),                           \
			    .hold = KT_HOLD_FRAC(0.4) },                                           \
			  { .name = "everywhere again",                                            \
			    KT_OPS(KT_SET_AFFINITY("w", KT_CROSS_CGROUP)),                         \
			    .hold = KT_HOLD_FRAC(0.3) })

/* KT_HOST_CONTENTION() - workers in a cgroup compete with workers in the root cgroup */
#define KT_HOST_CONTENTION(type, n)                                                                \
	.steps = KT_STEPS({ .name = "contention",                                                  \
			    KT_SETUP({ .name = "w", .work = KT_WORK(type, .workers = (n)) }),      \
			    KT_OPS(KT_SPAWN_IN_RUNNER(type, .workers = (n))),                      \
			    .hold = KT_HOLD_FULL })

/*
 * KT_MOVE_UNDER_LOAD() - the @n workers of one cgroup move to another one, which has a worker of
 * its own; then all move to the first one. The type must not have units.
 */
#define KT_MOVE_UNDER_LOAD(type, n)                                                                \
	.backdrop = { KT_SETUP({ .name = "a", .work = KT_WORK(type, .workers = (n)) },             \
			       { .name = "b", .work = KT_WORK(type, .workers = 1) }) },            \
	.steps = KT_STEPS({ .name = "apart", .hold = KT_HOLD_FRAC(0.3) },                          \
			  { .name = "together",                                                    \
			    KT_OPS(KT_MOVE_ALL_TASKS("a", "b")),                                   \
			    .hold = KT_HOLD_FRAC(0.3) },                                           \
			  { .name = "back",                                                        \
			    KT_OPS(KT_MOVE_ALL_TASKS("b", "a")),                                   \
			    .hold = KT_HOLD_FRAC(0.4) })

/* KT_FREEZE_UNDER_LOAD() - one of two cgroups is frozen and thawed while both have work */
#define KT_FREEZE_UNDER_LOAD(type, n)                                                              \
	.backdrop = { KT_SETUP({ .name = "runs", .work = KT_WORK(type, .workers = (n)) },          \
			       { .name = "freezes", .work = KT_WORK(type, .workers = (n)) }) },    \
	.steps = KT_STEPS({ .name = "both", .hold = KT_HOLD_FRAC(0.3) },                           \
			  { .name = "frozen",                                                      \
			    KT_OPS(KT_FREEZE_CGROUP("freezes")),                                   \
			    .hold = KT_HOLD_FRAC(0.4) },                                           \
			  { .name = "thawed",                                                      \
			    KT_OPS(KT_UNFREEZE_CGROUP("freezes")),                                 \
			    .hold = KT_HOLD_FRAC(0.3) })
