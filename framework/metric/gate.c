/* SPDX-License-Identifier: MIT */
#include "framework/metric/gate.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* docs/results.md says what they are, framework/compare/samples.c how they are made. */
static const struct kt_gate builtin[] = {
	{ KT_METRIC_FAILED, KT_LOWER, 0, 0, .unseen = true },
	{ "iterations", KT_HIGHER, 100, 0.1 },
	{ "iterations_worst", KT_HIGHER, 10, 0.1 },
	{ "step.*.iterations", KT_HIGHER, 100, 0.1 },
	{ "migrations", KT_LOWER, 10, 0.3 },
	{ "gap_ms", KT_LOWER, 500, 0.5 },
	{ "run_delay_us", KT_LOWER, 50, 0.25 },
	{ "spread_percent", KT_LOWER, 5, 0.25 },
	{ "wake_p50_us", KT_LOWER, 20, 0.25 },
	{ "wake_p99_us", KT_LOWER, 50, 0.25 },
	{ "wake_cv", KT_LOWER, 0.1, 0.25 },
};

static int parse_better(const char *word, enum kt_better *ret_better)
{
	static const char *const words[] = {
		[KT_BETTER_UNKNOWN] = "none",
		[KT_LOWER] = "lower",
		[KT_HIGHER] = "higher",
	};

	for (size_t i = 0; word && i < KT_ARRAY_LEN(words); i++) {
		if (!strcmp(word, words[i])) {
			*ret_better = (enum kt_better)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* A number that is not negative, all of @text but for @unit behind it. */
static int parse_amount(const char *text, const char *unit, double *ret_amount)
{
	char *end;

	*ret_amount = strtod(text, &end);
	return end == text || strcmp(end, unit) || !isfinite(*ret_amount) || *ret_amount < 0
		       ? -EINVAL
		       : 0;
}

int kt_gate_parse(char *text, struct kt_gate *ret_gate, struct kt_err *reterr)
{
	char *value = strrchr(text, '='), *absolute, *percent;
	struct kt_gate gate = { .metric = text, .relative = KT_GATE_RELATIVE };
	int r;

	if (!value || value == text)
		return kt_err_set(
			reterr, -EINVAL,
			"--gate '%s' is not METRIC=higher|lower|none[:ABSOLUTE[:PERCENT%%]]", text);
	*value++ = '\0';
	absolute = strchr(value, ':');
	if (absolute)
		*absolute++ = '\0';
	percent = absolute ? strchr(absolute, ':') : NULL;
	if (percent)
		*percent++ = '\0';
	r = parse_better(value, &gate.better);
	if (r < 0)
		return kt_err_set(reterr, r, "--gate %s: '%s' is not higher, lower or none", text,
				  value);
	if (absolute && parse_amount(absolute, "", &gate.absolute) < 0)
		return kt_err_set(reterr, -EINVAL, "--gate %s: '%s' is not a number from 0", text,
				  absolute);
	if (percent && parse_amount(percent, "%", &gate.relative) < 0)
		return kt_err_set(reterr, -EINVAL,
				  "--gate %s: '%s' is not a number with %% behind it", text,
				  percent);
	if (percent)
		gate.relative /= 100;
	*ret_gate = gate;
	return 0;
}

static const struct kt_gate *find(const struct kt_gate *gates, size_t n, const char *metric)
{
	while (n--) {
		if (!strcmp(gates[n].metric, metric) || !fnmatch(gates[n].metric, metric, 0))
			return &gates[n];
	}
	return NULL;
}

struct kt_gate kt_gate_find(const struct kt_gate *gates, size_t n, const char *metric)
{
	const struct kt_gate *found =
		find(gates, n, metric) ?: find(builtin, KT_ARRAY_LEN(builtin), metric);

	return found ? *found : (struct kt_gate){ .metric = "*", .relative = KT_GATE_RELATIVE };
}
