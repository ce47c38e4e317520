/* SPDX-License-Identifier: MIT */
#pragma once
/* Text into values: strict parsers that take all of the text or refuse it. */

#include <stdint.h>

/* An unsigned decimal number in @min..@max. */
int kt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/*
 * A duration: a decimal number with an optional fraction and one of the units ns, us, ms, s, m, h.
 * Without a unit, seconds. -EINVAL when malformed, -ERANGE above about 292 years.
 */
int kt_parse_duration(const char *text, uint64_t *ret_ns);

/* A size: a number with an optional K, M or G (powers of 1024, an optional B or iB after it). */
int kt_parse_size(const char *text, uint64_t *ret_bytes);

#define KT_CPUS_MAX 1024 /* CPUs that a list can name: 0..1023 */

/* A set of CPUs (or of NUMA nodes), as the kernel's list format writes it: "0-3,8". */
struct kt_cpu_list {
	uint64_t bits[KT_CPUS_MAX / 64];
};

/*
 * Parses the kernel's list format; an empty text is the empty set. Ranges may have a stride of the
 * form "0-15:2/4" (Documentation/admin-guide/kernel-parameters.rst). -ERANGE for a CPU that is too
 * large, -EINVAL for anything malformed, a range that runs backwards included.
 */
int kt_cpu_list_parse(const char *text, struct kt_cpu_list *ret_list);

/* Writes @list in the same format, "" for the empty set; the result is to be freed. */
char *kt_cpu_list_format(const struct kt_cpu_list *list);

unsigned int kt_cpu_list_count(const struct kt_cpu_list *list);

static inline int kt_cpu_list_has(const struct kt_cpu_list *list, unsigned int cpu)
{
	return cpu < KT_CPUS_MAX && (list->bits[cpu / 64] >> (cpu % 64) & 1);
}

static inline void kt_cpu_list_add(struct kt_cpu_list *list, unsigned int cpu)
{
	if (cpu < KT_CPUS_MAX)
		list->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

/* The first CPU of @list at or above @from, KT_CPUS_MAX when there is none. */
unsigned int kt_cpu_list_next(const struct kt_cpu_list *list, unsigned int from);
