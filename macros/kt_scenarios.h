/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Scenarios that every scheduler should survive, as members of a KTEST:
 *
 *	#include <kt_scenarios.h>
 *	KTEST(steady, KT_STEADY(KT_SPIN_WAIT, 4), .checks = { .not_starved = KT_ON });
 *
 * Each says .steps, and .backdrop where it needs one. @type is what the workers do, and @n how many
 * there are in each cgroup. Times are shares of .duration_ms. The comment of each says the smallest
 * topology it makes sense on; validation refuses what cannot be.
 */

#include <ktest/scenario.h>

/* One cgroup with workers, all the time. */
#define KT_STEADY(type, n)                                                                         \
	.steps = KT_STEPS({ .name = "steady",                                                      \
			    KT_SETUP({ .name = "steady", .work = KT_WORK(type, .workers = (n)) }), \
			    .hold = KT_HOLD_FULL })

/* Thirty-two workers of three kinds in two cgroups: far more than there are CPUs. */
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

/* Two cgroups that are given halves of the CPUs while they run. At least two CPUs. */
#define KT_CPUSET_APPLY(type, n)                                                                   \
	.steps = KT_STEPS({ .name = "free",                                                        \
			    KT_SETUP({ .name = "left", .work = KT_WORK(type, .workers = (n)) },    \
				     { .name = "right", .work = KT_WORK(type, .workers = (n)) }),  \
			    .hold = KT_HOLD_FRAC(0.4) },                                           \
			  { .name = "confined",                                                    \
			    KT_OPS(KT_SET_CPUSET("left", KT_CPUSET_DISJOINT(0, 2)),                \
				   KT_SET_CPUSET("right", KT_CPUSET_DISJOINT(1, 2))),              \
			    .hold = KT_HOLD_FRAC(0.6) })

/* Two cgroups with half of the CPUs each, which are then taken off again. At least two CPUs. */
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

/* Two cgroups share the CPUs in halves, then one to three, then three to one. At least five CPUs. */
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

/* Two cgroups with half of the CPUs each exchange them, ten times. At least two CPUs. */
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

/* Beside one that stays, a second and a third cgroup come. */
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

/* Beside one that stays, one of two cgroups goes while it works. */
#define KT_CGROUP_REMOVE(type, n)                                                                  \
	.backdrop = { KT_SETUP({ .name = "stays", .work = KT_WORK(type, .workers = (n)) },         \
			       { .name = "goes", .work = KT_WORK(type, .workers = (n)) }) },       \
	.steps = KT_STEPS(                                                                         \
		{ .name = "both", .hold = KT_HOLD_FRAC(0.5) },                                     \
		{ .name = "one", KT_OPS(KT_REMOVE_CGROUP("goes")), .hold = KT_HOLD_FRAC(0.5) })

/* Workers in a cgroup and in those below it, three levels down. */
#define KT_NESTED(type, n)                                                                         \
	.steps = KT_STEPS(                                                                         \
		{ .name = "nested",                                                                \
		  KT_SETUP({ .name = "outer", .work = KT_WORK(type, .workers = (n)) },             \
			   { .name = "outer/middle", .work = KT_WORK(type, .workers = (n)) },      \
			   { .name = "outer/middle/inner",                                         \
			     .work = KT_WORK(type, .workers = (n)) }),                             \
		  .hold = KT_HOLD_FULL })

/* Workers that may run everywhere, then on one CPU each, then everywhere again. */
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

/* Workers in a cgroup beside others where PID 1 is, as a machine has them outside all cgroups. */
#define KT_HOST_CONTENTION(type, n)                                                                \
	.steps = KT_STEPS({ .name = "contention",                                                  \
			    KT_SETUP({ .name = "w", .work = KT_WORK(type, .workers = (n)) }),      \
			    KT_OPS(KT_SPAWN_IN_RUNNER(type, .workers = (n))),                      \
			    .hold = KT_HOLD_FULL })

/* All workers of a cgroup move to another one and back while they work. */
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

/* One of two cgroups is frozen and thawed while both work. */
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
