/* SPDX-License-Identifier: MIT */
#pragma once
/* Sets of CPUs, said by the topology instead of by number. */

/** enum kt_cpuset_kind - how a set of CPUs is said */
enum kt_cpuset_kind {
	KT_CPUS_UNSET, /* not at all: every CPU */
	KT_CPUS_LLC,
	KT_CPUS_NUMA,
	KT_CPUS_RANGE,
	KT_CPUS_DISJOINT,
	KT_CPUS_OVERLAP,
	KT_CPUS_EXACT,
};

/**
 * struct kt_cpuset - a set of CPUs; written with the macros below
 * @kind:     which of them.
 * @index:    LLC, NUMA node, or part, from 0.
 * @of:       number of parts.
 * @from, @to: fractions within [0, 1], of the usable CPUs; @from is the overlap's for an overlap.
 * @exact:    a list of CPUs as the kernel writes it: "0-3,5".
 *
 * The usable CPUs are all but the last, which is left to PID 1 and the kernel; in a machine of one or
 * two CPUs they are all. A set that is empty, or names a CPU, LLC or node that the test's topology does
 * not have, is an error before any machine starts.
 */
struct kt_cpuset {
	enum kt_cpuset_kind kind;
	unsigned int index;
	unsigned int of;
	double from;
	double to;
	const char *exact;
};

/* All CPUs of the LLC @i. */
#define KT_CPUSET_LLC(i)                                                                           \
	{                                                                                          \
		.kind = KT_CPUS_LLC, .index = (i)                                                  \
	}
/* All CPUs of the NUMA node @i. */
#define KT_CPUSET_NUMA(i)                                                                          \
	{                                                                                          \
		.kind = KT_CPUS_NUMA, .index = (i)                                                 \
	}
/* The usable CPUs from the fraction @a to the fraction @b of them, 0 <= a < b <= 1. */
#define KT_CPUSET_RANGE(a, b)                                                                      \
	{                                                                                          \
		.kind = KT_CPUS_RANGE, .from = (a), .to = (b)                                      \
	}
/* The @i-th of @n parts of the usable CPUs, as equal as they can be, without a CPU in common. */
#define KT_CPUSET_DISJOINT(i, n)                                                                   \
	{                                                                                          \
		.kind = KT_CPUS_DISJOINT, .index = (i), .of = (n)                                  \
	}
/* Likewise, each part reaching into its neighbours by @fraction of its own size, 0 <= fraction <= 1. */
#define KT_CPUSET_OVERLAP(i, n, fraction)                                                          \
	{                                                                                          \
		.kind = KT_CPUS_OVERLAP, .index = (i), .of = (n), .from = (fraction)               \
	}
/* Just these: KT_CPUSET_EXACT("0-3,5"). */
#define KT_CPUSET_EXACT(list)                                                                      \
	{                                                                                          \
		.kind = KT_CPUS_EXACT, .exact = (list)                                             \
	}
