/* SPDX-License-Identifier: MIT */
#include "framework/options/value.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/parse.h"

/*
 * What the user writes behind an option becomes a number, an enumerator or a size. Nothing is
 * printed, and no option is known here but by the name that the error has. Options whose values
 * "none" or "without limit" have a word of their own are stored as 0.
 */

/* Looks @text up in @words; the error names @what and lists the words. */
int kt_value_word(const char *what, const struct kt_word *words, const char *text, int *ret_value,
		  struct kt_err *reterr)
{
	char known[256] = "";

	for (const struct kt_word *at = words; at->name; at++) {
		if (!strcmp(at->name, text)) {
			*ret_value = at->value;
			return 0;
		}
		(void)snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			       *known ? ", " : "", at->name);
	}
	return kt_err_set(reterr, -EINVAL, "%s '%s' is none of: %s", what, text, known);
}

int kt_value_number(const char *what, const char *text, uint64_t min, uint64_t max,
		    unsigned int *ret_value, struct kt_err *reterr)
{
	uint64_t value;

	if (kt_parse_u64(text, min, max, &value) < 0)
		return kt_err_set(reterr, -EINVAL, "%s '%s' is not a number within %llu..%llu",
				  what, text, (unsigned long long)min, (unsigned long long)max);
	*ret_value = (unsigned int)value;
	return 0;
}

/*
 * A duration of 0 is rejected too: all options with a duration are limits, and 0 means "none" in
 * struct kt_options.
 */
int kt_value_time(const char *what, const char *text, uint64_t *ret_ns, struct kt_err *reterr)
{
	if (kt_parse_duration(text, ret_ns) < 0 || !*ret_ns)
		return kt_err_set(reterr, -EINVAL,
				  "%s '%s' is not a duration like 500ms, 30s or 2m", what, text);
	return 0;
}

/* The CPUs that this process may use, which can be fewer than those of the host. */
unsigned int kt_online_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

/* The value of --test-threads: N, -N for all CPUs but N, or num-cpus. At least 1 results. */
int kt_value_budget(const char *text, unsigned int *ret_vcpus, struct kt_err *reterr)
{
	unsigned int cpus = kt_online_cpus(), less = 0;
	int r;

	if (!strcmp(text, "num-cpus")) {
		*ret_vcpus = cpus;
		return 0;
	}
	if (text[0] != '-')
		return kt_value_number("--test-threads", text, 1, 4096, ret_vcpus, reterr);
	r = kt_value_number("--test-threads", text + 1, 1, 4096, &less, reterr);
	*ret_vcpus = r == 0 && less < cpus ? cpus - less : 1;
	return r;
}

int kt_value_multiplier(const char *text, double *ret_value, struct kt_err *reterr)
{
	char *end;
	double value = strtod(text, &end);

	/* Written so that a NaN is rejected too. */
	if (*end || end == text || !(value >= 0.1 && value <= 1000))
		return kt_err_set(reterr, -EINVAL,
				  "--timeout-multiplier '%s' is not a number within 0.1..1000",
				  text);
	*ret_value = value;
	return 0;
}

/* N, N:wait or N:immediate. "all" is stored as 0, which means no limit. */
int kt_value_max_fail(const char *text, unsigned int *ret_value, bool *ret_at_once,
		      struct kt_err *reterr)
{
	const char *colon = strchrnul(text, ':');
	bool at_once = !strcmp(colon, ":immediate");
	KT_FREE char *number = strndup(text, (size_t)(colon - text));
	uint64_t value = 0;

	if (!number)
		return kt_err_oom(reterr);
	if (strcmp(text, "all") != 0) {
		if ((*colon && !at_once && strcmp(colon, ":wait") != 0) ||
		    kt_parse_u64(number, 1, UINT32_MAX, &value) < 0)
			return kt_err_set(reterr, -EINVAL,
					  "--max-fail '%s' is not all, N, N:wait or N:immediate, "
					  "with N from 1",
					  text);
	}
	*ret_value = (unsigned int)value;
	*ret_at_once = at_once;
	return 0;
}

/* "infinite" is stored as 0, which means without end. */
int kt_value_stress_count(const char *text, unsigned int *ret_value, struct kt_err *reterr)
{
	if (!strcmp(text, "infinite")) {
		*ret_value = 0;
		return 0;
	}
	return kt_value_number("--stress-count", text, 1, KT_STRESS_COUNT_MAX, ret_value, reterr);
}

/* The name of a work type, in upper or lower case. */
int kt_value_work_type(const char *text, enum kt_work_type *ret_type, struct kt_err *reterr)
{
	for (int type = KT_WORK_NONE + 1; type < KT_N_WORK_TYPES; type++) {
		const struct kt_work_ops *ops = kt_work_ops((enum kt_work_type)type);

		if (ops && !strcasecmp(ops->name, text)) {
			*ret_type = (enum kt_work_type)type;
			return 0;
		}
	}
	return kt_err_set(reterr, -EINVAL,
			  "--work-type '%s' is none of those in docs/workloads.md, as SpinWait",
			  text);
}

int kt_value_bytes(const char *what, const char *text, uint64_t *ret_bytes, struct kt_err *reterr)
{
	if (kt_parse_size(text, ret_bytes) < 0)
		return kt_err_set(reterr, -EINVAL, "%s '%s' is not a size like 512M or 4G", what,
				  text);
	return 0;
}

int kt_value_memory_budget(const char *text, unsigned int *ret_mib, struct kt_err *reterr)
{
	uint64_t bytes = 0;
	int r = kt_value_bytes("--memory-budget", text, &bytes, reterr);

	if (r == 0 && (bytes < UINT64_C(64) << 20 || bytes >> 20 > UINT32_MAX))
		r = kt_err_set(reterr, -EINVAL,
			       "--memory-budget '%s' is less than 64M, or far too much", text);
	*ret_mib = (unsigned int)(bytes >> 20);
	return r;
}

int kt_value_seed(const char *text, uint64_t *ret_seed, struct kt_err *reterr)
{
	if (kt_parse_u64(text, 0, UINT64_MAX, ret_seed) < 0)
		return kt_err_set(reterr, -EINVAL, "--seed '%s' is not a number", text);
	return 0;
}

int kt_value_gtest_output(const char *text, const char **ret_path, struct kt_err *reterr)
{
	if (strncmp(text, "xml:", 4) || !text[4])
		return kt_err_set(reterr, -EINVAL, "--gtest_output '%s' is not xml:FILE", text);
	*ret_path = text + 4;
	return 0;
}
