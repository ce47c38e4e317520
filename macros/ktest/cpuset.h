/* SPDX-License-Identifier: MIT */
#pragma once
/* Sets of CPUs, described by the topology or by number. */

/** enum kt_cpuset_kind - how a set of CPUs is described; see the macros below */
enum kt_cpuset_kind {
	KT_CPUS_UNSET, /* no set is given: every CPU of the machine */
	KT_CPUS_LLC,
	KT_CPUS_NUMA,
	KT_CPUS_RANGE,
	KT_CPUS_DISJOINT,
	KT_CPUS_OVERLAP,
	KT_CPUS_EXACT,
};

/**
 * struct kt_cpuset - a set of CPUs; written with the macros below
 * @kind:  which of the following members count.
 * @index: KT_CPUS_LLC, KT_CPUS_NUMA: number of the LLC or node, from 0. KT_CPUS_DISJOINT,
 *         KT_CPUS_OVERLAP: number of the part, from 0 to @of - 1.
 * @of:    KT_CPUS_DISJOINT, KT_CPUS_OVERLAP: number of parts, at least 1.
 * @from:  KT_CPUS_RANGE: the beginning, as a fraction of the usable CPUs, 0..1. KT_CPUS_OVERLAP:
 *         the overlap, as a fraction of the part, 0..1.
 * @to:    KT_CPUS_RANGE: the end, as a fraction of the usable CPUs, above @from and at most 1.
 * @exact: KT_CPUS_EXACT: a list of CPUs in the kernel's format: "0-3,5".
 *
 * The usable CPUs are all CPUs but the last one, which is left to PID 1 and the kernel. A machine
 * with one or two CPUs has no CPU to spare: there, all are usable.
 *
 * A set that is empty, or that contains a CPU, LLC or node that the test's topology does not have,
 * is an error, which is reported before any machine starts.
 */
struct kt_cpuset {
	enum kt_cpuset_kind kind;
	unsigned int index;
	unsigned int of;
	double from;
	double to;
	const char *exact;
};

/* KT_CPUSET_LLC() - all CPUs of the LLC @i, counted from 0 over the whole machine */
#define KT_CPUSET_LLC(i)                                                                           \
	{                                                                                          \
		.kind = KT_CPUS_LLC, .index = (i)                                                  \
	}
/* KT_CPUSET_NUMA() - all CPUs of the NUMA node @i, counted from 0 */
#define KT_CPUSET_NUMA(i)                                                                          \
	{                                                                                          \
		.kind = KT_CPUS_NUMA, .index = (i)                                                 \
	}
/* KT_CPUSET_RANGE() - the usable CPUs from the fraction @a to the fraction @b, 0 <= a < b <= 1 */
#define KT_CPUSET_RANGE(a, b)                                                                      \
	{                                                                                          \
		.kind = KT_CPUS_RANGE, .from = (a), .to = (b)                                      \
	}
/* KT_CPUSET_DISJOINT() - the @i-th of @n disjoint parts of the usable CPUs, of almost equal size */
#define KT_CPUSET_DISJOINT(i, n)                                                                   \
	{                                                                                          \
		.kind = KT_CPUS_DISJOINT, .index = (i), .of = (n)                                  \
	}
/*
 * KT_CPUSET_OVERLAP() - as KT_CPUSET_DISJOINT(), but each part extends into its neighbours by
 * @fraction of its own size, 0 <= fraction <= 1
 */
#define KT_CPUSET_OVERLAP(i, n, fraction)                                                          \
	{                                                                                          \
		.kind = KT_CPUS_OVERLAP, .index = (i), .of = (n), .from = (fraction)               \
	}
/* KT_CPUSET_EXACT() - the CPUs of a list in the kernel's format: KT_CPUSET_EXACT("0-3,5") */
#define KT_CPUSET_EXACT(list)                                                                      \
	{                                                                                          \
		.kind = KT_CPUS_EXACT, .exact = (list)                                             \
	}
