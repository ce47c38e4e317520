/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Text into values. The parsers are strict: the whole text must be valid, without leading space or
 * sign. Each returns 0, -EINVAL for a malformed text or -ERANGE for a value that is out of range.
 */

#include <stdbool.h>
#include <stdint.h>

/* An unsigned decimal number in @min..@max. */
int kt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/*
 * A duration: a decimal number with an optional fraction, of which nine digits count, and one of
 * the units ns, us, ms, s, m, h, d. Without a unit, seconds. -ERANGE above about 292 years.
 */
int kt_parse_duration(const char *text, uint64_t *ret_ns);

/*
 * A size in bytes: a decimal number and an optional unit K, M or G in either case, which are powers
 * of 1024. "4G", "4GB" and "4GiB" are the same.
 */
int kt_parse_size(const char *text, uint64_t *ret_bytes);

/* Whether @text ends with @end. */
bool kt_ends_with(const char *text, const char *end);

#define KT_CPUS_MAX 1024 /* a list can name the CPUs 0..1023 */

/* A set of CPUs or of NUMA nodes, which the kernel writes as "0-3,8". */
struct kt_cpu_list {
	uint64_t bits[KT_CPUS_MAX / 64]; /* bit n % 64 of element n / 64 is CPU n */
};

/*
 * Parses the kernel's list format; an empty text is the empty set. A range may have a stride:
 * "0-15:2/4" is the first 2 of every 4 (Documentation/admin-guide/kernel-parameters.rst). Space
 * around the list, like the newline of a sysfs file, is skipped. -ERANGE for a CPU of KT_CPUS_MAX
 * or above; -EINVAL also for a range that runs backwards.
 */
int kt_cpu_list_parse(const char *text, struct kt_cpu_list *ret_list);

/* The number of CPUs in @list. */
unsigned int kt_cpu_list_count(const struct kt_cpu_list *list);

static inline int kt_cpu_list_has(const struct kt_cpu_list *list, unsigned int cpu)
{
	return cpu < KT_CPUS_MAX && (list->bits[cpu / 64] >> (cpu % 64) & 1);
}

/* Does nothing for a CPU of KT_CPUS_MAX or above. */
static inline void kt_cpu_list_add(struct kt_cpu_list *list, unsigned int cpu)
{
	if (cpu < KT_CPUS_MAX)
		list->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

/* The first CPU of @list at or above @from; KT_CPUS_MAX when there is none. */
unsigned int kt_cpu_list_next(const struct kt_cpu_list *list, unsigned int from);
